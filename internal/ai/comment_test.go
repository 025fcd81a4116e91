package ai

import (
	"strings"
	"testing"
)

func TestInCode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		source string // the quote is "safe(x)"
		want   bool
	}{
		"code":                     {"a\n  safe(x)\n", true},
		"the whole file":           {"safe(x)", true},
		"after an address":         {"get('https://a.example', safe(x))", true},
		"after a closed comment":   {"/* a */\nsafe(x)\n", true},
		"after a closed docstring": {"\"\"\"a\"\"\"\nsafe(x)\n", true},
		"in code and in a comment": {"# safe(x)\nsafe(x)\n", true},
		"code before a comment":    {"safe(x) // it is\n", true},
		"a pointer":                {"*p = safe(x);", true},
		"an option":                {"run --safe(x)", true},
		"#":                        {"a\n  # safe(x)\n", false},
		"//":                       {"// safe(x)\n", false},
		"after code, //":           {"a() // safe(x)\n", false},
		"after code, #":            {"a()  # safe(x)\n", false},
		"SQL":                      {"-- safe(x)\n", false},
		"Lisp":                     {";; safe(x)\n", false},
		"HTML":                     {"<p><!-- safe(x) --></p>", false},
		"HTML, many lines":         {"<!--\nsafe(x)\n-->", false},
		"block":                    {"/*\n * safe(x)\n */", false},
		"block without stars":      {"/*\nsafe(x)\n*/", false},
		"docstring":                {"def f():\n    \"\"\"\n    safe(x)\n    \"\"\"\n", false},
		"nowhere":                  {"a\n", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := inCode(test.source, "safe(x)"); got != test.want {
				t.Errorf("%q: in code %t, want %t", test.source, got, test.want)
			}
		})
	}
	if inCode("# safe(x)\n", "# safe(x)") || inCode("a()\n  # safe(x)\n", "\n  # safe(x)") {
		t.Error("a quote with the comment's sign counts as code")
	}
	if inCode(strings.Repeat("# safe(x)\n", 1<<16), "safe(x)") {
		t.Error("comments count as code when there are many")
	}
}
