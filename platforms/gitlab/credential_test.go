package gitlab_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

func TestCheckCredential(t *testing.T) {
	t.Parallel()
	const active = `{"id":7,"active":true,"revoked":false,`
	for name, test := range map[string]struct {
		code     int
		self     string
		userCode int
		expires  string
		says     string // of the error; empty: there is none
		denied   bool
	}{
		"right":                  {200, active + `"scopes":["api"],"expires_at":"2026-04-01"}`, 0, "2026-04-01", "", false},
		"without an end":         {200, active + `"scopes":["read_user","api"],"expires_at":null}`, 0, "", "", false},
		"permissions one by one": {200, active + `"scopes":["granular"]}`, 0, "", "", false},
		"too narrow": {200, active + `"scopes":["read_api","read_user"]}`, 0, "",
			"has the scopes read_api, read_user and lacks api", true},
		"revoked":               {200, `{"id":7,"active":false,"revoked":true,"scopes":["api"]}`, 0, "", "is revoked", true},
		"wrong":                 {401, `{"message":"401 Unauthorized"}`, 0, "", "wrong or expired, renew it in platform gitlab", true},
		"scope of an older one": {403, `{"error":"insufficient_scope"}`, 0, "", "lacks the scope api", true},
		"of an application":     {400, `{"message":"requires token type"}`, 200, "", "", false},
		"before GitLab 15.5":    {404, `{}`, 200, "", "", false},
		"old and wrong":         {404, `{}`, 401, "", "wrong or expired", true},
		"no GitLab":             {404, `{}`, 404, "", "correct url or api_url of platform gitlab", false},
		"a page for people":     {200, `<html>`, 0, "", "the answer cannot be read", false},
		"another object":        {200, `{}`, 0, "", "describes no token", false},
		"busy":                  {429, `Retry later`, 0, "", "rate limited", false},
		"broken":                {502, `<html>`, 0, "", "GitLab answered 502", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := tokenServer(t, test.code, test.self, test.userCode)
			got, err := newPlatform(t, platforms.Config{URL: url, Token: "the-token"}).CheckCredential(t.Context())
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("want an error with %q, got %v", test.says, err)
			}
			if refusal := new(platforms.Denied); errors.As(err, &refusal) != test.denied {
				t.Errorf("want it denied %t, got %v", test.denied, err)
			}
			if test.expires != "" && got.ExpiresAt.Format(time.DateOnly) != test.expires || test.expires == "" && !got.ExpiresAt.IsZero() {
				t.Errorf("want it to end %q, got %s", test.expires, got.ExpiresAt)
			}
		})
	}
	_, err := newPlatform(t, platforms.Config{}).CheckCredential(t.Context())
	if !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	_, err = newPlatform(t, platforms.Config{URL: "http://127.0.0.1:1", Token: "the-token"}).CheckCredential(t.Context())
	if err == nil || platforms.CodeOf(err) != 0 || errors.Is(err, platforms.ErrRefused) {
		t.Errorf("where nobody listens: %v", err)
	}
}
