package core_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
)

func TestJSONFault(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]struct {
		at    int
		fault string
	}{
		``:                                      {},
		`{"a":"é💥\n\\u0000"}`:                   {}, // a backslash, and the word u0000
		`"\u00e9 \ud83d\udca5 \uD83D\uDCA5 \\"`: {},
		"\"\x00\"":                              {1, "NUL"},
		`"\u0000"`:                              {1, "NUL"},
		`"\\\u0000"`:                            {3, "NUL"},
		`{"\u0000":1}`:                          {2, "NUL"},
		"\"é\xff\"":                             {3, "not UTF-8"},
		"\"\xed\xa0\x80\"":                      {1, "not UTF-8"},
		`"\ud800"`:                              {1, "half a character"},
		`"\udca5"`:                              {1, "half a character"},
		`"\ud83d\u0041"`:                        {1, "half a character"},
		`"\ud83d\\udca5"`:                       {1, "half a character"},
		`"\ud83`:                                {}, // no JSON, which others say
		`\`:                                     {},
	} {
		at, fault := core.JSONFault([]byte(document))
		if at != want.at || (fault == "") != (want.fault == "") || !strings.Contains(fault, want.fault) {
			t.Errorf("%q: %q at %d, want %q at %d", document, fault, at, want.fault, want.at)
		}
	}
}

// What has no fault is decoded to text that can be stored, without U+FFFD that was not there.
func FuzzJSONFault(f *testing.F) {
	for _, seed := range []string{`"a"`, `"\u0000"`, `{"\ud83d\udca5":"\\"}`, "\"\xff\"", `["\ud800"]`, "\"\ufffd\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		at, fault := core.JSONFault(document)
		var text string
		if err := json.Unmarshal(document, &text); err != nil {
			return
		}
		replaced := strings.Contains(text, "\uFFFD") && !strings.Contains(string(document), "\uFFFD") &&
			!strings.Contains(strings.ToLower(string(document)), `\ufffd`)
		if fault == "" && (replaced || !utf8.ValidString(text) || strings.ContainsRune(text, 0)) {
			t.Errorf("%q is %q, no fault was found", document, text)
		}
		if fault != "" && (at < 0 || at >= len(document)) {
			t.Errorf("%q: %s at %d", document, fault, at)
		}
	})
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\x00", "\xff", "\xed\xa0\x80"} {
		if err := core.CheckText("the branch", text); err == nil || !strings.HasPrefix(err.Error(), "invalid: the branch holds ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := core.CheckText("the branch", "é\n\U0001F4A5"); err != nil {
		t.Error(err)
	}
}

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
		"zero\u200bwidth \ufeffmark":         "zero\uFFFDwidth \uFFFDmark",
		"soft\u00adhyphen \u0601number":      "soft\u00adhyphen \u0601number",
	} {
		if got := core.Printable(text); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"one line": "one line", "a\nb\tc\r\nd": "a b c d", "nul\x00": "nul\uFFFD", "": "",
	} {
		if got := core.Line(text); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]string{9: "ab漢cd.", 8: "ab漢cd.", 7: "ab…", 5: "ab…", 3: "…", 2: "", 0: ""} {
		if got := core.Clip("ab漢cd.", limit); got != want || len(got) > limit {
			t.Errorf("%d bytes: want %q, got %q", limit, want, got)
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

func TestTruncateCountsCharacters(t *testing.T) {
	t.Parallel()
	got := core.Truncate(strings.Repeat("é", 200))
	if n := utf8.RuneCountInString(got); n != core.MaxDescription || !utf8.ValidString(got) {
		t.Errorf("%d characters, want %d", n, core.MaxDescription)
	}
	if short := "2 new (1 critical)"; core.Truncate(short) != short {
		t.Error("a short text was changed")
	}
}

func TestAppendReasonKeepsTheReasonWhole(t *testing.T) {
	t.Parallel()
	const reason = "CVE-2024-3094 now in KEV"
	if got := core.AppendReason("1 new (1 medium)", reason); got != "1 new (1 medium), "+reason {
		t.Errorf("AppendReason = %q", got)
	}
	if got := core.AppendReason("1 new", ""); got != "1 new" {
		t.Errorf("AppendReason without a reason = %q", got)
	}
	got := core.AppendReason(strings.Repeat("é", core.MaxDescription), reason)
	if utf8.RuneCountInString(got) != core.MaxDescription || !strings.HasSuffix(got, "…, "+reason) {
		t.Errorf("AppendReason of a long summary = %q", got)
	}
}
