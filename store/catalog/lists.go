package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Page is a page of a list.
type Page struct {
	Items []Item
	Next  string // cursor of the next page; empty on the last one
	Short bool   // so many alerts were read that the page ends early; the next page goes on
}

// List returns a page of alerts; after is the cursor of the page, empty for the first. core.ErrInvalid for another cursor.
func (c *Catalog) List(ctx context.Context, f Filter, sort Sort, after string, limit int) (Page, error) {
	from, err := parsePosition(after)
	if err != nil || f.nowhere() {
		return Page{}, err
	}
	if f, err = c.searching(ctx, f); err != nil {
		return Page{}, wrap("searching alerts", err)
	}
	list, stop, err := c.merge(ctx, f, sort, from, limit+1)
	if err != nil {
		return Page{}, wrap("listing alerts", err)
	}
	var page Page
	switch {
	case len(list) > limit:
		list = list[:limit]
		page.Next = positionOf(list[limit-1]).String()
	case stop.id != 0:
		page.Next, page.Short = stop.String(), true
	}
	page.Items, err = c.describe(ctx, list)
	return page, wrap("listing alerts", err)
}

// Batch is a part of what a filter selects, for work that is done part by part.
type Batch struct {
	Alerts []int64 // their ids
	Next   string  // cursor of the next batch; empty for the last one
	Left   int     // alerts behind this batch, as far as they are counted
}

// Batch returns the alerts behind a cursor, the most severe first. It finds them also while those before change their shelf.
func (c *Catalog) Batch(ctx context.Context, f Filter, after string, limit int) (b Batch, err error) {
	from, err := parsePosition(after)
	if err != nil {
		return b, err
	}
	if f, err = c.searching(ctx, f); err != nil {
		return b, wrap("searching alerts", err)
	}
	list, stop, err := c.merge(ctx, f, BySeverity, from, limit)
	for _, alert := range list {
		b.Alerts = append(b.Alerts, alert.ID)
	}
	if err != nil || len(list) < limit && stop.id == 0 {
		return b, wrap("selecting alerts", err)
	}
	last := stop
	if len(list) == limit {
		last = positionOf(list[limit-1])
	}
	more, err := counted(f.severities(), f.shelves(), MaxCounted+1, func(w walk) (read int, err error) {
		w.Filter = f.on(w.Shelf)
		switch rank := w.severity.Rank(); {
		case rank > last.rank:
			return 0, nil
		case rank == last.rank:
			w.after = last
		}
		n, read, err := c.count(ctx, w)
		b.Left += n
		return read, err
	})
	if b.Left > 0 || more {
		b.Next = last.String()
	}
	return b, wrap("counting alerts", err)
}

// Admit is core.ErrUncommented where a decision on all that a filter selects does not say why, and some of them need that.
func (c *Catalog) Admit(ctx context.Context, f Filter, decision core.TriageUpdate) error {
	if !decision.Silent() {
		return nil
	}
	f, err := c.searching(ctx, f)
	if err != nil {
		return wrap("searching alerts", err)
	}
	needing := 0
	_, err = counted(f.severities(), f.shelves(), MaxCounted+1, func(w walk) (read int, err error) {
		w.Filter = f.on(w.Shelf)
		w.KEV = f.KEV || !(core.Finding{Severity: w.severity}).NeedsComment()
		n, read, err := c.count(ctx, w)
		needing += n
		return read, err
	})
	if err == nil && needing > 0 {
		return core.Uncommented(needing)
	}
	return wrap("counting alerts", err)
}

// position is where a page begins: behind the alert that it names.
type position struct {
	rank int // of the severity
	seen time.Time
	id   int64 // 0 is the first page
}

func positionOf(alert alerts.Alert) position {
	return position{alert.Severity.Rank(), alert.FirstSeen, alert.ID}
}

// String is the position as addresses have it.
func (p position) String() string { return fmt.Sprintf("%d-%d-%d", p.rank, p.seen.UnixMicro(), p.id) }

func parsePosition(text string) (p position, err error) {
	if text == "" {
		return p, nil
	}
	var micro int64
	if n, err := fmt.Sscanf(text, "%d-%d-%d", &p.rank, &micro, &p.id); n != 3 || err != nil || p.id < 1 {
		return position{}, fmt.Errorf("%w: %q is no place in a list of alerts; leave it out to begin anew", core.ErrInvalid, text)
	}
	p.seen = time.UnixMicro(micro).UTC()
	return p, nil
}

// merge merges the walks that a list consists of. stop is the alert behind which the list goes on where too many were read for its end.
func (c *Catalog) merge(ctx context.Context, f Filter, sort Sort, from position, limit int) (list []alerts.Alert, stop position, err error) {
	for _, severity := range f.severities() {
		rank := severity.Rank()
		if sort == BySeverity && from.id != 0 && rank > from.rank {
			continue
		}
		walk := walk{Filter: f, severity: severity, oldest: sort == Oldest, limit: limit}
		if sort != BySeverity || rank == from.rank {
			walk.after = from
		}
		if sort == BySeverity {
			walk.limit -= len(list)
		}
		found, end, err := c.walkAll(ctx, walk)
		if err != nil {
			return nil, stop, err
		}
		list, stop = append(list, found...), earlier(stop, end, walk.oldest)
		if sort == BySeverity && (len(list) >= limit || stop.id != 0) {
			break
		}
	}
	if sort != BySeverity {
		slices.SortFunc(list, inOrder(sort == Oldest))
		list = upTo(stop, list, sort == Oldest)
	}
	return list[:min(len(list), limit)], stop, nil
}

// earlier is the position that comes first in a list, of those that there are.
func earlier(a, b position, oldest bool) position {
	order := inOrder(oldest)
	if a.id == 0 || b.id != 0 && order(b.alert(), a.alert()) < 0 {
		return b
	}
	return a
}

// upTo is the part of a sorted list that ends with a position, if there is one.
func upTo(stop position, list []alerts.Alert, oldest bool) []alerts.Alert {
	if stop.id == 0 {
		return list
	}
	order := inOrder(oldest)
	return slices.DeleteFunc(list, func(alert alerts.Alert) bool { return order(alert, stop.alert()) > 0 })
}

// alert is one that stands at the position.
func (p position) alert() alerts.Alert { return alerts.Alert{FirstSeen: p.seen, ID: p.id} }

// inOrder compares alerts by when they were seen first.
func inOrder(oldest bool) func(a, b alerts.Alert) int {
	return func(a, b alerts.Alert) int {
		order := cmp.Or(a.FirstSeen.Compare(b.FirstSeen), cmp.Compare(a.ID, b.ID))
		if !oldest {
			order = -order
		}
		return order
	}
}

// walkAll walks the shelves of the filter, and merges what it finds. end is where it stopped early, if it did.
func (c *Catalog) walkAll(ctx context.Context, w walk) (list []alerts.Alert, end position, err error) {
	shelves := w.shelves()
	for _, shelf := range shelves {
		w.Shelf = shelf
		found, stop, err := c.seek(ctx, w)
		if err != nil {
			return nil, end, err
		}
		list, end = append(list, found...), earlier(end, stop, w.oldest)
	}
	if len(shelves) > 1 {
		slices.SortFunc(list, inOrder(w.oldest))
	}
	list = upTo(end, list, w.oldest)
	return list[:min(len(list), w.limit)], end, nil
}

// firstWindow is in how many alerts a walk looks first for what no index has: often that is enough.
const firstWindow = 500

// seek does one walk. Where it looks for what no index has, it reads windows of alerts that grow, until it has found enough or read maxSought;
// end is the last that it read then.
func (c *Catalog) seek(ctx context.Context, w walk) (list []alerts.Alert, end position, err error) {
	if !w.seeks() {
		list, err = c.fetch(ctx, w)
		return list, end, err
	}
	limit := w.limit
	for window, left := firstWindow, c.sought; left > 0; window *= 4 {
		window = min(window, left)
		left -= window
		if w.until, err = c.nth(ctx, w, window); err != nil {
			return nil, end, err
		}
		w.limit = limit - len(list)
		found, err := c.fetch(ctx, w)
		if err != nil {
			return nil, end, err
		}
		if list = append(list, found...); len(list) >= limit || w.until.id == 0 {
			return list, end, nil
		}
		w.after = w.until
	}
	return list, w.after, nil
}

func (c *Catalog) fetch(ctx context.Context, w walk) (found []alerts.Alert, err error) {
	query, args := c.walked(w, columns)
	err = sqldb.SelectIn(ctx, c.db, &found, query, args...)
	return found, err
}

// nth is the position of the n-th alert that a walk reads, whether it is looked for or not; zero where there are fewer.
func (c *Catalog) nth(ctx context.Context, w walk, n int) (p position, err error) {
	var where sqldb.Conditions
	w.addIndexed(&where, c.now())
	w.until, w.limit = position{}, 1
	var found []alerts.Alert
	query, args := c.walking(w, where, `first_seen, alerts.id`)
	if err = sqldb.SelectIn(ctx, c.db, &found, query+` OFFSET ?`, append(args, n-1)...); err == nil && len(found) > 0 {
		p = positionOf(found[0])
		p.rank = w.severity.Rank()
	}
	return p, err
}
