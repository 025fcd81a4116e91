package detail_test

import (
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
		{"reversed text", "a\u202eb", "<p>a[U+202E]b</p>\n"},
	} {
		if got := string(detail.Markdown(test.document, related)); got != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", test.name, got, test.want)
		}
	}
}

// harmless is all HTML that may come of a document.
var harmless = regexp.MustCompile(`^(?:<!-- raw HTML omitted -->|</?(?:p|em|strong|del|code|pre|h[4-6]|ul|ol|li|blockquote|table|thead|tbody|tr|th|td|hr|br)(?: /)?>|` +
	`<(?:ol start="\d+"|code class="language-[^"<>]*"|t[hd] style="text-align:(?:left|right|center)")>|<a href="https?://[^"<>]*" rel="noopener noreferrer nofollow">|</a>|[^<])*$`)

// No document becomes anything but harmless HTML.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{
		"[a](javascript:x)", "<a href=x>", "![x][y]\n\n[y]: data:x", "| a |\n|:-:|\n| <b> |", "<http://a\"b>", "[a](<https://x\"onclick=y>)",
		"```\"><script>\nx\n```", "1) a\n\n<!-- x -->", "[![a](1)](2)", "www.example.com https://a", "&lt;script&gt; &#60;b&#62;", "# a {#id onclick=x}",
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
	})
}
