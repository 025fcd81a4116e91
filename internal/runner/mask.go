package runner

import (
	"slices"
	"strings"

	"github.com/zricethezav/gitleaks/v8/report"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

const maxSnippet = 4 << 10 // bytes

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
	redactor := reports.NewRedactor(leaks)
	findings := make([]core.Finding, 0, len(leaks))
	for _, leak := range leaks {
		findings = append(findings, core.Finding{
			Tool:               builtinGitleaks,
			RuleID:             leak.RuleID,
			File:               core.Printable(leak.File),
			Line:               leak.StartLine,
			EndLine:            lastLine(leak),
			Severity:           severityOfRule(leak.RuleID),
			Title:              leak.Description,
			Message:            leak.Description + advice,
			CWE:                "CWE-798",
			Snippet:            snippetOf(leak, redactor),
			PartialFingerprint: core.Mask(leak.Secret),
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

// snippetOf is the source line that holds the secret, or the lines, with the secret masked.
func snippetOf(leak report.Finding, redactor reports.Redactor) string {
	lines := linesOf(leak)
	if lines == "" || redactor.Encoded(leak.StartLine) || redactor.Encoded(leak.EndLine) {
		return ""
	}
	text := redactor.Line(lines)
	if len(text) > maxSnippet {
		at := max(strings.Index(text, core.Mask(leak.Secret)), 0)
		text = text[max(at-maxSnippet/4, 0):min(at+maxSnippet/4, len(text))]
	}
	return core.Printable(strings.TrimSpace(text))
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
