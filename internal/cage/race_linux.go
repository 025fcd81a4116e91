//go:build race

package cage

// The race detector has each process sleep for a second when it ends, and a cage is three of them.
func init() { helperEnv = append(helperEnv, "GORACE=atexit_sleep_ms=0") }
