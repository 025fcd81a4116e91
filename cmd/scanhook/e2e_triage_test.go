package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store/storetest"
)

// newGrave are the findings that fail the sample's scan.
func newGrave(t *testing.T, w *sandbox, delivery fakeforge.Delivery) []int64 {
	t.Helper()
	var scan struct {
		Deciding []int64
		Reason   string `json:"verdict_reason"`
	}
	var receipt struct{ Scan string }
	if err := json.Unmarshal(delivery.Answer, &receipt); err != nil {
		t.Fatal(err)
	}
	ask(t, w, "GET", "/api/v1/scans/"+receipt.Scan, "", &scan)
	if len(scan.Deciding) != 4 || scan.Reason != "fail_on: high, new findings only" {
		t.Fatalf("the verdict names %+v, want the four new secrets", scan)
	}
	return scan.Deciding
}

// mark gives feedback on a finding.
func mark(t *testing.T, w *sandbox, finding int64, verdict string) {
	t.Helper()
	body := fmt.Sprintf(`{"user_verdict":%q,"comments":"a fixture"}`, verdict)
	ask(t, w, "POST", fmt.Sprintf("/api/v1/findings/%d/feedback", finding), body, nil)
}

// The click that dismisses the last new finding turns the commit green, at once; taking it back turns it red again.
func TestFeedbackTurnsTheCommit(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for _, kind := range kinds {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				w, sample := setup(t, sandboxConfig{kind: kind, database: e.URL(t)})
				startSandbox(t, w)
				pushTo(t, w, "main", "", sample.Before)
				finalOf(t, w, sample.Before)
				delivery := pushTo(t, w, "main", sample.Before, sample.Head)
				red := finalOf(t, w, sample.Head)
				grave := newGrave(t, w, delivery)
				for _, finding := range grave[1:] {
					mark(t, w, finding, "FP")
				}
				clicked := time.Now()
				mark(t, w, grave[0], "FP")
				green := stateAfter(t, w, sample.Head, clicked, "success")
				if red.State == "success" || green.Description != "0 new, 1 unresolved, 1 known, 4 dismissed" {
					t.Errorf("%s %q, then %s %q", red.State, red.Description, green.State, green.Description)
				}
				t.Logf("from the click to the status: %s", green.At.Sub(clicked).Round(time.Millisecond))
				clicked = time.Now()
				mark(t, w, grave[0], "TP")
				stateAfter(t, w, sample.Head, clicked, red.State)
				if refused := w.platform.Refused(); len(refused) > 0 {
					t.Errorf("the platform refused %+v", refused)
				}
			})
		}
	})
}

// stateAfter waits for a state that the platform is told after a moment, and makes sure that it is the last word.
func stateAfter(t *testing.T, w *sandbox, sha string, moment time.Time, state string) fakeforge.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, err := w.platform.Wait(ctx, func(s fakeforge.Status) bool {
		return s.SHA == sha && s.State == state && s.At.After(moment)
	})
	if err != nil {
		t.Fatalf("no %s after the click: %v; statuses: %+v", state, err, w.platform.Statuses("acme/shop", sha))
	}
	if latest, _ := w.platform.Latest("acme/shop", sha, status.Context); latest != status {
		t.Errorf("the platform shows %+v, want %+v", latest, status)
	}
	return status
}
