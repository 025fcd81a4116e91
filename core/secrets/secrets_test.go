package secrets_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
)

func TestIn(t *testing.T) {
	t.Parallel()
	found := []core.Finding{
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
	for i := range found {
		if !secrets.In(&found[i]) {
			t.Errorf("%+v is a secret", found[i])
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
		if secrets.In(&others[i]) {
			t.Errorf("%+v is no secret", others[i])
		}
	}
}

// Neither the length nor any part of a secret remains, and a second time changes nothing.
func TestMaskFinding(t *testing.T) {
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
		secrets.Key{}.MaskFinding(&f)
		all := f.Title + f.Message + f.Snippet + f.PartialFingerprint
		if !strings.Contains(all, secrets.Prefix) || strings.Contains(all, "ter2") || strings.Contains(all, "f3bbbd66") {
			t.Errorf("%s: %+v", name, f)
		}
		again := f
		secrets.Key{}.MaskFinding(&again)
		if again != f {
			t.Errorf("%s: again %+v, was %+v", name, again, f)
		}
	}
	plain := core.Finding{
		Title: "Detected a password", Message: "Don't keep passwords in code, it isn't safe: use a vault.", Snippet: "}",
	}
	hidden := plain
	if (secrets.Key{}).MaskFinding(&hidden); hidden != plain {
		t.Errorf("want nothing changed, got %+v", hidden)
	}
}
