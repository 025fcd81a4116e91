package chaos

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// binaries is where TestMain keeps the scanhook that several tests share.
var binaries string

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // runs wait for leases most of the time
	var err error
	if binaries, err = os.MkdirTemp("", "chaos-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

// compiled is the outcome of the only build of the source as it is.
var compiled = sync.OnceValues(func() (said []byte, err error) {
	return compile(filepath.Join(binaries, "scanhook"), raceFlags...)
})

// built is the scanhook of the source as it is.
func built(t *testing.T) string {
	t.Helper()
	if said, err := compiled(); err != nil {
		t.Fatalf("building scanhook: %v\n%s", err, said)
	}
	return filepath.Join(binaries, "scanhook")
}

// builtWith is a scanhook that was compiled with flags.
func builtWith(t *testing.T, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "scanhook")
	if said, err := compile(binary, flags...); err != nil {
		t.Fatalf("building scanhook: %v\n%s", err, said)
	}
	return binary
}

func compile(binary string, flags ...string) ([]byte, error) {
	args := append(append([]string{"build", "-o", binary}, flags...), "../../cmd/scanhook")
	return exec.Command("go", args...).CombinedOutput()
}
