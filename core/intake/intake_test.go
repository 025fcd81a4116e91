package intake_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/core/refs"
)

// sha is a commit id of one letter.
func sha(letter string) string { return strings.Repeat(letter, 40) }

// push is a request of a push that moves main from one commit to another; the scan's reference id is the commit's letter.
func push(key, before, after string, change ...func(*intake.Request)) *intake.Request {
	files := 1
	r := &intake.Request{
		Delivery: &core.Delivery{Platform: "github", Key: key, Project: "acme/shop"},
		Scan: &core.Scan{
			SourcePlatform: "github", ProjectName: "acme/shop", ReferenceID: after, CommitSHA: sha(after), BeforeSHA: sha(before),
			ProjectID: 1, Ref: "refs/heads/main", Branch: "main", Origin: "push", NumChangedFiles: &files,
		},
		Word:   word("refs/heads/main", before, after),
		Policy: core.Policy{Scanners: []string{"builtin", "trivy"}, Supersede: true},
	}
	for _, c := range change {
		c(r)
	}
	return r
}

// word says that a ref went from one commit to another; "0" is none.
func word(ref, before, after string) *intake.Word {
	commit := func(letter string) string {
		if letter == "0" {
			return ""
		}
		return sha(letter)
	}
	w := &intake.Word{RefKey: intake.RefKey{Project: 1, Name: ref}}
	w.Before, w.After = commit(before), commit(after)
	return w
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	ignored := &intake.Request{Delivery: &core.Delivery{Platform: "github", Key: "a", Project: "acme/shop"}, Ignored: "no"}
	other := push("a", "1", "2", func(r *intake.Request) { r.Delivery.Project = "acme/other" })
	byHand := push("a", "1", "2", func(r *intake.Request) { r.Delivery = nil })
	before := func(r intake.Received) map[intake.Key]intake.Received {
		return map[intake.Key]intake.Received{{Platform: "github", Delivery: "a", Project: "acme/shop"}: r}
	}
	cases := map[string]struct {
		requests []*intake.Request
		received map[intake.Key]intake.Received
		open     string // one letter for each request: o open, d duplicate, r repeats
	}{
		"new":                        {[]*intake.Request{push("a", "1", "2")}, nil, "o"},
		"received before":            {[]*intake.Request{push("a", "1", "2")}, before(intake.Received{ReferenceID: "2"}), "d"},
		"ignored before, a scan now": {[]*intake.Request{push("a", "1", "2")}, before(intake.Received{Ignored: true}), "o"},
		"ignored before and now":     {[]*intake.Request{ignored}, before(intake.Received{Ignored: true}), "d"},
		"the id of another project":  {[]*intake.Request{other}, before(intake.Received{}), "o"},
		"twice in a batch":           {[]*intake.Request{push("a", "1", "2"), push("a", "1", "2")}, nil, "or"},
		"twice, and received before": {[]*intake.Request{push("a", "1", "2"), push("a", "1", "2")}, before(intake.Received{}), "dr"},
		"by hand":                    {[]*intake.Request{byHand, byHand}, before(intake.Received{}), "oo"},
	}
	for name, c := range cases {
		got := ""
		for _, item := range intake.Admit(c.requests, c.received) {
			switch {
			case item.Repeats != nil:
				got += "r"
			case item.Receipt.Outcome == core.Duplicate:
				got += "d"
			default:
				got += "o"
			}
			if item.Open() != (got[len(got)-1] == 'o') {
				t.Errorf("%s: open %t after %s", name, item.Open(), got)
			}
		}
		if got != c.open {
			t.Errorf("%s: %s, want %s", name, got, c.open)
		}
	}
}

// summary is what a plan does, in a few words each.
type summary struct {
	Outcomes                                          []core.Outcome
	Joins, Moves, Restarts, Jobs, FileTasks, Informed int
	Shared                                            bool
	Kept                                              int
	Audit                                             []core.AuditAction
}

func TestDecide(t *testing.T) {
	t.Parallel()
	two := 2
	complete := core.Scan{
		ID: 7, ReferenceID: "old", CommitSHA: sha("2"), BeforeSHA: sha("1"), Ref: "refs/heads/main", NumChangedFiles: &two,
		Status: core.ScanCompleted,
	}
	changed := func(change func(*core.Scan)) core.Scan {
		scan := complete
		change(&scan)
		return scan
	}
	bare := changed(func(s *core.Scan) { s.BeforeSHA, s.Ref, s.NumChangedFiles, s.Status = "", "", nil, core.ScanFailed })
	superseded := changed(func(s *core.Scan) { s.Status, s.SupersededBy = core.ScanFailed, sha("3") })
	failed := changed(func(s *core.Scan) { s.Status = core.ScanFailed })
	onBranch := func(r *intake.Request) { r.Scan.Ref = "refs/heads/feature" }
	upload := func(r *intake.Request) {
		r.Delivery, r.Scan.Origin, r.Scan.BeforeSHA, r.Scan.NumChangedFiles, r.Actor = nil, "upload", "", nil, "ci"
		r.Word.Source = refs.Named
	}
	truncated := func(r *intake.Request) { r.Scan.ChangedFilesTruncated = true }
	pipeline := func(r *intake.Request) {
		r.Pipeline, r.Scan.Origin, r.Scan.BeforeSHA, r.Word = &core.Pipeline{ID: 3}, "pipeline", "", nil
	}
	ignore := func(r *intake.Request) { r.Scan, r.Ignored = nil, "a note" }
	exists, created := core.ScanExists, core.ScanCreated
	cases := map[string]struct {
		request  *intake.Request
		existing core.Scan // ID 0: the request opens the scan
		want     summary
	}{
		"a new commit":            {push("a", "1", "2"), core.Scan{}, summary{Outcomes: []core.Outcome{created}, Moves: 1, Jobs: 2, Kept: 1}},
		"too many files to list":  {push("a", "1", "2", truncated), core.Scan{}, summary{Outcomes: []core.Outcome{created}, Moves: 1, Jobs: 2, FileTasks: 1, Kept: 1}},
		"a new branch":            {push("a", "0", "2", truncated), core.Scan{}, summary{Outcomes: []core.Outcome{created}, Moves: 1, Jobs: 2, Kept: 1}},
		"an upload":               {push("a", "1", "2", upload), core.Scan{}, summary{Outcomes: []core.Outcome{created}, Moves: 1, Jobs: 2, Audit: []core.AuditAction{core.AuditScanOpened}}},
		"a rescan":                {push("a", "1", "2", upload, func(r *intake.Request) { r.Scan.Origin, r.Word = core.OriginRescan, nil }), core.Scan{}, summary{Outcomes: []core.Outcome{created}, Jobs: 2, Audit: []core.AuditAction{core.AuditRescan}}},
		"ignored":                 {push("a", "1", "2", ignore), core.Scan{}, summary{Outcomes: []core.Outcome{core.OutcomeIgnored}, Moves: 1, Kept: 1}},
		"a pipeline":              {push("a", "1", "2", pipeline), core.Scan{}, summary{Outcomes: []core.Outcome{core.PipelineRecorded}, Jobs: 2, Kept: 1}},
		"known":                   {push("a", "1", "2"), complete, summary{Outcomes: []core.Outcome{exists}, Moves: 1, Kept: 1}},
		"an upload of a known":    {push("a", "1", "2", upload), complete, summary{Outcomes: []core.Outcome{exists}}},
		"a second branch":         {push("a", "0", "2", onBranch), complete, summary{Outcomes: []core.Outcome{exists}, Joins: 1, Shared: true, Moves: 1, Kept: 1}},
		"a third branch":          {push("a", "0", "2", onBranch), changed(func(s *core.Scan) { s.SharedRefs = true }), summary{Outcomes: []core.Outcome{exists}, Moves: 1, Kept: 1}},
		"the push after a report": {push("a", "1", "2"), bare, summary{Outcomes: []core.Outcome{exists}, Joins: 1, Moves: 1, Restarts: 1, Informed: 1, Kept: 1}},
		"superseded before":       {push("a", "1", "2"), superseded, summary{Outcomes: []core.Outcome{exists}, Moves: 1, Kept: 1}},
		"failed after its push":   {push("a", "1", "2"), failed, summary{Outcomes: []core.Outcome{exists}, Moves: 1, Kept: 1}},
		"an upload of superseded": {push("a", "1", "2", upload), superseded, summary{Outcomes: []core.Outcome{exists}}},
		"onto itself":             {push("a", "2", "2"), complete, summary{Outcomes: []core.Outcome{exists}, Moves: 1, Kept: 1}},
	}
	for name, c := range cases {
		items := intake.Admit([]*intake.Request{c.request}, nil)
		if opened := c.existing.ID == 0; opened && items[0].Asks() {
			items[0].Created, items[0].Scan.ID = true, 9
		}
		plan := intake.Decide(items, func(*core.Scan) core.Scan { return c.existing })
		got := summary{
			Joins: len(plan.Joins), Moves: len(plan.Moves), Jobs: len(plan.Jobs), FileTasks: len(plan.FileTasks),
			Informed: len(plan.Informed), Kept: len(plan.Kept),
		}
		for _, restart := range plan.Restarts {
			if restart.Due(c.existing) {
				got.Restarts++
			}
		}
		for _, item := range items {
			got.Outcomes = append(got.Outcomes, item.Receipt.Outcome)
			got.Shared = got.Shared || item.Scan != nil && item.Scan.SharedRefs
		}
		for _, event := range plan.Audit {
			got.Audit = append(got.Audit, event.Action)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A restart runs failed jobs again if any of the pushes has what the scan was opened without.
func TestDecideRestartsOnce(t *testing.T) {
	t.Parallel()
	existing := core.Scan{ID: 7, CommitSHA: sha("2"), Status: core.ScanFailed, SupersededBy: sha("3"), BeforeSHA: sha("1")}
	files := func(r *intake.Request) { r.Scan.NumChangedFiles = nil }
	items := intake.Admit([]*intake.Request{push("a", "1", "2", files), push("b", "1", "2"), push("c", "1", "2", files), push("c", "1", "2")}, nil)
	plan := intake.Decide(items, func(*core.Scan) core.Scan { return existing })
	if diff := cmp.Diff([]intake.Restart{{ScanID: 7, Failed: true}}, plan.Restarts); diff != "" {
		t.Errorf("restarts (-want +got):\n%s", diff)
	}
	if last := items[3].Receipt; last.Outcome != core.Duplicate || len(plan.Kept) != 3 {
		t.Errorf("the repeated delivery: %+v, %d kept", last, len(plan.Kept))
	}
}
