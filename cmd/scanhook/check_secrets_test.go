package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// Whoever has taken the signing token out of the configuration has nothing to mend.
func TestCheckTellsOfRefusedCallsWhileCallsCanBeSigned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(dir, "scanhook.db")})
	if err != nil {
		t.Fatal(err)
	}
	for _, signed := range []bool{true, false} {
		d := core.Delivery{Platform: "gitlab", Key: "k", Name: "Push Hook", Project: "acme/shop"}
		d.Proof = core.Proof{SecretID: "0a", Place: "x", Signed: signed, MaySign: true}
		if _, err := s.AcceptIgnored(t.Context(), d, "x"); signed != (err == nil) {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	const warning = "warn  signatures of gitlab/acme/shop: 1 call refused"
	const signing = `signing_tokens: ["whsec_c2Nhbmhvb2sgdGVzdCBzaWduaW5nIHRva2VuIQ=="]`
	for name, test := range map[string]struct {
		platforms, repositories string
		warns                   bool
	}{
		"for all":    {`gitlab: {` + signing + `}`, `{match: "**"}`, true},
		"for it":     {`gitlab: {}`, `{match: "gitlab/acme/*", ` + signing + `}`, true},
		"for others": {`gitlab: {}`, `{match: "gitlab/other/*", ` + signing + `}`, false},
		"for none":   {`gitlab: {webhook_secrets: [secret-of-gitlab]}`, `{match: "**"}`, false},
		"elsewhere":  {`forge: {type: gitlab, url: "http://127.0.0.1:1", ` + signing + `}`, `{match: "**"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.ReplaceAll(checkStart, "DIR", dir) +
				"platforms: {" + test.platforms + "}\nrepositories: [" + test.repositories + "]"
			text = strings.ReplaceAll(text, "gitlab: {", `gitlab: {url: "http://127.0.0.1:1", `)
			got := command(t, "check", "--config", writeFile(t, text))
			if strings.Contains(got.out, warning) != test.warns {
				t.Errorf("want it to warn %t:\n%s%s", test.warns, got.out, got.errs)
			}
		})
	}
}
