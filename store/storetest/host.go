package storetest

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Host is a loopback address for the servers of one test, so that no other test takes a port that is free for a moment
// between two processes. On systems with only one such address, it is that.
func Host() string {
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "127.0.0.1"
	}
	_ = listener.Close()
	return host
}
