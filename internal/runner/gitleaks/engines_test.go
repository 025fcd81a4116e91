package gitleaks

import (
	"maps"
	"math/rand/v2"
	stdregexp "regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/regexp"
)

// The engine of release builds, RE2, matches what that of the standard library does: every expression of the rules, in texts
// that it matches and in broken ones, as they are after decoding. Run it with -tags gore2regex.
func TestEnginesAgree(t *testing.T) {
	t.Parallel()
	if regexp.Version == "stdlib" {
		t.Skip("built without the tag gore2regex: there is one engine")
	}
	random := rand.New(rand.NewPCG(3, 4))
	rules := rulesOf(t).detector.Config
	matched, texts := 0, 0
	for _, id := range slices.Sorted(maps.Keys(rules.Rules)) {
		for i, engine := range expressionsOf(rules.Rules[id]) {
			standard := stdregexp.MustCompile(engine.String())
			for _, text := range nasty(random, engine.String()) {
				want, got := standard.FindAllStringIndex(text, -1), engine.FindAllStringIndex(text, -1)
				if !slices.EqualFunc(want, got, slices.Equal) {
					t.Errorf("%s, expression %d: standard library %v, RE2 %v in %.300q", id, i, want, got, text)
				}
				if want := standard.FindStringSubmatch(text); !slices.Equal(want, engine.FindStringSubmatch(text)) {
					t.Errorf("%s, expression %d: want groups %q in %.300q", id, i, want, text)
				}
				texts++
				matched += min(len(want), 1)
			}
		}
	}
	if matched*2 < texts {
		t.Errorf("want most of the texts to match, got %d of %d", matched, texts)
	}
}

func expressionsOf(rule config.Rule) (all []*regexp.Regexp) {
	for _, one := range []*regexp.Regexp{rule.Regex, rule.Path} {
		if one != nil {
			all = append(all, one)
		}
	}
	for _, list := range rule.Allowlists {
		all = append(append(all, list.Paths...), list.Regexes...)
	}
	return all
}

// nasty are texts in which an expression matches, as they come out of files of all kinds.
func nasty(random *rand.Rand, expression string) (texts []string) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		panic(err)
	}
	for range 4 {
		var match strings.Builder
		generate(&match, random, parsed)
		secret := match.String()
		half := len(secret) / 2
		for _, data := range []string{
			secret, " " + secret + " ", "a = \"" + secret + "\"\r\nnext\r\n", secret + "\n" + secret, strings.ToUpper(secret),
			"\xff" + secret + "\xfe", "caf\xe9 '" + secret + "' gr\xfc\xdf", "\x00" + secret + "\x00", "ä'" + secret + "'ß",
			secret[:half] + "\xe9" + secret[half:], secret[:half] + "\u2028" + secret[half:], secret[:half] + "\r\n" + secret[half:],
			strings.Repeat("x", 200) + " " + secret, "\xff\xfe" + wide16("t = '"+secret+"'\n"), wide16("t = '" + secret + "'\n"),
			"\xed\xa0\x80 " + secret + " \xf4\x90\x80\x80", "K = '" + secret + "' ſ",
		} {
			text, _ := raw(data).text()
			texts = append(texts, text)
		}
	}
	return texts
}

// wide16 is a text in UTF-16, little endian.
func wide16(text string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

// generate writes a text that an expression matches, as far as no word boundary spoils it.
func generate(out *strings.Builder, random *rand.Rand, e *syntax.Regexp) {
	repeat := func(least, most int) {
		if most < 0 || most > least+20 {
			most = least + 20
		}
		for range least + random.IntN(most-least+1) {
			generate(out, random, e.Sub[0])
		}
	}
	switch e.Op {
	case syntax.OpLiteral:
		out.WriteString(string(e.Rune))
	case syntax.OpCharClass:
		at := 2 * random.IntN(len(e.Rune)/2)
		first, last := e.Rune[at], min(e.Rune[at+1], e.Rune[at]+300)
		out.WriteRune(first + random.Int32N(last-first+1))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteRune([]rune("aZ9 ;ä\uFFFD\t")[random.IntN(8)])
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(e.Min, e.Max)
	case syntax.OpAlternate:
		generate(out, random, e.Sub[random.IntN(len(e.Sub))])
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range e.Sub {
			generate(out, random, sub)
		}
	}
}
