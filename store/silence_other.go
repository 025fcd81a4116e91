//go:build !linux

package store

import "syscall"

// boundSilence leaves connections with data under way to the system's own patience.
func boundSilence(string, string, syscall.RawConn) error { return nil }
