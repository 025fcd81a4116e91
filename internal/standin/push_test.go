package standin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/standin"
)

var zeros = strings.Repeat("0", 40)

// history grows the sample repository into every kind of push and returns the ids by name.
func history(t *testing.T, p platform) map[string]string {
	t.Helper()
	dir := p.sample.Dir
	ids := map[string]string{"first": p.sample.Before, "head": p.sample.Head}
	git(t, dir, "tag", "light")
	git(t, dir, "tag", "-a", "-m", "Version one", "v1")
	ids["tag"] = git(t, dir, "rev-parse", "refs/tags/v1")
	git(t, dir, "branch", "same")
	git(t, dir, "checkout", "--quiet", "-b", "feature/move")
	git(t, dir, "mv", "main.go", "cmd.go")
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("# payments\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "commit", "--quiet", "--all", "-m", "Move\n\nand say so, ünïcödé")
	ids["move"] = git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "checkout", "--quiet", "-b", "other", p.sample.Before)
	git(t, dir, "commit", "--quiet", "--allow-empty", "-m", "Empty")
	ids["other"] = git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "merge", "--quiet", "--no-ff", "-m", "Merge", "main")
	ids["merge"] = git(t, dir, "rev-parse", "HEAD")
	return ids
}

// pushed is what matters of an event, under one name for both platforms.
type pushed struct {
	Commits []string // subject: +added ~modified -removed, oldest first
	Head    string   // what a status is posted to
	Total   int      // GitLab
	Flags   string   // GitHub: c, d, f
}

func TestPushes(t *testing.T) {
	t.Parallel()
	const (
		deploy = "Deploy from CI: +config/deploy.env,config/deploy.key ~ -"
		take   = "Take payments over HTTP: +README.md,go.mod,internal/payment/client.go,main.go ~ -"
		moved  = "Move: +cmd.go ~README.md -main.go"
		merged = "Merge: +config/deploy.env,config/deploy.key ~ -"
		empty  = "Empty: + ~ -"
	)
	tests := map[string]struct {
		ref, before, after string // names of history, or ids
		github, gitlab     pushed
	}{
		"branch moved": {
			"refs/heads/main", "first", "head",
			pushed{[]string{deploy}, "head", 0, ""}, pushed{[]string{deploy}, "head", 1, ""},
		},
		"default branch created": {
			"refs/heads/main", "", "",
			pushed{nil, "head", 0, "c"}, pushed{[]string{take, deploy}, "head", 2, ""},
		},
		"branch created with a commit": {
			"refs/heads/feature/move", "", "move",
			pushed{[]string{moved}, "move", 0, "c"}, pushed{[]string{moved}, "move", 1, ""},
		},
		"branch created without a commit": {
			"refs/heads/same", "", "head",
			pushed{nil, "head", 0, "c"}, pushed{nil, "head", 0, ""},
		},
		"branch forced": {
			"refs/heads/feature/move", "other", "move",
			pushed{[]string{deploy, moved}, "move", 0, "f"}, pushed{[]string{deploy, moved}, "move", 2, ""},
		},
		"merge": {
			"refs/heads/other", "head", "merge",
			pushed{[]string{empty, merged}, "merge", 0, ""}, pushed{[]string{empty, merged}, "merge", 2, ""},
		},
		"branch deleted": {
			"refs/heads/gone", "head", zeros,
			pushed{nil, "", 0, "d"}, pushed{nil, "", 0, ""},
		},
		"annotated tag": {
			"refs/tags/v1", "", "tag",
			pushed{nil, "head", 0, "c"}, pushed{nil, "head", 0, ""},
		},
		"light tag": {
			"refs/tags/light", "", "",
			pushed{nil, "head", 0, "c"}, pushed{nil, "head", 0, ""},
		},
	}
	hub, lab := start(t, standin.Config{Kind: standin.GitHub}), start(t, standin.Config{Kind: standin.GitLab})
	ids := history(t, hub)
	lab.AddRepository(standin.Repository{Project: lab.project, ID: 77, Dir: hub.sample.Dir})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for p, want := range map[platform]pushed{hub: test.github, lab: test.gitlab} {
				d, err := p.BuildPush(t.Context(), standin.PushSpec{
					Project: p.project, Ref: test.ref, Before: named(ids, test.before), After: named(ids, test.after),
				})
				if err != nil {
					t.Fatal(err)
				}
				want.Head = named(ids, want.Head)
				if diff := cmp.Diff(want, factsOf(t, decode(t, d.Body))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", d.Event, diff)
				}
			}
		})
	}
}

func named(ids map[string]string, name string) string {
	if id, ok := ids[name]; ok {
		return id
	}
	return name
}

func factsOf(t *testing.T, event map[string]any) (facts pushed) {
	t.Helper()
	for _, c := range event["commits"].([]any) {
		commit := c.(map[string]any)
		subject, _, _ := strings.Cut(commit["message"].(string), "\n")
		facts.Commits = append(facts.Commits, fmt.Sprintf("%s: +%s ~%s -%s", subject,
			files(commit["added"]), files(commit["modified"]), files(commit["removed"])))
	}
	if total, ok := event["total_commits_count"].(float64); ok {
		facts.Total = int(total)
		facts.Head, _ = event["checkout_sha"].(string)
		return facts
	}
	if head, ok := event["head_commit"].(map[string]any); ok {
		facts.Head = head["id"].(string)
	}
	for flag, letter := range map[string]string{"created": "c", "deleted": "d", "forced": "f"} {
		if event[flag].(bool) {
			facts.Flags += letter
		}
	}
	return facts
}

func files(list any) string {
	var names []string
	for _, name := range list.([]any) {
		names = append(names, name.(string))
	}
	return strings.Join(names, ",")
}

func TestGitLabListsTwentyCommits(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab})
	for i := range 25 {
		git(t, p.sample.Dir, "commit", "--quiet", "--allow-empty", "-m", fmt.Sprint("commit ", i))
	}
	d, err := p.BuildPush(t.Context(), standin.PushSpec{Project: p.project, Ref: "refs/heads/main", Before: p.sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	facts := factsOf(t, decode(t, d.Body))
	if len(facts.Commits) != 20 || facts.Total != 25 || !strings.HasPrefix(facts.Commits[0], "commit 5:") {
		t.Errorf("%d of %d commits from %q, want 20 of 25 from commit 5", len(facts.Commits), facts.Total, facts.Commits[0])
	}
}

func TestPushErrors(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	tests := map[string]struct {
		spec standin.PushSpec
		want error
	}{
		"unknown project": {standin.PushSpec{Project: "acme/none", Ref: "refs/heads/main"}, core.ErrNotFound},
		"short id":        {standin.PushSpec{Project: p.project, Ref: "refs/heads/main", After: "abc1234"}, core.ErrInvalid},
		"option for id":   {standin.PushSpec{Project: p.project, Ref: "refs/heads/main", Before: "--all"}, core.ErrInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := p.Push(context.Background(), "http://127.0.0.1:1/", test.spec); !errors.Is(err, test.want) {
				t.Errorf("err = %v, want %v", err, test.want)
			}
		})
	}
}
