package catchup

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// rename makes the server lead from one project to another, as platforms do.
func (s *gitServer) rename(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs[to] = s.refs[from]
	delete(s.refs, from)
	s.moved = map[string]string{from: to}
}

// No webhook has told the new name yet.
func TestMovedProjectIsFollowed(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1), branch("stale", 2))
		b.pass(t, time.Second)
		b.announce(t, 3)
		b.git.push(shop, branch("main", 3), branch("fresh", 4))
		b.git.rename(shop, "acme/store")
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "fresh:4<none recover")
		if _, err := b.store.GetWatched(t.Context(), "github", "acme/store"); err != nil {
			t.Errorf("new name: %v", err)
		}
		scan, err := b.store.GetLastScan(t.Context(), "github", "acme/store")
		if err != nil || scan.CommitSHA != storetest.SHA(4) {
			t.Errorf("scan under the new name: %+v, %v", scan, err)
		}
		b.git.push("acme/store", branch("main", 5))
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "fresh:4<none recover", "main:5<3 recover")
	})
}

func TestMovedElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]string{
		"not configured": "other/store", "no project": "acme/../x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, storetest.Engines[0])
			b.git.rename(shop, to)
			found, err := b.lookAt(t.Context(), store.KnownProject{SourcePlatform: "github", ProjectName: shop}, Order{DryRun: true})
			if err != nil || found.Err == nil {
				t.Errorf("%+v, %v, want the project's error", found, err)
			}
		})
	}
}

// A webhook that is accepted while the server answers must not be taken for the past.
func TestWebhookOvertakesTheAnswer(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e)
		b.announce(t, 1)
		b.git.push(shop, branch("main", 1))
		b.pass(t, time.Second)
		b.git.push(shop, branch("main", 2))
		b.git.meanwhile = func() {
			d, p := storetest.PushOf(3)
			if _, err := b.store.AcceptPush(context.Background(), d, p); err != nil {
				t.Error(err)
			}
		}
		b.pass(t, 2*time.Hour)
		wantScans(t, b, "main:1<0 push", "main:3<2 push", "main:2<1 recover")
		list, err := b.store.ListScans(t.Context(), store.ScanFilter{CommitSHA: storetest.SHA(3), Limit: 1})
		if err != nil || list[0].SupersededBy != "" {
			t.Errorf("%+v, %v, want the newest commit scanned", list, err)
		}
	})
}

func TestRoundOfAllHeads(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setup(t, e, "v*")
		tag := core.Head{Ref: "refs/tags/v1", SHA: storetest.SHA(3)}
		b.git.push(shop, branch("main", 1), branch("old", 2), branch("twin", 2), tag)
		b.announce(t, 1)
		b.pass(t, time.Minute)
		for _, test := range []struct {
			order Order
			want  []string
		}{
			{Order{}, nil},
			{Order{All: true, DryRun: true}, []string{"refs/heads/old", "refs/heads/twin", "refs/tags/v1"}},
			{Order{All: true}, []string{
				"refs/heads/old scan_created", "refs/heads/twin scan_exists", "refs/tags/v1 scan_created",
			}},
			{Order{All: true}, nil},
		} {
			var got []string
			test.order.Tell = func(found Found) {
				for _, m := range found.Missed {
					got = append(got, strings.TrimSpace(m.Push.Ref+" "+string(m.Receipt.Outcome)))
				}
			}
			if err := b.replica(b.store, b.Policies).Round(t.Context(), test.order); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", test.order, diff)
			}
		}
	})
}

func TestRoundLeavesLeasedProjectsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Engines[0])
	p := store.KnownProject{SourcePlatform: "github", ProjectName: shop}
	if _, err := b.store.ClaimProject(t.Context(), p, time.Minute); err != nil {
		t.Fatal(err)
	}
	err := b.Round(t.Context(), Order{Projects: []store.KnownProject{p}, Tell: func(found Found) {
		if !errors.Is(found.Err, core.ErrConflict) {
			t.Errorf("found %+v, want core.ErrConflict", found)
		}
	}})
	if err != nil || b.git.asked > 0 {
		t.Errorf("%v, asked %d times", err, b.git.asked)
	}
}

// A version 2 server that leads elsewhere between its two answers.
func TestMovedBetweenTwoCalls(t *testing.T) {
	t.Parallel()
	remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = bufio.NewReader(strings.NewReader(capabilities(true))).WriteTo(w)
			return
		}
		http.Redirect(w, r, "/acme/store.git/git-upload-pack", http.StatusMovedPermanently)
	})
	if _, err := newAsker(nil, time.Now).ask(t.Context(), remote); !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("error = %v, want a refusal", err)
	}
}
