package core_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain text\n\twith Ü 漢 👍🏽 👩‍👧":      "plain text\n\twith Ü 漢 👍🏽 👩‍👧",
		"a\r\nb\rc\vd\fe\u0085f":             "a\nb c d e f",
		"nul\x00 bell\a esc\x1b[31m del\x7f": "nul\uFFFD bell\uFFFD esc\uFFFD[31m del\uFFFD",
		"c1\u009b31m":                        "c1\uFFFD31m",
		"bidi\u202eabc\u2066d\u200f":         "bidi\uFFFDabc\uFFFDd\uFFFD",
		"bad\xff\xfe utf-8":                  "bad\uFFFD utf-8",
		"tags\U000E0041 line\u2028end":       "tags\uFFFD line\uFFFDend",
	} {
		if got := core.Printable(text); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}

func TestWithoutEscapes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"no escapes":                         "no escapes",
		"\x1b[1;31mred\x1b[0m":               "red",
		"\x1b]0;title\x07text":               "text",
		"\x1b]8;;http://e.vil\x1b\\link":     "link",
		"\x1bPq device\x1b\\text":            "text",
		"\x1b(Bcharset \x1bcreset \x1b7ok":   "charset reset ok",
		"\u009b31mc1":                        "c1",
		"\x1b[?25l\x1b[2Jcleared\x1b[999;1H": "cleared",
	} {
		if got := core.WithoutEscapes(text); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}
