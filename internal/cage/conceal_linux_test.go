package cage_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/scanhook/scanhook/internal/cage"
)

// The process conceals itself in a child of the test.
func TestConceal(t *testing.T) {
	const secret = "CAGE_TEST_SECRET"
	if os.Getenv(secret) != "" {
		if err := cage.Conceal(); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command("cat", fmt.Sprintf("/proc/%d/environ", os.Getpid())).CombinedOutput()
		if bytes.Contains(said, []byte("hunter2")) {
			t.Errorf("the environment can be seen: %q", said)
		}
		if os.Getuid() != 0 && err == nil {
			t.Error("another process of the same user can look into this one")
		}
		if os.Getenv(secret) != "hunter2" || os.Getenv("PATH") == "" {
			t.Error("the process has lost its environment")
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestConceal$", "-test.v")
	cmd.Env = append(os.Environ(), secret+"=hunter2")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, said)
	}
}
