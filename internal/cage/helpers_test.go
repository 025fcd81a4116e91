package cage_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// beScanner makes the test binary a scanner that means no good.
const beScanner = "CAGE_TEST_BE_SCANNER"

func TestMain(m *testing.M) {
	if os.Getenv(beScanner) != "" {
		os.Exit(misbehave(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

// What a scanner that means no good prints, and how it ends.
const (
	refused   = 3
	succeeded = 4
)

func misbehave(deed string, args []string) int {
	err := deeds[deed](args)
	fmt.Println(deed, args, err)
	if err != nil {
		return refused
	}
	return succeeded
}

var deeds = map[string]func(args []string) error{
	"read": func(args []string) error {
		_, err := os.ReadFile(args[0])
		return err
	},
	"list": func(args []string) error {
		entries, err := os.ReadDir(args[0])
		if err == nil && len(entries) == 0 {
			err = os.ErrNotExist
		}
		return err
	},
	"write": func(args []string) error { return os.WriteFile(args[0], []byte("x"), 0o600) },
	"touch": func(args []string) error { return os.Chtimes(args[0], time.Time{}, time.Unix(1, 0)) },
	"dial":  dial,
	"seek":  seek,
	"signal": func(args []string) error {
		pid, _ := strconv.Atoi(args[0])
		return syscall.Kill(pid, 0)
	},
	"away": func(args []string) error {
		for range 2 {
			cmd := exec.Command("sleep", args[0])
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				return err
			}
		}
		return nil
	},
	"stay": func([]string) error {
		time.Sleep(time.Hour)
		return nil
	},
	"eat":   func(args []string) error { eat(args[0]); time.Sleep(2 * time.Second); return nil },
	"dine":  dine,
	"spawn": spawn,
	"fill": func(args []string) error {
		file, err := os.Create(args[0])
		for err == nil {
			_, err = file.Write(make([]byte, 1<<20))
		}
		return err
	},
	"pass": func([]string) error { return nil },
}

func dial(args []string) error {
	connection, err := net.DialTimeout(args[0], args[1], 2*time.Second)
	if err != nil {
		return err
	}
	_, err = connection.Write([]byte("x"))
	return err
}

// seek looks for a word in the environments and command lines of all processes, and through their roots.
func seek(args []string) error {
	for _, pattern := range []string{"/proc/*/environ", "/proc/*/task/*/environ", "/proc/*/mem", "/proc/*/root" + args[1], "/proc/*/cwd" + args[1]} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, _ := os.ReadFile(file)
			if strings.Contains(string(text), args[0]) {
				return nil
			}
		}
	}
	return os.ErrNotExist
}

var eaten [][]byte

// eat takes so many MiB of memory.
func eat(size string) {
	megabytes, _ := strconv.Atoi(size)
	for range megabytes {
		chunk := make([]byte, 1<<20)
		for i := 0; i < len(chunk); i += 4096 {
			chunk[i] = 1
		}
		eaten = append(eaten, chunk)
	}
}

// dine has so many children eat so many MiB each.
func dine(args []string) error {
	guests, _ := strconv.Atoi(args[0])
	for range guests {
		if err := exec.Command("/proc/self/exe", "eat", args[1]).Start(); err != nil {
			return err
		}
	}
	time.Sleep(5 * time.Second)
	return nil
}

// spawn starts so many processes at once.
func spawn(args []string) error {
	wanted, _ := strconv.Atoi(args[0])
	for range wanted {
		if err := exec.Command("sleep", "600").Start(); err != nil {
			return err
		}
	}
	time.Sleep(time.Second)
	return nil
}
