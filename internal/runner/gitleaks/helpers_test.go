package gitleaks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// Planted secrets, put together here so that no scanner takes this file for leaky.
var (
	githubToken  = "ghp_" + "1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R"
	githubToken2 = "ghp_" + "zY9xW8vU7tS6rQ5pO4nM3lK2jI1hG0fE9dC8"
	apiKey       = "xK92" + "vLq0PmZ7tRw4YcB8nDf6"
	privateKey   = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7f3k9Zq2LwV8nTb5RyC1mUe4Jd6Hs0Ga\n" +
		"Pq3Wz8Xn5Kt7Lv2Yb9Mc4Rd1Fe6Gh0Ji3Uo8Sa5Tw7Qx2Zy\n-----END RSA " + "PRIVATE KEY-----"
)

func rulesOf(t testing.TB) *Rules {
	t.Helper()
	rules, err := LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// searchIn runs gitleaks over a directory and makes sure that no planted secret is in the result.
func searchIn(t *testing.T, content gittest.Files) []core.Finding {
	t.Helper()
	dir := t.TempDir()
	gittest.Write(t, dir, content)
	report, err := Search(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	wantNoSecret(t, fmt.Sprintf("%+v", report))
	return report.Findings
}

func wantNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{githubToken[4:], githubToken2[4:], apiKey, "MIIEow", "Pq3Wz8"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the findings: %s", secret, text)
		}
	}
}
