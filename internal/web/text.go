package web

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// The lengths to which texts from outside are cut, in characters.
const (
	maxExcerpt = 700
	maxMessage = 8000
	maxLine    = 400
	maxName    = 300
)

func (w *Web) functions() template.FuncMap {
	return template.FuncMap{
		"visible":    visible,
		"name":       func(text string) string { return cut(visible(text), maxName) },
		"message":    func(text string) string { return cut(visible(text), maxMessage) },
		"excerpt":    func(text string) string { return cut(visible(text), maxExcerpt) },
		"short":      core.ShortSHA,
		"lower":      func(word any) string { return strings.ToLower(fmt.Sprint(word)) },
		"percentile": percentile,
		"saying":     saying,
		"percent":    func(share float64) string { return percent(share) },
		"ago":        func(at time.Time) string { return ago(w.Now().Sub(at)) },
		"utc":        func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") },
		"iso":        func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"plural":     core.Plural,
		"upto":       upTo,
		"decision":   decision,
		"lines":      func(page view, list []core.KeptDelivery) deliveryLines { return deliveryLines{page, list} },
		"seconds":    seconds,
		"days":       days,
		"silent":     func(page view, silent silentHooks) silentLines { return silentLines{page, silent} },
		"bytes":      func(n int64) string { return size(float64(n)) },
		"card":       func(page view, f findingView) card { return card{page, page.Body.(scanPage), f} },
	}
}

// visible makes characters that deceive readers show: those that turn the direction of text around, that take no room,
// and that control terminals. Line breaks and tabs stay.
func visible(text string) string {
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

// cut shortens a text to so many characters, and says so.
func cut(text string, limit int) string {
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

// ago tells a person how long ago something was.
func ago(d time.Duration) string {
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

func decision(d *core.Triage) string {
	switch {
	case d == nil:
		return "undecided"
	case *d == core.FalsePositive:
		return "false positive"
	}
	return "real"
}

// saying tells visitors what they have just done.
func saying(what string) string {
	switch what {
	case saidFalsePositive:
		return "You marked this finding as a false positive."
	case saidReal:
		return "You marked this finding as real."
	case saidUndone:
		return "You took the decision back."
	}
	return "Nothing was taken back: the decision that you saw no longer stands, the history tells what was said since."
}

// upTo counts as far as the store does.
func upTo(n int, one, more string) string {
	switch {
	case n >= store.MaxCounted:
		return fmt.Sprintf("%d or more %s", store.MaxCounted, more)
	case n == 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func percent(share float64) string {
	switch p := share * 100; {
	case p > 0 && p < 1:
		return fmt.Sprintf("%.2g %%", p)
	case p < 10:
		return fmt.Sprintf("%.1f %%", p)
	case p >= 99 && p < 100: // never rounded up to what is certain
		return fmt.Sprintf("%.1f %%", math.Floor(p*10)/10)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// percentile is the share of all vulnerabilities that are less likely exploited than one; it is never all of them.
func percentile(share float64) string { return percent(min(share, 0.999)) }

// webLink is a link that leads to a web page, or empty: javascript:, data: and the like are shown as text.
func webLink(link string) string {
	parsed, err := url.Parse(strings.TrimSpace(link))
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.User != nil {
		return ""
	}
	return parsed.String()
}

// pathEscape makes a path's segments safe to stand in an address.
func pathEscape(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/")
}
