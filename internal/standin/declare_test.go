package standin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/standin"
)

// A declared commit is pushed and takes statuses, though no git repository holds it.
func TestDeclaredCommits(t *testing.T) {
	t.Parallel()
	sha := strings.Repeat("ab", 20)
	for _, kind := range []standin.Kind{standin.GitHub, standin.GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := start(t, standin.Config{Kind: kind, Token: token, Secret: "hook"})
			spec := standin.PushSpec{Project: p.project, Ref: "refs/heads/main", After: sha}
			if _, err := p.BuildPush(t.Context(), spec); err == nil {
				t.Error("an unknown commit was pushed")
			}
			if err := p.Declare(p.project, sha); err != nil {
				t.Fatal(err)
			}
			delivery, err := p.BuildPush(t.Context(), spec)
			if err != nil || !strings.Contains(string(delivery.Body), sha) {
				t.Errorf("push of a declared commit: %.200s, %v", delivery.Body, err)
			}
			response, _ := p.call(t, http.MethodPost, p.statusPath(sha), `{"state":"success","name":"x","context":"x","ref":"main"}`)
			if response.StatusCode != http.StatusCreated || p.Posted() != 1 {
				t.Errorf("posting a status: %d, %d posted", response.StatusCode, p.Posted())
			}
		})
	}
}

func TestDeclareRefuses(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	if err := p.Declare("acme/unknown", strings.Repeat("ab", 20)); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("unknown project: %v, want ErrNotFound", err)
	}
	if err := p.Declare(p.project, "main"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("no commit id: %v, want ErrInvalid", err)
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	paths := map[standin.Kind]string{
		standin.GitHub: "/repos/acme/payments/compare/main...%s",
		standin.GitLab: "/projects/77/repository/merge_base?refs[]=main&refs[]=%s",
	}
	for kind, path := range paths {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := start(t, standin.Config{Kind: kind, Token: token})
			response, answer := p.call(t, http.MethodGet, strings.Replace(path, "%s", p.sample.Before, 1), "")
			base, _ := answer["merge_base_commit"].(map[string]any)
			if base == nil {
				base = map[string]any{"sha": answer["id"]}
			}
			if response.StatusCode != http.StatusOK || base["sha"] != p.sample.Before {
				t.Errorf("merge base: %d %v, want %s", response.StatusCode, answer, p.sample.Before)
			}
		})
	}
}
