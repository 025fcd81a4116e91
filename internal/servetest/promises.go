//go:build linux

package servetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Violations are what a run found, by the promise that was broken.
type Violations map[string][]string

// The promises.
const (
	Lost            = "acknowledged and lost"
	Duplicated      = "done twice"
	WrongStatus     = "the platform shows something else"
	Refused         = "refused by the platform's rules"
	IgnoredLimit    = "called in spite of Retry-After"
	NeedlessFailure = "failed without need"
	FalselyDead     = "taken for dead"
	Unexpected      = "unexpected answers and log records"
)

// Break notes one of a promise.
func (b Violations) Break(promise, format string, args ...any) {
	b[promise] = append(b[promise], fmt.Sprintf(format, args...))
}

// String shows a few of each kind.
func (b Violations) String() string {
	var text strings.Builder
	for _, promise := range slices.Sorted(maps.Keys(b)) {
		list := b[promise]
		fmt.Fprintf(&text, "%s: %d\n", promise, len(list))
		for _, one := range list[:min(len(list), 8)] {
			fmt.Fprintf(&text, "    %s\n", one)
		}
	}
	return text.String()
}
