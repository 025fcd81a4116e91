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
}

// List returns a page of alerts; after is the cursor of the page, empty for the first. core.ErrInvalid for another cursor.
func (c *Catalog) List(ctx context.Context, f Filter, sort Sort, after string, limit int) (Page, error) {
	from, err := parsePosition(after)
	if err != nil {
		return Page{}, err
	}
	if f, err = c.searching(ctx, f); err != nil {
		return Page{}, wrap("searching alerts", err)
	}
	list, err := c.merge(ctx, f, sort, from, limit+1)
	if err != nil {
		return Page{}, wrap("listing alerts", err)
	}
	var page Page
	if len(list) > limit {
		list = list[:limit]
		page.Next = positionOf(list[limit-1]).String()
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
	list, err := c.merge(ctx, f, BySeverity, from, limit)
	for _, alert := range list {
		b.Alerts = append(b.Alerts, alert.ID)
	}
	if err != nil || len(list) < limit {
		return b, wrap("selecting alerts", err)
	}
	last := positionOf(list[limit-1])
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

// merge merges the walks that a list consists of.
func (c *Catalog) merge(ctx context.Context, f Filter, sort Sort, from position, limit int) (list []alerts.Alert, err error) {
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
		found, err := c.walkAll(ctx, walk)
		if err != nil {
			return nil, err
		}
		if list = append(list, found...); sort == BySeverity && len(list) >= limit {
			break
		}
	}
	if sort != BySeverity {
		slices.SortFunc(list, inOrder(sort == Oldest))
	}
	return list[:min(len(list), limit)], nil
}

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

// walkAll walks the shelves of the filter, and merges what it finds.
func (c *Catalog) walkAll(ctx context.Context, w walk) (list []alerts.Alert, err error) {
	shelves := w.shelves()
	for _, shelf := range shelves {
		w.Shelf = shelf
		var found []alerts.Alert
		query, args := c.walked(w, columns)
		if err := sqldb.SelectIn(ctx, c.db, &found, query, args...); err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	if len(shelves) > 1 {
		slices.SortFunc(list, inOrder(w.oldest))
	}
	return list[:min(len(list), w.limit)], nil
}
