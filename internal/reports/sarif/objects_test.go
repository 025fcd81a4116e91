package sarif_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestParseMessage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ result, want string }{
		"text":                     {`"message":{"text":" hello "}`, "hello"},
		"text before markdown":     {`"message":{"text":"a","markdown":"*a*"}`, "a"},
		"markdown alone":           {`"message":{"markdown":"*a*"}`, "*a*"},
		"rule's string":            {`"ruleId":"scored","message":{"id":"m","arguments":["a","b"]}`, "b of a {x} {9}"},
		"tool's string":            {`"message":{"id":"all","arguments":["you"]}`, "for you"},
		"unknown string":           {`"ruleId":"err","message":{"id":"what"}`, "An error"},
		"arguments in a text":      {`"message":{"text":"{0}{0}","arguments":["x"]}`, "xx"},
		"argument with a brace":    {`"message":{"text":"{0} {1}","arguments":["{1}","b"]}`, "{1} b"},
		"braces without arguments": {`"message":{"text":"fmt {0} {{y}} }"}`, "fmt {0} {{y}} }"},
		"link to a location": {
			`"message":{"text":"[input](1) meets [docs](https://a.b)"}`,
			"input meets [docs](https://a.b)",
		},
		"none, but a rule":      {`"ruleId":"err"`, "An error"},
		"none, but a long rule": {`"ruleId":"odd","message":null`, "Full"},
		"NUL":                   {`"message":{"text":"a\u0000b"}`, "a\uFFFDb"},
		"half a surrogate":      {`"message":{"text":"a\ud800b"}`, "a\uFFFDb"},
		"invalid UTF-8":         {"\"message\":{\"text\":\"a\xffb\"}", "a\uFFFDb"},
		"too long": {
			`"message":{"text":"` + strings.Repeat("é", 5000) + `"}`,
			strings.Repeat("é", 4094) + "…",
		},
		"bomb of arguments": {
			`"message":{"text":"` + strings.Repeat("{0}", 5000) + `","arguments":["` + strings.Repeat("x", 9000) + `"]}`,
			strings.Repeat("x", 8189) + "…",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := reportstest.Only(t, result(test.result)).Message; got != test.want {
				t.Errorf("want %.80q, got %.80q", test.want, got)
			}
		})
	}
}

func TestParseFingerprints(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ result, want string }{
		"none":          {``, ""},
		"sorted":        {`"partialFingerprints":{"b":"2","a":"1"}`, "a=1\nb=2"},
		"both kinds":    {`"partialFingerprints":{"a":"1"},"fingerprints":{"0":"x"}`, "0=x\na=1"},
		"escapes":       {`"partialFingerprints":{"a\"b":"1\n2","c":"d"}`, "a\"b=1\n2\nc=d"},
		"not strings":   {`"partialFingerprints":{"a":{"value":"x"},"b":"2","c":3,"d":["e","f"]}`, "b=2"},
		"value after":   {`"partialFingerprints":{"a":"1","b":{"c":"d"}}`, "a=1"},
		"not an object": {`"partialFingerprints":["a","b"]`, ""},
		"empty array":   {`"partialFingerprints":[]`, ""},
		"null":          {`"partialFingerprints":null`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := reportstest.Only(t, result(test.result)).PartialFingerprint; got != test.want {
				t.Errorf("want %q, got %q", test.want, got)
			}
		})
	}
}
