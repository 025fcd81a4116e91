package sqldb

import "syscall"

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), in milliseconds, which package syscall does not name.
const tcpUserTimeout = 0x12

// setUserTimeout is for net.Dialer: keep-alives end idle connections only, not those with unacknowledged data.
func setUserTimeout(network, _ string, conn syscall.RawConn) (err error) {
	if network == "unix" {
		return nil
	}
	if failed := conn.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(answerTimeout.Milliseconds()))
	}); failed != nil {
		return failed
	}
	return err
}
