//go:build race

package chaos

// raceFlags make Scanhook look for races where the tests do.
var raceFlags = []string{"-race"}
