package fakeforge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

var zeros = strings.Repeat("0", 40)

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
	hub, lab := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{}), forgetest.Start(t, forgetest.GitLab, fakeforge.Config{})
	ids := hub.History(t)
	lab.AddRepository(fakeforge.Repository{Project: lab.Project, ID: 77, Dir: hub.Sample.Dir})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for p, want := range map[forgetest.Forge]pushed{hub: test.github, lab: test.gitlab} {
				d, err := p.BuildPush(t.Context(), fakeforge.PushSpec{
					Project: p.Project, Ref: test.ref, Before: named(ids, test.before), After: named(ids, test.after),
				})
				if err != nil {
					t.Fatal(err)
				}
				want.Head = named(ids, want.Head)
				if diff := cmp.Diff(want, factsOf(t, forgetest.Decode(t, d.Body))); diff != "" {
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

func TestPushErrors(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	tests := map[string]struct {
		spec fakeforge.PushSpec
		want error
	}{
		"unknown project": {fakeforge.PushSpec{Project: "acme/none", Ref: "refs/heads/main"}, core.ErrNotFound},
		"short id":        {fakeforge.PushSpec{Project: p.Project, Ref: "refs/heads/main", After: "abc1234"}, core.ErrInvalid},
		"option for id":   {fakeforge.PushSpec{Project: p.Project, Ref: "refs/heads/main", Before: "--all"}, core.ErrInvalid},
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

func TestPipelineFacts(t *testing.T) {
	t.Parallel()
	spec := fakeforge.PipelineSpec{
		ID: 31, Attempt: 2, Queued: 5 * time.Second, Duration: 90 * time.Second, CreatedAt: forgetest.Now, Artifacts: []int64{100, 23},
	}
	tests := map[string]struct {
		kind   *forgetest.Kind
		status string
		want   map[string]any
	}{
		"github completed": {forgetest.GitHub, "", map[string]any{
			"id": 31.0, "run_attempt": 2.0, "status": "completed", "conclusion": "success", "head_branch": "main",
			"created_at": "2026-05-04T12:00:00Z", "run_started_at": "2026-05-04T12:00:05Z", "updated_at": "2026-05-04T12:01:35Z",
		}},
		"github running": {forgetest.GitHub, "in_progress", map[string]any{
			"status": "in_progress", "conclusion": nil, "updated_at": "2026-05-04T12:00:05Z",
		}},
		"gitlab success": {forgetest.GitLab, "", map[string]any{
			"id": 31.0, "status": "success", "duration": 90.0, "queued_duration": 5.0, "source": "push", "ref": "main",
			"created_at": "2026-05-04 12:00:00 UTC", "finished_at": "2026-05-04 12:01:35 UTC",
		}},
		"gitlab running": {forgetest.GitLab, "running", map[string]any{
			"status": "running", "duration": nil, "finished_at": nil, "queued_duration": 5.0,
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := forgetest.Start(t, test.kind, fakeforge.Config{})
			spec := spec
			spec.Project, spec.SHA, spec.Status = p.Project, p.Sample.Head, test.status
			address, calls := forgetest.Receive(t)
			if _, err := p.Pipeline(t.Context(), address, spec); err != nil {
				t.Fatal(err)
			}
			event := forgetest.Decode(t, (<-calls).Body)
			run, ok := event["workflow_run"].(map[string]any)
			if !ok {
				run = event["object_attributes"].(map[string]any)
			}
			got := map[string]any{}
			for field := range test.want {
				got[field] = run[field]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("run (-want +got):\n%s", diff)
			}
		})
	}
}
