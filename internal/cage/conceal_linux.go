package cage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The fields of /proc/self/stat that tell where the environment block is, counted after the name of the program.
const (
	environmentBegin = 50 - 3
	environmentEnd   = 51 - 3
)

// Conceal hides from other processes what this one knows: the block of its environment, which /proc shows to the same user and to root, is
// overwritten, and no process of the same user may look into it any more. os.Getenv still answers.
func Conceal() error {
	if err := overwriteEnvironment(); err != nil {
		return fmt.Errorf("overwriting the environment that other processes see: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process to others: %w", err)
	}
	return nil
}

func overwriteEnvironment() error {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= environmentEnd {
		return fmt.Errorf("/proc/self/stat has %d fields only", len(fields))
	}
	begin, err := strconv.ParseInt(string(fields[environmentBegin]), 10, 64)
	if err != nil {
		return err
	}
	end, err := strconv.ParseInt(string(fields[environmentEnd]), 10, 64)
	if err != nil || end <= begin {
		return err // there is none, or it is not shown to this process itself
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	_, err = memory.WriteAt(make([]byte, end-begin), begin)
	return err
}
