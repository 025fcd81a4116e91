package fakeforge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kind          *forgetest.Kind
		header, value string
		want          int
	}{
		"github bearer":        {forgetest.GitHub, "Authorization", "Bearer " + forgetest.Token, 201},
		"github token":         {forgetest.GitHub, "Authorization", "token " + forgetest.Token, 201},
		"github wrong":         {forgetest.GitHub, "Authorization", "Bearer guessed", 401},
		"github none":          {forgetest.GitHub, "X-Nothing", "", 401},
		"github, GitLab's way": {forgetest.GitHub, "Private-Token", forgetest.Token, 401},
		"gitlab private token": {forgetest.GitLab, "Private-Token", forgetest.Token, 201},
		"gitlab bearer":        {forgetest.GitLab, "Authorization", "Bearer " + forgetest.Token, 201},
		"gitlab wrong":         {forgetest.GitLab, "Private-Token", "guessed", 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := forgetest.Start(t, test.kind, fakeforge.Config{Token: forgetest.Token})
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				p.API+p.StatusPath(p.Sample.Head), strings.NewReader(`{"state":"success"}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set(test.header, test.value)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("status = %d, want %d", response.StatusCode, test.want)
			}
		})
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	paths := map[*forgetest.Kind]string{
		forgetest.GitHub: "/repos/acme/payments/compare/main...%s",
		forgetest.GitLab: "/projects/77/repository/merge_base?refs[]=main&refs[]=%s",
	}
	for kind, path := range paths {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			p := forgetest.Start(t, kind, fakeforge.Config{Token: forgetest.Token})
			response, answer := p.Call(t, http.MethodGet, strings.Replace(path, "%s", p.Sample.Before, 1), "")
			base, _ := answer["merge_base_commit"].(map[string]any)
			if base == nil {
				base = map[string]any{"sha": answer["id"]}
			}
			if response.StatusCode != http.StatusOK || base["sha"] != p.Sample.Before {
				t.Errorf("merge base: %d %v, want %s", response.StatusCode, answer, p.Sample.Before)
			}
		})
	}
}
