package runner

import (
	"regexp"
	"slices"
	"strings"
)

// cut is the failure of a git command whose server stopped answering, or whose answer was not git's to the end.
type cut struct{ error }

func (c cut) Unwrap() error { return c.error }

// transferFailed is how git begins to tell that a request which followed the greeting failed.
const transferFailed = "RPC failed"

var (
	// broken are git's own words for an answer that did not come, or not to its end.
	broken = []string{
		transferFailed, "Operation too slow", "expected 'packfile'", "early EOF", "the remote end hung up unexpectedly",
		"unexpected disconnect", "bad line length character",
	}
	// decided are its words for an answer that came, and that another try will not change, whatever else is said then:
	// git hangs up on a server whose pack it refuses.
	decided = []string{"remote error: ", "fsck error"}
	// refused is a status that tells a client what it may not; 408 and 429 ask it to come again.
	refused = regexp.MustCompile(`HTTP 4(?:0[0-79]|1\d|2[0-8]|[3-9]\d)\b`)
)

// isCut reads what git wrote, in the words of LC_ALL=C: it exits alike whatever went wrong. Lines of the server's own
// count for nothing.
func isCut(stderr string) bool {
	var words strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "remote: ") {
			words.WriteString(line)
		}
	}
	says := func(phrase string) bool { return strings.Contains(words.String(), phrase) }
	return slices.ContainsFunc(broken, says) && !slices.ContainsFunc(decided, says) && !refused.MatchString(words.String())
}
