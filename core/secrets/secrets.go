// Package secrets recognises findings whose code is a secret, masks secrets in their texts, and tells secrets apart.
package secrets

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

const (
	Prefix     = "REDACTED-" // of every Mask
	minLiteral = 3           // bytes; shorter literals are not searched for in other texts
	maxMask    = 16          // bytes; a longer text that begins like a mask may be a secret
)

var (
	// secretTools report nothing but secrets.
	secretTools = regexp.MustCompile(`(?i)secret|leak|hog|passw|credential|gitguardian|ggshield|talisman|nosey|kingfisher`)
	// secretRules and secretTitles report secrets among other things.
	secretRules = regexp.MustCompile(`(?i)secret|passw|passphrase|credential|token|(api|private|access|crypt\w*|signing)[-_. ]?key|` +
		`^(B10[567]|G101|S2068|S6418|S6437|CKV_AWS_4[156]|CKV_(AZURE_45|OCI_1|PAN_1|LIN_1|BCW_1|OPENSTACK_1))$|:S(2068|6418|6437)$`)
	secretTitles = regexp.MustCompile(`(?i)hard[- ]?coded\W+(\w+\W+){0,3}(passw|credential|secret|token|\w*[- ]?key)|` +
		`(passw\w*|credentials?|secrets?|tokens?|keys?)\W+(\w+\W+){0,4}hard[- ]?coded`)
	// harmlessRules contain such words, but are not about secrets.
	harmlessRules = regexp.MustCompile(`(?i)csrf|xsrf|tokeni[sz]|keyword`)
)

// secretWeaknesses are the CWEs of secrets in code.
var secretWeaknesses = map[string]bool{
	"CWE-259": true, "CWE-321": true, "CWE-522": true, "CWE-540": true, "CWE-798": true,
}

// In tells whether the code that a finding points at is a secret, which is neither stored nor shown. Only tool,
// rule, title and weakness decide, so that all findings of one rule are treated alike.
func In(f *core.Finding) bool {
	return secretWeaknesses[f.CWE] || secretTools.MatchString(f.Tool) ||
		secretRules.MatchString(f.RuleID) && !harmlessRules.MatchString(f.RuleID) || secretTitles.MatchString(f.Title)
}

// IsMasked tells whether a text is a mask, ours or a scanner's, and not a secret.
func IsMasked(text string) bool {
	return strings.Trim(text, "*. ") == "" || strings.HasPrefix(text, "REDACTED") && len(text) <= maxMask || text == "[hidden]"
}

// MaskFinding masks the secret of a finding for which In is true, and hashes it. It masks each line of the code as a whole, because
// nobody knows where in the line the secret is. In title and message it masks what the code has between quotes, what
// they quote themselves, and digests. It masks the tool's own fingerprint, because a guess of the secret could be
// tested with it. Text that is masked already stays as it is.
func (k Key) MaskFinding(f *core.Finding) {
	if strings.HasPrefix(f.PartialFingerprint, Prefix) && strings.Contains(f.Snippet, f.PartialFingerprint) {
		return // the built-in scanner's, which knows exactly where the secret is
	}
	if f.SecretHash == "" {
		f.SecretHash = k.HashLines(aboutSecret(f))
	}
	known := k.literalsOf(f.Snippet)
	f.Title, f.Message = k.maskQuoted(f.Title, known), k.maskQuoted(f.Message, known)
	f.Secret = ""
	if f.PartialFingerprint != "" {
		f.PartialFingerprint = k.Mask(f.PartialFingerprint)
	}
	f.About.Resource = k.maskQuoted(f.About.Resource, known) // Checkov's is a digest of the secret
	lines := strings.Split(f.Snippet, "\n")
	for i, line := range lines {
		lines[i] = k.maskLine(line)
	}
	f.Snippet = strings.Join(lines, "\n")
}

// aboutSecret is what a report has of a secret: alone, or in the code, or in what the message quotes. It is empty where all of that
// is masked.
func aboutSecret(f *core.Finding) string {
	about := cmp.Or(f.Secret, strings.TrimSpace(f.Snippet))
	if about == "" {
		var quotes strings.Builder
		for _, pattern := range quoting {
			for _, match := range pattern.FindAllStringSubmatch(f.Message, -1) {
				quotes.WriteString(strings.Join(match[1:], "") + "\n")
			}
		}
		about = strings.TrimSpace(quotes.String())
	}
	var kept strings.Builder
	for line := range strings.Lines(about) {
		if !isHarmless(strings.TrimSpace(line)) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// maskLine leaves lines that hold no secret.
func (k Key) maskLine(line string) string {
	text := strings.TrimSpace(line)
	if isHarmless(text) {
		return line
	}
	return k.Mask(text)
}

// isHarmless tells whether a line only closes a block, or is masked already. One that has more than a mask is not: anybody can write
// one beside a secret.
func isHarmless(line string) bool {
	return IsMasked(line) || len(line) <= minLiteral && !strings.ContainsFunc(line, isLetterOrDigit)
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

var (
	literal = regexp.MustCompile("\"([^\"\n]+)\"|'([^'\n]+)'|`([^`\n]+)`|[:=] *([^\\s'\"`]{6,})")
	// quoted does not match the apostrophe of a word.
	quoted = regexp.MustCompile("\\B'([^'\n]+)'\\B|\\B\"([^\"\n]+)\"\\B|\\B`([^`\n]+)`\\B")
	digest = regexp.MustCompile(`\b([0-9a-fA-F]{32,128})\b`)
	// assigned is a value after a word for a secret; words of a sentence have no digits.
	assigned = regexp.MustCompile(`(?i)(?:passw\w*|secret|token|key|credential)\w*\s*[:=]+\s*([^\s'"]*[0-9!@#$%^&*_+=-][^\s'"]*)`)
)

// literalsOf replaces the texts between quotes and the values of plain assignments in code.
func (k Key) literalsOf(code string) *strings.Replacer {
	masks := map[string]string{}
	for _, match := range literal.FindAllStringSubmatch(code, -1) {
		if text := strings.Join(match[1:], ""); len(text) >= minLiteral {
			masks[text] = k.Mask(text)
		}
	}
	return Replacer(masks)
}

// Replacer replaces secrets by their masks, the longest first, because one can contain another.
func Replacer(masks map[string]string) *strings.Replacer {
	secrets := slices.SortedFunc(maps.Keys(masks), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	pairs := make([]string, 0, 2*len(secrets))
	for _, secret := range secrets {
		pairs = append(pairs, secret, masks[secret])
	}
	return strings.NewReplacer(pairs...)
}

// quoting finds texts that may be secrets in a sentence.
var quoting = []*regexp.Regexp{quoted, assigned, digest}

func (k Key) maskQuoted(text string, known *strings.Replacer) string {
	text = known.Replace(text)
	for _, pattern := range quoting {
		text = k.MaskGroups(text, pattern)
	}
	return text
}

// MaskGroups masks what the groups of a pattern match in a text.
func (k Key) MaskGroups(text string, pattern *regexp.Regexp) string {
	var masked strings.Builder
	from := 0
	for _, match := range pattern.FindAllStringSubmatchIndex(text, -1) {
		for group := 2; group < len(match); group += 2 {
			begin, end := match[group], match[group+1]
			if begin < 0 || strings.Contains(text[begin:end], Prefix) {
				continue
			}
			masked.WriteString(text[from:begin] + k.Mask(text[begin:end]))
			from = end
		}
	}
	return masked.String() + text[from:]
}
