package strictyaml

import (
	"strings"
	"testing"
)

// What is no YAML is told in a sentence, at the line where a person has to change something.
func TestSyntaxProblems(t *testing.T) {
	t.Parallel()
	const (
		tab       = "the line is indented with a tab: write spaces instead"
		quote     = "the quotation mark here is never closed"
		noKey     = "this line is no key with a value: write key: value, with a space behind the colon"
		stray     = "this does not belong here: indent it like the keys beside it, and remove brackets that close none"
		another   = "the value here goes on with another key: quote it if it holds a colon, else indent the next line like this one"
		afterText = "something follows the quotation mark that closes a value, or one stands within it"
		reserved  = "put quotation marks around the value here, which begins with a character that YAML reserves"
		asterisk  = "put quotation marks around the value here, if it begins with an asterisk"
	)
	open := func(bracket, place string) string {
		return "the " + bracket + " of " + place + " is not closed before this, or a comma is missing"
	}
	for text, want := range map[string]string{
		"server:\n\tlisten: x\n":                                       "2:1: " + tab,
		"server:\n  listen: x\n\tpublic_url: y\n":                      "3:1: " + tab,
		"server:\n  \tlisten: x\n\n":                                   "2:3: " + tab,
		"server: {listen: x\ndatabase:\n  url: y\n":                    "2:1: " + open("{", "line 1, column 9"),
		"server: {listen: x\n":                                         "1:9: the { here is never closed: write } at its end",
		"server: {listen: x public_url: y}\n":                          "1:1: a bracket that opens near this line is not closed, or a comma is missing behind it",
		"platforms:\n  a:\n    webhook_secrets: [a, b\n    token: x\n": "4:5: " + open("[", "line 3, column 22"),
		"api:\n  tokens: [{name: a}, [b], {token: b\n":                 "2:28: the { here is never closed: write } at its end",
		"server:\n  listen: 'x\ndatabase:\n  url: y\n":                 "2:11: " + quote,
		"server:\n  listen: \"x\n":                                     "2:11: " + quote,
		"platforms:\n  a:\n    webhook_secrets: [\"a\", \"b]\n":        "3:28: " + quote,
		"server:\n  listen: 'it's'\n":                                  "2:15: " + afterText,
		"server:\n  listen x\n  public_url: y\n":                       "2:3: " + noKey,
		"server:\n  listen:x\n  public_url: y\n":                       "2:3: " + noKey,
		"server\n  listen: x\n":                                        "1:1: " + noKey,
		"server:\n  listen: a: b\n":                                    "2:11: " + another,
		"server:\n  listen: a\n   public_url: b\n":                     "2:11: " + another,
		"server:\n   listen: a\n  public_url: b\n":                     "3:3: " + stray,
		"server: {a: b}}\n":                                            "1:15: " + stray,
		"server: ]\n":                                                  "1:9: the bracket here closes none: remove it, or put quotation marks around the value",
		"server:\n  listen: @x\n":                                      "2:11: " + reserved,
		"server:\n  listen: `x`\n":                                     "2:11: " + reserved,
		"repositories:\n  - match: **\n":                               "2:13: " + asterisk,
		"server:\n  listen: *x\n":                                      "1:1: put quotation marks around values that begin with * or &",
		"server: \x00":                                                 "1:1: control characters are not allowed",
	} {
		place, sentence, _ := strings.Cut(want, ": ")
		want := "c.yaml:" + place + ": not valid YAML: " + sentence
		report := Decode([]byte(text), new(struct{}), variables{}.lookup)
		if err := report.Err("c.yaml"); err == nil || report.Whole() || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
