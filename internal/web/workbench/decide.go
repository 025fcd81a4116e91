package workbench

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
)

// done is what the visitor has just done to many alerts. The address of the page that they come back to holds it.
type done struct {
	What    string // FP, TP, a core.Reason or undone
	N, Left int
	Waiting int    // how many of them wait for a second person
	Until   string // the end of accepted risks
	Batch   string
	Filter  string // of what is left, which begins after a cursor
	After   string
	Comment string
}

// More tells whether something may be left to do.
func (d done) More() bool { return d.Left > 0 || d.After != "" }

// Sentence tells visitors what they have just done.
func (d done) Sentence() string {
	what := map[string]string{
		string(core.FalsePositive): "You marked %s as false positive.", string(core.TruePositive): "You marked %s as real.",
		"undone": "You withdrew the decision on %s.",
	}[d.What]
	if reason := d.Reason(); reason != "" {
		what = "You dismissed %s: " + reason.Words() + "."
	}
	return fmt.Sprintf(what, text.Number(d.N)+" "+strings.TrimPrefix(core.Plural(d.N, "alert"), strconv.Itoa(d.N)+" "))
}

// Reason is the one that was given, or empty.
func (d done) Reason() core.Reason { return layout.ReasonOf(d.What) }

// Verdict is what a form says to go on.
func (d done) Verdict() string {
	if d.Reason() != "" {
		return "dismiss"
	}
	return d.What
}

// doneOf reads from the address what the visitor has done. It believes no address that somebody else made: only who decided knows the
// name of the batch.
func (p *Pages) doneOf(c *gin.Context) (*done, error) {
	d := done{
		What: c.Query("done"), Batch: c.Query("batch"), Filter: c.Query("filter"), After: c.Query("from"), Comment: c.Query("comments"),
		Until: c.Query("until"),
	}
	d.N, _ = strconv.Atoi(c.Query("n"))
	d.Left, _ = strconv.Atoi(c.Query("left"))
	d.Waiting, _ = strconv.Atoi(c.Query("waiting"))
	switch d.What {
	case "":
	case string(core.FalsePositive), string(core.TruePositive), string(d.Reason()):
		known, err := p.knows(c, d.Batch)
		if err != nil || !known {
			return nil, err
		}
		return &d, nil
	case "undone":
		return &d, nil
	}
	return nil, nil
}

// knows tells whether the visitor has decided on a batch.
func (p *Pages) knows(c *gin.Context, batch string) (bool, error) {
	who, err := p.Layout.Sessions.Visitor(c)
	if err != nil || !who.Known() {
		return false, err
	}
	return p.Store.HasBatch(c.Request.Context(), batch, who.Name)
}

// Decide decides on the alerts that were selected, or on those that a filter selects: on a batch of them at a time, so that nobody
// waits long for a page. The page that follows has a button for the rest.
func (p *Pages) Decide(c *gin.Context) error {
	ctx := c.Request.Context()
	who, err := p.Layout.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	judgement, err := p.Layout.Judgement(c)
	if err != nil {
		return err
	}
	batch := store.Batch{
		Key: c.PostForm("batch"), Verdict: judgement.Verdict, Dismissal: judgement.Dismissal, Author: who.Name,
		Comment: strings.ReplaceAll(c.PostForm("comments"), "\r\n", "\n"),
	}
	if batch.Key == "" {
		batch.Key = rand.Text()
	} else if known, err := p.knows(c, batch.Key); err != nil || !known {
		return cmp.Or(err, fmt.Errorf("%w: nothing of what you were deciding on holds any more; begin anew", core.ErrConflict))
	}
	result := done{What: judgement.What(), Batch: batch.Key, Comment: batch.Comment, Until: judgement.Until()}
	result.N, _ = strconv.Atoi(c.PostForm("n"))
	if c.PostForm("all") == "" {
		batch.Alerts, err = numbers(c.PostFormArray("alert"))
	} else {
		var part catalog.Batch
		part, err = p.selected(ctx, batch.On(0).Update(), c.PostForm("filter"), c.PostForm("after"))
		batch.Alerts, result.Left, result.After, result.Filter = part.Alerts, part.Left, part.Next, c.PostForm("filter")
	}
	if err != nil {
		return err
	}
	decided, err := p.Store.DecideAlerts(ctx, batch)
	if err != nil {
		return err
	}
	result.N += decided.Done
	result.Waiting, _ = strconv.Atoi(c.PostForm("waiting"))
	result.Waiting += decided.Waiting
	p.back(c, result)
	return nil
}

// selected is the next batch of what a filter selects, for a decision.
func (p *Pages) selected(ctx context.Context, decision core.TriageUpdate, filter, after string) (b catalog.Batch, err error) {
	query, err := url.ParseQuery(filter)
	if err != nil {
		return b, fmt.Errorf("%w: the form's filter is no address", core.ErrInvalid)
	}
	v := viewOf(query)
	if err := v.within(ctx, p.Store, access.Judge); err != nil {
		return b, err
	}
	if err := p.Store.Catalog().Admit(ctx, v.Filter, decision); err != nil {
		return b, err
	}
	return nextPart(after, func(after string) (catalog.Batch, error) {
		return p.Store.Catalog().Batch(ctx, v.Filter, after, store.MaxBatch)
	})
}

// maxEmpty is how many parts are read for one in which something matches.
const maxEmpty = 10

// nextPart reads parts behind a cursor up to one with alerts: one where so many were read that it ended early may have none, and a decision on
// none would end what has only begun.
func nextPart(after string, read func(after string) (catalog.Batch, error)) (part catalog.Batch, err error) {
	for range maxEmpty {
		if part, err = read(after); err != nil || len(part.Alerts) > 0 || part.Next == "" {
			return part, err
		}
		after = part.Next
	}
	return part, fmt.Errorf("%w: so few alerts match that none was found among those that were read; choose a narrower filter, such as one "+
		"project, severity or rule, and decide again", core.ErrInvalid)
}

// numbers are the ids of the alerts that were selected.
func numbers(texts []string) (ids []int64, err error) {
	for _, number := range texts {
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("%w: %q is no alert", core.ErrInvalid, number)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: no alert was selected; go back and select some, or all that match", core.ErrInvalid)
	}
	return ids[:min(len(ids), store.MaxBatch)], nil
}

// Undo withdraws the decisions of a batch that still hold, some at a time.
func (p *Pages) Undo(c *gin.Context) error {
	who, err := p.Layout.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	result := done{What: "undone", Batch: c.PostForm("batch")}
	result.N, _ = strconv.Atoi(c.PostForm("n"))
	withdrawn, left, err := p.Store.WithdrawBatch(c.Request.Context(), result.Batch, who.Name)
	if err != nil {
		return err
	}
	result.N, result.Left = result.N+withdrawn, left
	p.back(c, result)
	return nil
}

// back leads to the page with the form, and tells there what was done.
func (p *Pages) back(c *gin.Context, d done) {
	target, err := url.Parse(p.Layout.Base.Local(c.PostForm("back")))
	if err != nil {
		target = &url.URL{Path: p.Layout.Base.Path("/alerts")}
	}
	query := target.Query()
	for _, name := range []string{"after", "filter", "from", "left", "comments", "until"} {
		query.Del(name)
	}
	query.Set("done", d.What)
	query.Set("n", strconv.Itoa(d.N))
	query.Set("batch", d.Batch)
	if query.Del("waiting"); d.Waiting > 0 {
		query.Set("waiting", strconv.Itoa(d.Waiting))
	}
	if d.More() {
		query.Set("left", strconv.Itoa(d.Left))
		for name, value := range map[string]string{"filter": d.Filter, "from": d.After, "comments": d.Comment, "until": d.Until} {
			if value != "" {
				query.Set(name, value)
			}
		}
	}
	target.RawQuery = query.Encode()
	c.Redirect(http.StatusSeeOther, target.String())
}
