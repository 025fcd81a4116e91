package timeline_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/timeline"
)

func TestEventsNameTheSecret(t *testing.T) {
	t.Parallel()
	for want, delivery := range map[string]core.KeptDelivery{
		`github announced "push" with a valid signature: ignored`: {},
		`github announced "push" with a valid signature, by webhook_secrets[0] (aa): ignored`: {
			VerifiedBy: "webhook_secrets[0] (aa)", Signed: true,
		},
		`github announced "push" with a valid token, by webhook_secrets[0] (aa): ignored`: {
			VerifiedBy: "webhook_secrets[0] (aa)",
		},
	} {
		delivery.Platform, delivery.Event, delivery.Outcome = "github", "push", core.OutcomeIgnored
		if got := (timeline.Record{Deliveries: []core.KeptDelivery{delivery}}).Events()[0].Text; got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}

// The end of a job names what it did not search though it may hold code.
func TestEventsNameWhatWasNotSearched(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	searched := &core.Coverage{Searched: 12}
	searched.LeaveOut(core.LeftSize, 3, "a.sql", "b.sql")
	searched.LeaveOut(core.LeftHistory, 7)
	searched.LeaveOut(core.LeftAllowed, 1, "yarn.lock")
	job := core.Job{Scanner: "gitleaks"}
	job.Finish(core.Report{Coverage: searched}, 0, 0, now)
	events := (timeline.Record{Scan: core.Scan{Timestamp: now}, Jobs: []core.Job{job}}).Events()
	last := events[len(events)-1]
	if want := "gitleaks delivered its report; findings: 0, fixed: 0, searched: 12"; last.Text != want {
		t.Errorf("want %s, got %s", want, last.Text)
	}
	want := "7 not searched, commits farther back than are searched; 3 not searched, larger than is searched: a.sql, b.sql and 1 more"
	if last.Detail != want {
		t.Errorf("want %s, got %s", want, last.Detail)
	}
}
