//go:build linux

package chaos

import (
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/internal/servetest"
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
var compiled = sync.OnceValue(func() error {
	return servetest.Compile(filepath.Join(binaries, "scanhook"), ".", raceFlags...)
})

// built is the scanhook of the source as it is.
func built(t *testing.T) string {
	t.Helper()
	if err := compiled(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(binaries, "scanhook")
}
