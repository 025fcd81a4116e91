//go:build linux

package servetest

import (
	"context"
	"database/sql"
	"fmt"
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

// Database is what a run keeps its data in. Its zero Server means SQLite.
type Database struct {
	URL    string    // for database.url
	Server *Postgres // that can be written to; nil on SQLite
}

// Open connects to the database to read it, until the test ends.
func (d Database) Open(t testing.TB) *sql.DB {
	t.Helper()
	driver, dsn := d.Engine(), d.URL
	if d.Server != nil { // the URL may name several
		dsn = d.Server.URL()
	}
	if file, embedded := strings.CutPrefix(d.URL, "sqlite:"); embedded {
		dsn = "file:" + file + "?mode=ro&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Engine is sqlite or postgres.
func (d Database) Engine() string {
	if strings.HasPrefix(d.URL, "sqlite:") {
		return "sqlite"
	}
	return "postgres"
}

// SQLite names a database file that does not exist yet and goes away with the test.
func SQLite(t testing.TB) Database {
	t.Helper()
	return Database{URL: "sqlite:" + filepath.Join(t.TempDir(), "scanhook.db")}
}

// Postgres is a PostgreSQL server of the run's own, because other tests would not like it to be restarted.
type Postgres struct {
	Dir  string // which has the folder data, and is the server's own
	Port int

	bin string // where PostgreSQL's programs are
}

// OwnPostgres starts a server, which stops with the test. It skips the test where PostgreSQL is not installed and not
// required.
func OwnPostgres(t testing.TB) Database {
	t.Helper()
	s := NewPostgres(t)
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return Database{URL: s.URL(), Server: s}
}

// NewPostgres prepares the folder and the port of a server that Init or a copy of another one's data fills. It stops with the
// test.
func NewPostgres(t testing.TB) *Postgres {
	t.Helper()
	bin := postgresBin()
	if bin == "" {
		if os.Getenv("SCANHOOK_TEST_POSTGRES_REQUIRED") != "" {
			t.Fatal("PostgreSQL is required but not installed")
		}
		t.Skip("no PostgreSQL to test on")
	}
	s := &Postgres{Dir: t.TempDir(), Port: freePort(t), bin: bin}
	if err := s.own(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop("immediate") })
	return s
}

// URL names the server's database.
func (s *Postgres) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.Port)
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

// own gives the folder to the server's account.
func (s *Postgres) own() error {
	if os.Getuid() != 0 { // PostgreSQL refuses to run as root
		return nil
	}
	for dir := s.Dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return os.Chown(s.Dir, nobody, nobody)
}

// Init makes an empty cluster.
func (s *Postgres) Init() error {
	return s.Run("initdb", "-D", s.Data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
}

// Data is the folder of the cluster.
func (s *Postgres) Data() string { return filepath.Join(s.Dir, "data") }

// Start lets the server run until it accepts connections. Settings are name=value.
func (s *Postgres) Start(settings ...string) error {
	options := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s", s.Port, s.Dir)
	for _, setting := range settings {
		options += " -c " + setting
	}
	return s.Control("-o", options, "start")
}

// Stop ends the server in a mode of pg_ctl: smart, fast, or immediate, which is a crash.
func (s *Postgres) Stop(mode string) error { return s.Control("-m", mode, "stop") }

// Outage stops the server in a mode, and starts it again after a while.
func (s *Postgres) Outage(mode string, d time.Duration) error {
	if err := s.Stop(mode); err != nil {
		return err
	}
	time.Sleep(d)
	return s.Start()
}

// Freeze stops all processes of the server as a disk that hangs does, and continues them after a while: connections
// stay, and nobody answers.
func (s *Postgres) Freeze(d time.Duration) error {
	all, err := s.halt()
	if err != nil {
		return err
	}
	time.Sleep(d)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	return nil
}

// halt stops all processes of the server, and returns them, the leader last. It stops first, for it makes the others.
func (s *Postgres) halt() (all []int, err error) {
	leader, err := s.leader()
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(leader, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	others := childrenOf(leader)
	for _, pid := range others {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	return append(others, leader), nil
}

// Crash ends all processes of the server at once, as losing its machine does.
func (s *Postgres) Crash() error {
	all, err := s.halt()
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return err
}

// SignalAll reaches all processes of a kind, such as walsender.
func (s *Postgres) SignalAll(signal syscall.Signal, kind string) error {
	leader, err := s.leader()
	if err != nil {
		return err
	}
	err = fmt.Errorf("the server has no %s", kind)
	for _, pid := range childrenOf(leader) {
		title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(title), ": "+kind+" ") {
			err = syscall.Kill(pid, signal)
		}
	}
	return err
}

// leader is the process that the server was started as.
func (s *Postgres) leader() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.Data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(first))
}

func childrenOf(parent int) []int {
	return slices.DeleteFunc(Processes(), func(pid int) bool { return StatOf(pid).Parent != parent })
}

// nobody is the user that owns the server where the tests run as root.
const nobody = 65534

// Control is pg_ctl on the server's cluster.
func (s *Postgres) Control(args ...string) error {
	fixed := []string{"-D", s.Data(), "-l", filepath.Join(s.Dir, "server.log"), "-w", "-t", "60"}
	return s.Run("pg_ctl", append(fixed, args...)...)
}

// Run is one of PostgreSQL's programs, as the server's account. It starts no pipe: the server inherits what pg_ctl has, and
// waiting for a pipe would wait for the server's end.
func (s *Postgres) Run(program string, args ...string) error {
	log, err := os.CreateTemp("", "servetest-")
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
