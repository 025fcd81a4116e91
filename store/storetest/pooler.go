package storetest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// PoolerURL names an empty database of the test's own behind a PgBouncer with a pool_mode and few connections. It skips
// the test where there is no PostgreSQL or no PgBouncer.
func PoolerURL(t testing.TB, mode string) (pooled, direct string) {
	t.Helper()
	base := PostgresURL(t)
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("pgbouncer is not installed")
	}
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	Execute(t, base, `CREATE DATABASE `+name)
	t.Cleanup(func() { Execute(t, base, `DROP DATABASE `+name+` WITH (FORCE)`) })
	server, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	query := server.Query()
	query.Del("search_path") // poolers refuse it
	server.Path, server.RawQuery = "/"+name, query.Encode()
	direct = server.String()
	address := startPooler(t, program, mode, server)
	server.Host = address
	return server.String(), direct
}

// startPooler returns the address of a PgBouncer that ends with the test.
func startPooler(t testing.TB, program, mode string, server *url.URL) (address string) {
	t.Helper()
	free, err := net.Listen("tcp", Host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	_ = free.Close()
	host, port, _ := net.SplitHostPort(address)
	settings := fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s\n[pgbouncer]\nlisten_addr = %s\nlisten_port = %s\n"+
		"unix_socket_dir =\nauth_type = any\npool_mode = %s\ndefault_pool_size = 3\n",
		server.Hostname(), server.Port(), server.User.Username(), host, port, mode)
	file := filepath.Join(t.TempDir(), "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-q", file}
	if os.Getuid() == 0 { // as which it refuses to run
		args = append([]string{"-u", "nobody"}, args...)
		giveTo(t, "nobody", file)
	}
	pooler := exec.CommandContext(t.Context(), program, args...)
	if err := pooler.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pooler.Wait() }) // the test's context has ended by then
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("pgbouncer does not listen: %v", err)
		}
	}
}

func giveTo(t testing.TB, name, file string) {
	t.Helper()
	who, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	var uid, gid int
	if _, err := fmt.Sscan(who.Uid+" "+who.Gid, &uid, &gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, uid, gid); err != nil {
		t.Fatal(err)
	}
}
