package core_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestHoldsSecret(t *testing.T) {
	t.Parallel()
	secrets := []core.Finding{
		{Tool: "gitleaks", RuleID: "github-pat"},
		{Tool: "TruffleHog", RuleID: "AWS"},
		{Tool: "detect-secrets", RuleID: "Base64HighEntropyString"},
		{Tool: "ggshield", RuleID: "Slack Bot"},
		{Tool: "semgrep", RuleID: "python.lang.security.hardcoded-token"},
		{Tool: "semgrep", RuleID: "generic.secrets.security.detected-aws-access-key-id-value"},
		{Tool: "semgrep", RuleID: "my.rule", CWE: "CWE-798"},
		{Tool: "Trivy", RuleID: "private-key"},
		{Tool: "Trivy", RuleID: "github-pat", CWE: "CWE-798"},
		{Tool: "bandit", RuleID: "B105"},
		{Tool: "bandit", RuleID: "B106"},
		{Tool: "bandit", RuleID: "B107"},
		{Tool: "gosec", RuleID: "G101"},
		{Tool: "checkov", RuleID: "CKV_SECRET_6"},
		{Tool: "checkov", RuleID: "CKV_AWS_41"},
		{Tool: "SonarQube", RuleID: "python:S2068"},
		{Tool: "SonarQube", RuleID: "S6418"},
		{Tool: "other", RuleID: "R1", Title: "Hard-coded credentials are security-sensitive"},
		{Tool: "other", RuleID: "R2", Title: "Credentials should not be hard-coded"},
		{Tool: "CodeQL", RuleID: "js/hardcoded-credentials"},
		{Tool: "GitLab Secret Detection", RuleID: "AWS"},
	}
	for i := range secrets {
		if !secrets[i].HoldsSecret() {
			t.Errorf("%+v is a secret", secrets[i])
		}
	}
	others := []core.Finding{
		{Tool: "semgrep", RuleID: "sql-injection", CWE: "CWE-89"},
		{Tool: "CodeQL", RuleID: "js/missing-csrf-token", Title: "Missing CSRF token"},
		{Tool: "CodeQL", RuleID: "cpp/memory-leak"},
		{Tool: "gosec", RuleID: "G304"},
		{Tool: "bandit", RuleID: "B1055"},
		{Tool: "trivy", RuleID: "CVE-2024-3094", Title: "xz: malicious code"},
		{Tool: "other", RuleID: "R3", Title: "Hard-coded temporary directory"},
	}
	for i := range others {
		if others[i].HoldsSecret() {
			t.Errorf("%+v is no secret", others[i])
		}
	}
}

// Neither the length nor any part of a secret remains, and a second time changes nothing.
func TestHideSecret(t *testing.T) {
	t.Parallel()
	tests := map[string]core.Finding{
		"code":            {Snippet: "password = 'hunter2'"},
		"code of lines":   {Snippet: "x = [\n  'hunter2',\n]"},
		"quoted":          {Message: "Possible hardcoded password: 'hunter2'"},
		"quoted twice":    {Message: `"a" and "hunter2" are known`},
		"marked":          {Message: "the value `hunter2` is secret"},
		"assigned":        {Message: "found password=hunter2 in the code"},
		"as in the code":  {Message: "hunter2 is hard-coded", Snippet: `p := "hunter2"`},
		"with a quote":    {Message: "password: 'hun'ter2'", Snippet: `p := "hun'ter2"`},
		"part of another": {Message: "hunter2hunter2 is known", Snippet: `f("hunter2", "hunter2hunter2")`},
		"title":           {Title: "Hardcoded 'hunter2'"},
		"digest":          {Message: "Resource: f3bbbd66a63d4bf1747940578ec3d0103530e21d."},
		"own fingerprint": {PartialFingerprint: "f3bbbd66a63d4bf1747940578ec3d0103530e21d hunter2"},
		"beside a mask":   {Snippet: "a = 'REDACTED-0000'\nb = 'hunter2'"},
	}
	for name, f := range tests {
		f.HideSecret()
		all := f.Title + f.Message + f.Snippet + f.PartialFingerprint
		if !strings.Contains(all, core.MaskPrefix) || strings.Contains(all, "ter2") || strings.Contains(all, "f3bbbd66") {
			t.Errorf("%s: %+v", name, f)
		}
		again := f
		again.HideSecret()
		if again != f {
			t.Errorf("%s: again %+v, was %+v", name, again, f)
		}
	}
	plain := core.Finding{
		Title: "Detected a password", Message: "Don't keep passwords in code, it isn't safe: use a vault.", Snippet: "}",
	}
	hidden := plain
	if hidden.HideSecret(); hidden != plain {
		t.Errorf("want nothing changed, got %+v", hidden)
	}
}

// A masked secret is the same finding in the next commit where it moves, another one where its value changes.
func TestCompareTellsMaskedSecretsApart(t *testing.T) {
	t.Parallel()
	report := func(line int, code string) []core.Finding {
		f := core.Finding{Tool: "semgrep", RuleID: "hardcoded-token", File: "a.py", Line: line, Message: "A token.", Snippet: code}
		f.HideSecret()
		return []core.Finding{f}
	}
	old := report(3, "token = 'one-secret-value'")
	core.Compare(old, core.Past{})
	known := core.Remember(core.Known{
		Fingerprint: old[0].Fingerprint, Anchor: old[0].Anchor, File: "a.py", Line: 3,
	})
	for code, want := range map[string]core.BaselineState{
		"token = 'one-secret-value'":      core.Unchanged,
		"\ttoken  =  'one-secret-value' ": core.Unchanged,
		"token = 'another-secret'":        core.New,
	} {
		now := report(9, code)
		core.Compare(now, core.Past{Known: known})
		if now[0].BaselineState != want {
			t.Errorf("%s is %s, want %s", code, now[0].BaselineState, want)
		}
	}
}
