package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/scanhook/scanhook/store" // the drivers
)

// database is what a run keeps its data in.
type database struct {
	url    string
	driver string
	dsn    string
	outage func(mode string, d time.Duration) error // nil where there is no server
	freeze func(d time.Duration) error              // the same
}

func (d database) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.driver, d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func sqliteDatabase(t *testing.T) database {
	file := filepath.Join(t.TempDir(), "scanhook.db")
	return database{url: "sqlite:" + file, driver: "sqlite", dsn: "file:" + file + "?mode=ro"}
}

// server is a PostgreSQL server of the run's own, because other tests would not like it to be restarted.
type server struct {
	bin  string
	dir  string
	port int
}

// postgresDatabase starts a server, or skips the test where PostgreSQL is not installed and not required.
func postgresDatabase(t *testing.T) database {
	t.Helper()
	bin := postgresBin()
	if bin == "" || os.Getenv("SCANHOOK_TEST_POSTGRES") == "" && !full() {
		if os.Getenv("SCANHOOK_TEST_POSTGRES_REQUIRED") != "" {
			t.Fatal("PostgreSQL is required but not installed")
		}
		t.Skip("no PostgreSQL to test on")
	}
	s := server{bin: bin, dir: t.TempDir(), port: freePort(t)}
	if err := s.init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.ctl("-m", "immediate", "stop") })
	dsn := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
	return database{url: dsn, driver: "postgres", dsn: dsn, outage: s.outage, freeze: s.freeze}
}

func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			return ""
		}
		found = []string{path}
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

func (s server) init() error {
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				return err
			}
		}
		if err := os.Chown(s.dir, nobody, nobody); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"); err != nil {
		return err
	}
	return s.start()
}

func (s server) start() error {
	return s.ctl("-o", fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s", s.port, s.dir),
		"start")
}

// outage stops the server, in the mode fast or immediate, which is a crash, and starts it again after a while.
func (s server) outage(mode string, d time.Duration) error {
	if err := s.ctl("-m", mode, "stop"); err != nil {
		return err
	}
	time.Sleep(d)
	return s.start()
}

// freeze stops all processes of the server as a disk that hangs does, and continues them after a while: connections
// stay, and nobody answers.
func (s server) freeze(d time.Duration) error {
	leader, err := s.leader()
	if err != nil {
		return err
	}
	if err := syscall.Kill(leader, syscall.SIGSTOP); err != nil { // first, for it makes the others
		return err
	}
	others := childrenOf(leader)
	for _, pid := range others {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	time.Sleep(d)
	for _, pid := range append(others, leader) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	return nil
}

// leader is the process that the server was started as.
func (s server) leader() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(first))
}

func childrenOf(parent int) (children []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		text, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(text), ") ") // after the name: state, parent, …
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children = append(children, pid)
		}
	}
	return children
}

// nobody is the user that owns the server where the tests run as root.
const nobody = 65534

func (s server) ctl(args ...string) error {
	fixed := []string{"-D", filepath.Join(s.dir, "data"), "-l", filepath.Join(s.dir, "server.log"), "-w", "-t", "60"}
	return s.run("pg_ctl", append(fixed, args...)...)
}

// run starts no pipe: the server inherits what pg_ctl has, and waiting for a pipe would wait for the server's end.
func (s server) run(program string, args ...string) error {
	log, err := os.CreateTemp("", "chaos-")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close(); _ = os.Remove(log.Name()) }()
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, program), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, said)
	}
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
