package runner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/zricethezav/gitleaks/v8/report"

	"github.com/scanhook/scanhook/core"
)

const (
	maxSnippet = 4 << 10 // bytes
	maskPrefix = "REDACTED-"
	minPiece   = 4 // shorter lines of a secret over several lines tell nothing
)

// advice ends each message: what to do about a leaked secret, in the order in which it helps.
const advice = " Revoke it where it was issued, then take it out of the code: it stays readable in the history."

// graveRules begin the names of the rules whose secrets are Critical: with them a stranger takes over infrastructure,
// source code or published packages, or is taken for somebody else. All other secrets are High.
var graveRules = []string{
	"private-key", "age-secret-key", "aws-", "azure-", "alibaba-secret-key", "digitalocean-", "yandex-aws-",
	"github-", "gitlab-", "bitbucket-client-secret", "npm-", "pypi-", "rubygems-", "clojars-", "hashicorp-tf-", "vault-",
	"kubernetes-", "openshift-", "pulumi-", "flyio-", "heroku-", "cloudflare-", "doppler-", "1password-",
}

// toFindings translates what gitleaks found in one file. The secrets themselves stay behind, also those of its other
// findings on the same line.
func toFindings(leaks []report.Finding) []core.Finding {
	veil := newVeil(leaks)
	findings := make([]core.Finding, 0, len(leaks))
	for _, leak := range leaks {
		findings = append(findings, core.Finding{
			Tool:               builtinGitleaks,
			RuleID:             leak.RuleID,
			File:               storable(leak.File),
			Line:               leak.StartLine,
			EndLine:            lastLine(leak),
			Severity:           severityOfRule(leak.RuleID),
			Title:              leak.Description,
			Message:            leak.Description + advice,
			CWE:                "CWE-798",
			Snippet:            veil.snippet(leak),
			PartialFingerprint: mask(leak.Secret),
		})
	}
	return findings
}

// lastLine is counted anew, because gitleaks loses count at the end of a file.
func lastLine(leak report.Finding) int {
	if isEncoded(leak) {
		return leak.EndLine
	}
	return leak.StartLine + strings.Count(leak.Match, "\n")
}

// isEncoded tells that the secret does not stand in the file as such, but for example in base64.
func isEncoded(leak report.Finding) bool { return !strings.Contains(leak.Line, leak.Match) }

func severityOfRule(rule string) core.Severity {
	if slices.ContainsFunc(graveRules, func(begin string) bool { return strings.HasPrefix(rule, begin) }) {
		return core.Critical
	}
	return core.High
}

// mask stands for a secret. Its four digits keep two secrets two findings, so that a new secret in the place of a known
// one is new; 16 bits are too few to test a guess of the secret with.
func mask(secret string) string {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(secret), "")))
	return maskPrefix + hex.EncodeToString(sum[:2])
}

// veil covers the secrets of one file.
type veil struct {
	masks   *strings.Replacer
	encoded map[int]bool // lines on which a secret stands in encoded form, where it cannot be covered
}

func newVeil(leaks []report.Finding) veil {
	masks := make(map[string]string)
	encoded := make(map[int]bool)
	for _, leak := range leaks {
		for piece := range strings.Lines(leak.Secret) {
			if piece = strings.TrimSpace(piece); len(piece) >= minPiece {
				masks[piece] = mask(leak.Secret)
			}
		}
		if leak.Secret != "" {
			masks[leak.Secret] = mask(leak.Secret)
		}
		for line := leak.StartLine; isEncoded(leak) && line <= leak.EndLine; line++ {
			encoded[line] = true
		}
	}
	return veil{masks: longestFirst(masks), encoded: encoded}
}

// longestFirst makes a secret that contains another one be covered as a whole.
func longestFirst(masks map[string]string) *strings.Replacer {
	secrets := make([]string, 0, len(masks))
	for secret := range masks {
		secrets = append(secrets, secret)
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, secret := range secrets {
		pairs = append(pairs, secret, masks[secret])
	}
	return strings.NewReplacer(pairs...)
}

// remainder is what a rule that stops too early leaves of a secret around its mask.
var remainder = regexp.MustCompile(`[A-Za-z0-9+_-]*(` + maskPrefix + `[0-9a-f]{4})[A-Za-z0-9+_-]*`)

// snippet is the source line that holds the secret, or the lines, with the secret masked.
func (v veil) snippet(leak report.Finding) string {
	lines := linesOf(leak)
	if lines == "" || v.encoded[leak.StartLine] || v.encoded[leak.EndLine] {
		return ""
	}
	text := remainder.ReplaceAllString(v.masks.Replace(lines), "$1")
	if len(text) > maxSnippet {
		at := max(strings.Index(text, mask(leak.Secret)), 0)
		text = text[max(at-maxSnippet/4, 0):min(at+maxSnippet/4, len(text))]
	}
	return storable(strings.TrimSpace(text))
}

// linesOf cuts the lines of the secret out of those that gitleaks gives, which may begin with the file when the secret
// is on its last line.
func linesOf(leak report.Finding) string {
	at := strings.LastIndex(leak.Line, leak.Match)
	if at < 0 || leak.Secret == "" {
		return ""
	}
	begin := at + max(strings.Index(leak.Match, leak.Secret), 0)
	end := begin + len(leak.Secret)
	begin = strings.LastIndexByte(leak.Line[:begin], '\n') + 1
	if more := strings.IndexByte(leak.Line[end:], '\n'); more >= 0 {
		return leak.Line[begin : end+more]
	}
	return leak.Line[begin:]
}

// storable makes text valid UTF-8 without NUL, which is all that PostgreSQL stores.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
