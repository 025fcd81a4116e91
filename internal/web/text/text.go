// Package text formats values for people, and makes text from untrusted sources visible and short.
package text

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/approval"
)

// MaxName is the length in characters to which names and other short texts are cut.
const MaxName = 300

// Visible replaces the characters that deceive readers by visible ones: those that change the direction of text, that
// have no width, and that control terminals. Line breaks and tabs stay.
func Visible(text string) string {
	if strings.IndexFunc(text, deceives) < 0 && utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case !deceives(r):
			out.WriteRune(r)
		case r < ' ':
			out.WriteRune('␀' + r)
		default:
			fmt.Fprintf(&out, "[U+%04X]", r)
		}
	}
	return out.String()
}

func deceives(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < ' ', r >= 0x7f && r < 0xa0:
		return true
	case r == 0x061c, r == 0x200b, r == 0x200e, r == 0x200f, r == 0x2060, r == 0xfeff:
		return true
	}
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// Cut shortens a text to a number of characters, and says so.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for i := range text {
		if limit == 0 {
			return text[:i] + "… (cut)"
		}
		limit--
	}
	return text
}

// Short is a visible text of at most limit characters.
func Short(text string, limit int) string { return Cut(Visible(text), limit) }

// Ago tells how long ago something was.
func Ago(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// Days is a duration in whole days.
func Days(d time.Duration) string { return core.Plural(int(d/(24*time.Hour)), "day") }

// Seconds is a duration in the unit that suits it.
func Seconds(value float64) string {
	switch {
	case value < 600:
		return fmt.Sprintf("%.3g s", value)
	case value < 7200:
		return fmt.Sprintf("%.3g min", value/60)
	}
	return fmt.Sprintf("%.3g h", value/3600)
}

// Size is a number of bytes in the unit that suits it.
func Size(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if bytes < 1000 {
			return fmt.Sprintf("%.3g %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.3g TB", bytes)
}

// Percent writes a share between 0 and 1.
func Percent(share float64) string {
	switch p := share * 100; {
	case p > 0 && p < 1:
		return fmt.Sprintf("%.2g %%", p)
	case p < 10:
		return fmt.Sprintf("%.1f %%", p)
	case p >= 99 && p < 100: // never rounded up to certainty
		return fmt.Sprintf("%.1f %%", math.Floor(p*10)/10)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// Percentile is the share of all vulnerabilities that are less likely exploited than one; it is never all of them.
func Percentile(share float64) string { return Percent(min(share, 0.999)) }

// Number writes a number with separators: 12,345. It is empty for a negative one, which is unknown.
func Number(n int) string {
	if n < 0 {
		return ""
	}
	return humanize.Comma(int64(n))
}

// FirstLine is the first line of a text that has one.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// AlertAddress is the address of an alert's page, below the base.
func AlertAddress(platform, project string, number int) string {
	return fmt.Sprintf("/alerts/%s/%s/%d", platform, project, number)
}

// UpTo is a number of things that were counted as far as most.
func UpTo(n, most int, one, more string) string {
	switch {
	case n >= most:
		return fmt.Sprintf("%d or more %s", most, more)
	case n == 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// Decision is a triage decision for people; nil is none.
func Decision(d *core.Triage) string {
	switch {
	case d == nil:
		return "undecided"
	case *d == core.FalsePositive:
		return "false positive"
	}
	return "real"
}

// Said is a decision for people, with the reason for which it dismisses what is real.
func Said(d *core.Triage, why core.Dismissal) string {
	if why.Reason == "" || why.Reason == core.AsFalsePositive {
		return Decision(d)
	}
	return why.Words()
}

// Proposed is for what reason an event of a history proposed a dismissal, "back" where one was taken back, and empty for another event.
func Proposed(e core.TriageEvent) string {
	switch said, proposes := approval.Proposed(e); {
	case !proposes:
		return ""
	case said.Reason == "":
		return "back"
	default:
		return said.Words()
	}
}

// Opinion is an AI's verdict in words, or as it is where it is none of those that AIs are asked for.
func Opinion(verdict string) string {
	switch strings.ToLower(strings.NewReplacer(" ", "_", "-", "_").Replace(verdict)) {
	case "true_positive", "tp":
		return "thinks that it is real"
	case "false_positive", "fp":
		return "thinks that it is a false positive"
	case "unsure", "uncertain", "needs_review", "unknown":
		return "is not sure"
	}
	return "says: " + Short(verdict, MaxName)
}

// WebLink is a link to a web page, or empty: javascript:, data: and the like must not become links.
func WebLink(link string) string {
	parsed, err := url.Parse(strings.TrimSpace(link))
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.User != nil {
		return ""
	}
	return parsed.String()
}

// Enumerate lists names as in a sentence: a, b and c.
func Enumerate(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
