package gitleaks

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
)

func TestCover(t *testing.T) {
	t.Parallel()
	password := core.Finding{RuleID: "hardcoded-password", Line: 2}
	tests := map[string]struct {
		name, text string
		findings   []core.Finding
		want       string
	}{
		"nothing to hide":       {"a.go", "package a\n\nfunc A() {}\n", nil, "package a\n\nfunc A() {}\n"},
		"known token":           {"a.py", "x\nT = '" + githubToken + "'\n", nil, "x\nT = '" + secrets.Key{}.Mask(githubToken) + "'\n"},
		"in others' packages":   {"node_modules/a.js", "T = '" + githubToken + "'\n", nil, "T = '" + secrets.Key{}.Mask(githubToken) + "'\n"},
		"looks like an archive": {"a.zip", "PK\x03\x04 T = '" + githubToken + "'\n", nil, "PK\x03\x04 T = '" + secrets.Key{}.Mask(githubToken) + "'\n"},
		"in base64": {
			"a", "b = '" + base64.StdEncoding.EncodeToString([]byte("token = "+githubToken+"\n")) + "'\nc\n", nil, "[hidden]\nc\n",
		},
		"not known to gitleaks": {"a", "u = 'x'\np = 'horse-battery'\nz\n", []core.Finding{password}, "u = 'x'\n[hidden]\nz\n"},
		"known to both": {
			"a", "x\nT = '" + githubToken + "'\n", []core.Finding{password}, "x\nT = '" + secrets.Key{}.Mask(githubToken) + "'\n",
		},
		"over several lines": {
			"a", "1\n2\n3\n4\n5", []core.Finding{{CWE: "CWE-798", Line: 2, EndLine: 4}}, "1\n[hidden]\n[hidden]\n[hidden]\n5",
		},
		"another weakness":   {"a", "1\n2\n", []core.Finding{{RuleID: "sql-injection", Line: 2}}, "1\n2\n"},
		"nowhere, and so on": {"a", "1\n", []core.Finding{{CWE: "CWE-798", Line: 0, EndLine: 1 << 60}, {CWE: "CWE-798", Line: 99}}, "[hidden]\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := Redact(t.Context(), secrets.Key{}, test.name, test.text, test.findings)
			if err != nil || got != test.want {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestCoverKeepsTheLinesOfAKey(t *testing.T) {
	t.Parallel()
	got, _, err := Redact(t.Context(), secrets.Key{}, "id_rsa", "# key\n"+privateKey+"\nend\n", nil)
	lines := strings.Split(got, "\n")
	if err != nil || len(lines) != strings.Count(privateKey, "\n")+4 || lines[len(lines)-2] != "end" {
		t.Errorf("%q, %v", got, err)
	}
	if strings.Contains(got, "MIIEow") || strings.Contains(got, "Pq3Wz8") {
		t.Errorf("the key is shown: %q", got)
	}
}

// A search that was broken off has not found all secrets.
func TestCoverAllOrNothing(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if got, _, err := Redact(ctx, secrets.Key{}, "a", "T = '"+githubToken+"'\n", nil); err == nil || got != "" {
		t.Errorf("%q, %v, want nothing", got, err)
	}
}
