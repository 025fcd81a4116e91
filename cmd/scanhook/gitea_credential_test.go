package main

import (
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitea"
)

// What the README asks of a token is enough, and less is noticed before a commit waits.
func testGiteaCredential(t *testing.T, w *giteaSandbox) {
	for name, test := range map[string]struct {
		token string
		code  int // of the refusal; 0: there is none
	}{
		"right":      {w.addToken(t, giteaOwner, "write:repository"), 0},
		"too narrow": {w.addToken(t, giteaOwner, "write:user"), 403},
		"wrong":      {"0123456789012345678901234567890123456789", 401},
	} {
		adapter, err := gitea.New(platforms.Config{Name: "gitea", URL: w.base, Token: test.token})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = adapter.CheckCredential(t.Context()); platforms.CodeOf(err) != test.code || (err == nil) != (test.code == 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
