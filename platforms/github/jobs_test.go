package github_test

import (
	"net/url"
	"testing"

	"github.com/scanhook/scanhook/platforms/github"
)

func TestIssuersOfJobTokens(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://github.com":           "https://token.actions.githubusercontent.com",
		"https://acme.ghe.com":         "https://token.actions.acme.ghe.com",
		"https://git.example.com":      "https://git.example.com/_services/token",
		"https://git.example.com:8443": "https://git.example.com:8443/_services/token",
	} {
		web, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := github.Kind().Jobs.Issuer(web); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}
