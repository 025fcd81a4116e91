package detail_test

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/web/detail"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	related := map[int]string{1: "https://git.example/shop/blob/x/a.js#L4"}
	const rel = ` rel="noopener noreferrer nofollow"`
	for _, test := range []struct{ name, document, want string }{
		{"words", "a **b**\n\n```js\nx < 1\n```", "<p>a <strong>b</strong></p>\n<pre><code class=\"language-js\">x &lt; 1\n</code></pre>\n"},
		{"heading below the card's", "# Top", "<h4>Top</h4>\n"},
		{"related place", "[in](1)", `<p><a href="https://git.example/shop/blob/x/a.js#L4"` + rel + `>in</a></p>` + "\n"},
		{"no such place", "[in](2)", "<p>in</p>\n"},
		{"page", "[CWE](https://cwe.mitre.org/ \"t\")", `<p><a href="https://cwe.mitre.org/"` + rel + `>CWE</a></p>` + "\n"},
		{"image", "![logo](https://tracker.example/a.png)", `<p><a href="https://tracker.example/a.png"` + rel + `>logo</a></p>` + "\n"},
		{"image in a link", "[![b](https://a.example/b.png)](https://a.example/)", `<p><a href="https://a.example/"` + rel + `>b</a></p>` + "\n"},
		{"script", "<script>alert(1)</script>\n\nx <b onclick=x>y</b>", "<!-- raw HTML omitted -->\n<p>x <!-- raw HTML omitted -->y<!-- raw HTML omitted --></p>\n"},
		{"script in a link", "[x](javascript:alert(1)) <javascript:alert(1)> [y](data:text/html,z)", "<p>x javascript:alert(1) y</p>\n"},
		{"link with a password", "[x](https://user:pass@example.com/)", "<p>x</p>\n"},
		{"link with a hidden user", `[x](https://github.com&commat;evil.example/) [y](https://github.com&#38;commat;evil.example/) [z](https://github.com\@evil.example/)`, "<p>x y z</p>\n"},
		{"link with a query", `[x](https://a.example/?a=1&lt=2&amp;gt;=\\.)`, `<p><a href="https://a.example/?a=1&amp;lt=2&amp;gt;=%5C."` + rel + `>x</a></p>` + "\n"},
		{"reversed text", "a\u202eb", "<p>a[U+202E]b</p>\n"},
	} {
		if got := string(detail.Markdown(test.document, related)); got != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", test.name, got, test.want)
		}
	}
}

// What would unfold is shown as it is written.
func TestMarkdownThatUnfolds(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"table":      strings.Repeat("a|", 2048) + "\n" + strings.Repeat("-|", 2048) + "\n" + strings.Repeat("a\n", 4096),
		"lists":      strings.Repeat("+ ", 4096) + "x" + strings.Repeat("\n", 8192) + "y",
		"numbers":    strings.Repeat("1. ", 40) + "x",
		"quotes":     strings.Repeat(">", 40) + "x",
		"steps":      strings.Repeat("\t", 200) + "- x" + strings.Repeat("\n", 8192) + "y",
		"brackets":   strings.Repeat("[](", 5000),
		"stars":      strings.Repeat("*a_ ", 4000),
		"references": "[a]: https://a.example/" + strings.Repeat("b", 1500) + "\n\n" + strings.Repeat("[a] ", 900),
	} {
		if got := string(detail.Markdown(document, nil)); !strings.HasPrefix(got, `<p class="text message"`) || len(got) > 5*len(document)+50 {
			t.Errorf("%s becomes %d bytes: %.80s", name, len(got), got)
		}
	}
	for name, document := range map[string]string{
		"table": "|" + strings.Repeat("a|", 10) + "\n|" + strings.Repeat("-|", 10) + "\n" + strings.Repeat(strings.Repeat("|b", 10)+"\n", 400),
		"list":  strings.Repeat("- a\n  1. b\n     > - c\n", 400), "line": strings.Repeat("-", 80), "code": "```\n" + strings.Repeat(strings.Repeat(" ", 80)+"x\n", 150) + "```",
	} {
		if got := string(detail.Markdown(document, nil)); strings.HasPrefix(got, `<p class`) {
			t.Errorf("%s is not rendered: %.80s", name, got)
		}
	}
}

// harmless is all HTML that may come of a document.
var harmless = regexp.MustCompile(`^(?:<!-- raw HTML omitted -->|</?(?:p|em|strong|del|code|pre|h[4-6]|ul|ol|li|blockquote|table|thead|tbody|tr|th|td|hr|br)(?: /)?>|` +
	`<(?:p class="text message" dir="auto"|ol start="\d+"|code class="language-[^"<>]*"|t[hd] style="text-align:(?:left|right|center)")>|<a href="(?i:https?)://[^"<>]*" rel="noopener noreferrer nofollow">|</a>|[^<])*$`)

var (
	href      = regexp.MustCompile(`<a href="([^"]*)"`)
	plainHost = regexp.MustCompile(`(?i)^https?://[^/?#\\@]+(?:[/?#]|$)`) // without a user before it, as browsers read it
)

// No document becomes anything but harmless HTML, with links that lead where they seem to.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{
		"[a](javascript:x)", "<a href=x>", "![x][y]\n\n[y]: data:x", "| a |\n|:-:|\n| <b> |", "<http://a\"b>", "[a](<https://x\"onclick=y>)",
		"```\"><script>\nx\n```", "1) a\n\n<!-- x -->", "[![a](1)](2)", "www.example.com https://a", "&lt;script&gt; &#60;b&#62;", "# a {#id onclick=x}",
		"[a](https://b&commat;c/) <htTps://b&commat;c/>", strings.Repeat("[", 2000), `[a](https://b/\\&#38;amp;?&amp;lt;)`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		if len(document) > 4<<10 {
			return
		}
		got := string(detail.Markdown(document, map[int]string{1: "https://a.example/"}))
		if !harmless.MatchString(strings.ReplaceAll(got, "\n", " ")) {
			t.Errorf("%q becomes\n%s", document, got)
		}
		for _, link := range href.FindAllStringSubmatch(got, -1) {
			if address := html.UnescapeString(link[1]); !plainHost.MatchString(address) {
				t.Errorf("%q leads to %s", document, address)
			}
		}
	})
}
