package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		for _, key := range []string{"kept", "logged out"} {
			if err := s.PutSession(t.Context(), store.Session{Key: key, Person: "who " + key}, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.DeleteSession(t.Context(), "logged out"); err != nil {
			t.Fatal(err)
		}
		find := func(keys ...string) (string, bool) {
			session, err := s.FindSession(t.Context(), keys)
			if err != nil && !errors.Is(err, core.ErrNotFound) {
				t.Fatal(err)
			}
			if err == nil && session.Person != "who "+session.Key {
				t.Errorf("%+v is of another person", session)
			}
			return session.Key, err == nil
		}
		if key, ok := find("unknown", "kept"); !ok || key != "kept" {
			t.Errorf("found %q, %v; want the session that was kept", key, ok)
		}
		if _, ok := find("logged out", "unknown"); ok {
			t.Error("a session goes on after its end")
		}
		if _, ok := find(); ok {
			t.Error("no key has a session")
		}
		now = now.Add(59 * time.Minute)
		for _, key := range []string{"kept", "logged out"} {
			if err := s.ExtendSession(t.Context(), key, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(59 * time.Minute)
		if _, ok := find("kept"); !ok {
			t.Error("a session that was extended has ended")
		}
		if _, ok := find("logged out"); ok {
			t.Error("a session was extended after its end")
		}
		now = now.Add(time.Minute)
		if err := s.ExtendSession(t.Context(), "kept", time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, ok := find("kept"); ok {
			t.Error("a session outlives its time")
		}
	})
}

// All sessions of one person end at once, with those that an earlier release opened, which say not whose they are.
func TestSessionsOfOnePersonEndTogether(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for key, subject := range map[string]string{"a": "token ada", "b": "token ada", "c": "oidc https://login.example 1", "old": ""} {
			err := s.PutSession(t.Context(), store.Session{Key: key, Subject: subject, Name: "name of " + key, Address: "192.0.2.1"}, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
		}
		if list, err := s.ListSessions(t.Context(), "token ada", 10); err != nil || len(list) != 2 || list[0].OpenedAt == nil || list[0].Address == "" {
			t.Errorf("the sessions of ada: %+v, %v", list, err)
		}
		if err := s.EndSessions(t.Context(), "token ada", "root"); err != nil {
			t.Fatal(err)
		}
		list, err := s.ListSessions(t.Context(), "", 10)
		if err != nil || len(list) != 1 || list[0].Key != "c" {
			t.Errorf("left: %+v, %v", list, err)
		}
		for _, key := range []string{"a", "b", "old"} {
			if _, err := s.FindSession(t.Context(), []string{key}); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("the session %s goes on: %v", key, err)
			}
		}
		events, err := s.ListAudit(t.Context(), store.AuditFilter{Limit: 9})
		if err != nil || len(events) != 1 || events[0].Action != core.AuditSessionsEnded || events[0].Actor != "root" ||
			!strings.HasPrefix(events[0].Subject, "of name of ") || events[0].Detail != "2 sessions" {
			t.Errorf("audit: %+v, %v", events, err)
		}
	})
}

// asks is the context of somebody with a role in projects.
func asks(t *testing.T, role access.Role, projects ...string) context.Context {
	return access.With(t.Context(), access.Actor{Name: "ada", Grants: []access.Grant{{Role: role, Projects: projects}}})
}

// Lists show those who ask their part, page by page, however many projects that are.
func TestListsShowWhatOneMaySee(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const mine, rounds = 130, 2 // projects, and scans of each
		n := 0
		for range rounds {
			for i := range 2 * mine {
				n += 10
				name := fmt.Sprintf("%s/p%d", []string{"acme", "other"}[i%2], i/2)
				d, push := storetest.PushOf(n, func(d *core.Delivery, p *core.Push) {
					d.Project, p.Project = name, core.Project{Name: name, Ref: fmt.Sprint(i + 1), DefaultBranch: "main"}
				})
				receipt, err := s.Accept(t.Context(), storetest.With(d, push))
				if err != nil {
					t.Fatal(err)
				}
				if i%4 < 2 { // of the others, the scans have not ended
					if _, err := s.PutReport(t.Context(), receipt.Reference, "gitleaks", core.Report{}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		ctx := asks(t, access.Reader, "github/ACME/*")
		var scans, calls []string
		var first int64
		for before := int64(0); ; {
			page, err := s.ListScans(ctx, store.ScanFilter{Before: before, Limit: 37})
			if err != nil {
				t.Fatal(err)
			}
			for _, scan := range page {
				if before != 0 && scan.ID >= before || !strings.HasPrefix(scan.ProjectName, "acme/") {
					t.Fatalf("scan %d of %s follows %d", scan.ID, scan.ProjectName, before)
				}
				before = scan.ID
				scans = append(scans, scan.ReferenceID)
			}
			if len(page) < 37 {
				first = before
				break
			}
		}
		back, err := s.ListScans(ctx, store.ScanFilter{After: first, Limit: 5})
		if err != nil || len(back) != 5 || back[0].ReferenceID != scans[len(scans)-6] || back[4].ReferenceID != scans[len(scans)-2] {
			t.Errorf("back from the first: %d scans, %v", len(back), err)
		}
		for before := int64(0); ; {
			page, err := s.ListDeliveries(ctx, store.DeliveryFilter{Before: before, Limit: 50})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page {
				calls, before = append(calls, d.ProjectName), d.ID
			}
			if len(page) < 50 {
				break
			}
		}
		if len(scans) != mine*rounds || len(calls) != mine*rounds || slices.ContainsFunc(calls, func(name string) bool {
			return !strings.HasPrefix(name, "acme/")
		}) {
			t.Errorf("%d scans and %d calls, want %d of acme", len(scans), len(calls), mine*rounds)
		}
		projects, err := s.ListProjects(ctx, store.ProjectFilter{Limit: 2 * mine})
		if err != nil || len(projects) != mine {
			t.Errorf("%d projects, %v, want %d", len(projects), err, mine)
		}
	})
}

// Whoever must not know of a project finds nothing of it under its name, nor under a commit.
func TestProjectsAreHiddenFromOthers(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		receipt, err := s.Accept(t.Context(), storetest.With(storetest.PushOf(1)))
		if err != nil {
			t.Fatal(err)
		}
		scan, err := s.PutReport(t.Context(), receipt.Reference, "gitleaks", core.Report{By: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		look := func(ctx context.Context) (seen []string) {
			if _, err := s.FindProject(ctx, "github", "acme/shop"); err == nil {
				seen = append(seen, "project")
			}
			if _, err := s.ExplainCommit(ctx, scan.CommitSHA); err == nil {
				seen = append(seen, "timeline")
			}
			if list, err := s.ListScans(ctx, store.ScanFilter{Project: "acme/shop", Limit: 9}); err == nil && len(list) > 0 {
				seen = append(seen, "scans")
			}
			if list, err := s.ListScans(ctx, store.ScanFilter{CommitSHA: scan.CommitSHA, Limit: 9}); err == nil && len(list) > 0 {
				seen = append(seen, "commit")
			}
			if list, err := s.ListDeliveries(ctx, store.DeliveryFilter{Project: "acme/shop", Limit: 9}); err == nil && len(list) > 0 {
				seen = append(seen, "calls")
			}
			if list, err := s.ListAudit(ctx, store.AuditFilter{Limit: 9}); err == nil && len(list) > 0 {
				seen = append(seen, "audit")
			}
			return seen
		}
		for name, c := range map[string]struct {
			ctx  context.Context
			want []string
		}{
			"Scanhook":                {t.Context(), []string{"project", "timeline", "scans", "commit", "calls", "audit"}},
			"the project's admin":     {asks(t, access.Admin, "github/acme/*"), []string{"project", "timeline", "scans", "commit", "calls", "audit"}},
			"the project's reader":    {asks(t, access.Reader, "github/acme/*"), []string{"project", "timeline", "scans", "commit", "calls"}},
			"the project's uploader":  {asks(t, access.Uploader, "github/acme/*"), []string{"project", "scans", "commit"}},
			"another project's admin": {asks(t, access.Admin, "github/other/*"), nil},
			"nobody":                  {access.With(t.Context(), access.Actor{}), nil},
		} {
			if diff := cmp.Diff(c.want, look(c.ctx)); diff != "" {
				t.Errorf("%s sees (-want +got):\n%s", name, diff)
			}
		}
	})
}

// Whoever asks for one project has the others' names not even read.
func TestANamedProjectIsFoundByItsName(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		s := storetest.OpenAt(t, url, store.Config{})
		if _, err := s.Accept(t.Context(), storetest.With(storetest.PushOf(1))); err != nil {
			t.Fatal(err)
		}
		statements := s.Explain(t, url)
		ctx := asks(t, access.Admin, "github/acme/*")
		for what, list := range map[string]func() (int, error){
			"scans": func() (int, error) {
				list, err := s.ListScans(ctx, store.ScanFilter{Project: "acme/shop", Limit: 9})
				return len(list), err
			},
			"deliveries": func() (int, error) {
				list, err := s.ListDeliveries(ctx, store.DeliveryFilter{Project: "acme/shop", Limit: 9})
				return len(list), err
			},
			"alerts": func() (int, error) {
				list, err := s.InProject(ctx, access.Read, "github", "acme/shop")
				return len(list), err
			},
			"audit": func() (int, error) {
				_, err := s.ListAudit(ctx, store.AuditFilter{Project: "acme/shop", Limit: 9})
				return 1, err
			},
		} {
			if n, err := list(); err != nil || n != 1 {
				t.Errorf("%s: %d, %v", what, n, err)
			}
			for _, statement := range statements.Take() {
				if strings.Contains(statement.SQL, "FROM projects ORDER BY") {
					t.Errorf("%s: all projects are read", what)
				}
			}
		}
	})
}

// A CI job's commit is the one in its token, or the head of its request, in a project that the platform's calls have made known.
func TestJobsHaveOneCommit(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := forks(t, e)
		if _, err := s.Accept(t.Context(), storetest.With(storetest.PushOf(1))); err != nil {
			t.Fatal(err)
		}
		own := func(r *core.Request) { r.Fork, r.Branch, r.Number = false, "feature", 8 }
		told(t, s, 2, core.RequestOpened, own)
		told(t, s, 3, core.RequestOpened)
		job := access.Job{Platform: "github", Project: "Acme/shop", Ref: "42", SHA: storetest.SHA(9), Branch: "main"}
		changed := func(change func(*access.Job)) access.Job {
			other := job
			change(&other)
			return other
		}
		for name, test := range map[string]struct {
			job    access.Job
			commit string // empty: none
			branch string
		}{
			"of a push":                  {job, storetest.SHA(9), "main"},
			"of a request":               {changed(func(j *access.Job) { j.OfRequest, j.Request = true, 8 }), storetest.SHA(2), "feature"},
			"of an unknown request":      {changed(func(j *access.Job) { j.OfRequest, j.Request = true, 9 }), "", ""},
			"of a request from a fork":   {changed(func(j *access.Job) { j.OfRequest, j.Request = true, 7 }), "", ""},
			"of a request by its branch": {changed(func(j *access.Job) { j.OfRequest, j.Branch = true, "feature" }), storetest.SHA(2), "feature"},
			"of a request by its commit": {changed(func(j *access.Job) { j.OfRequest, j.SHA, j.Branch = true, storetest.SHA(1), "feature" }), storetest.SHA(1), "feature"},
			"of a branch without one":    {changed(func(j *access.Job) { j.OfRequest, j.Branch = true, "main" }), "", ""},
			"of a fork's code":           {changed(func(j *access.Job) { j.OfRequest, j.SHA, j.Fork = true, storetest.SHA(1), true }), "", ""},
			"of another number":          {changed(func(j *access.Job) { j.Ref = "43" }), "", ""},
			"of another name":            {changed(func(j *access.Job) { j.Project = "acme/site" }), "", ""},
			"of another platform":        {changed(func(j *access.Job) { j.Platform = "gitlab" }), "", ""},
		} {
			got, err := s.OfJob(t.Context(), test.job)
			if test.commit == "" && !errors.Is(err, core.ErrForbidden) || test.commit != "" && (err != nil || got.Commit != test.commit || got.Branch != test.branch) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	})
}
