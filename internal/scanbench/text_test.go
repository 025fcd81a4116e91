//go:build linux

package scanbench

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Words of which the text consists. Some of them make the scanner look closer, as words of real code do.
var (
	verbs = strings.Fields("read write open close parse format load store send receive find make merge split check update remove count")
	nouns = strings.Fields("user order invoice payment request response token key secret password client server config session cache " +
		"queue worker event message report index record table field value entry group account address region bucket stream")
	kinds = strings.Fields("string int bool error []byte float64 time.Duration map[string]string")
)

// languages are ways to write a few lines, by the ending of the file.
var languages = map[string]func(r *rand.Rand) string{
	"go": func(r *rand.Rand) string {
		return fmt.Sprintf("// %[1]s%[2]s %[3]ss the %[4]s of one %[5]s.\nfunc (s *%[5]s) %[1]s%[2]s(ctx context.Context, %[4]s %[6]s) error {\n"+
			"\tif err := s.%[3]s(ctx, %[4]s, %[7]d); err != nil {\n\t\treturn fmt.Errorf(\"cannot %[3]s %[4]s: %%w\", err)\n\t}\n\treturn nil\n}\n\n",
			title(pick(r, verbs)), title(pick(r, nouns)), pick(r, verbs), pick(r, nouns), pick(r, nouns), pick(r, kinds), r.IntN(9000))
	},
	"py": func(r *rand.Rand) string {
		return fmt.Sprintf("def %[1]s_%[2]s(self, %[3]s, limit=%[4]d):\n    \"\"\"Return each %[3]s that the %[2]s has.\"\"\"\n"+
			"    for %[3]s_id in self.%[2]ss.values():\n        if %[3]s_id > limit:\n            yield self.%[5]s(%[3]s_id)\n\n",
			pick(r, verbs), pick(r, nouns), pick(r, nouns), r.IntN(9000), pick(r, verbs))
	},
	"ts": func(r *rand.Rand) string {
		return fmt.Sprintf("export async function %[1]s%[2]s(%[3]s: %[2]s): Promise<void> {\n  const %[4]s = await fetch(`/api/%[3]s/${%[3]s.id}?page=%[5]d`);\n"+
			"  if (!%[4]s.ok) throw new Error('%[2]s: ' + %[4]s.status);\n}\n\n",
			pick(r, verbs), title(pick(r, nouns)), pick(r, nouns), pick(r, nouns), r.IntN(9000))
	},
	"yaml": func(r *rand.Rand) string {
		return fmt.Sprintf("- name: %s the %s\n  %s: {retries: %d, timeout: %ds}\n  digest: \"%08x\"\n", pick(r, verbs), pick(r, nouns), pick(r, nouns),
			r.IntN(9), r.IntN(90), r.Uint32())
	},
}

var endings = []string{"go", "py", "ts", "yaml"}

func pick(r *rand.Rand, words []string) string { return words[r.IntN(len(words))] }

func title(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// textOf is a text of a size that looks like code of a kind.
func textOf(r *rand.Rand, ending string, size int) string {
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(languages[ending](r))
	}
	return text.String()
}

// secret is a line with a secret of one of the kinds that the rules know. Its beginning is put together here so that no scanner
// takes this file for leaky.
func secret(r *rand.Rand, n int) (line, rule string) {
	letters := func(alphabet string, n int) string {
		var text strings.Builder
		for range n {
			text.WriteByte(alphabet[r.IntN(len(alphabet))])
		}
		return text.String()
	}
	const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	switch n % 3 {
	case 0:
		return "deploy: gh" + "p_" + letters(alphanumeric, 36) + "\n", "github-pat"
	case 1:
		return "deploy: gl" + "pat-" + letters(alphanumeric, 20) + "\n", "gitlab-pat"
	}
	return "deploy: AK" + "IA" + letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16) + "\n", "aws-access-token"
}
