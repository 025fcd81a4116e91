package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
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
	list, err := c.read(ctx, f, sort, from, limit+1)
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
	list, err := c.read(ctx, f, BySeverity, from, limit)
	for _, alert := range list {
		b.Alerts = append(b.Alerts, alert.ID)
	}
	if err != nil || len(list) < limit {
		return b, wrap("selecting alerts", err)
	}
	last := positionOf(list[limit-1])
	_, err = c.counted(f, func(w walk) (n int, err error) {
		switch rank := w.severity.Rank(); {
		case rank > last.rank:
			return 0, nil
		case rank == last.rank:
			w.after = last
		}
		n, err = c.count(ctx, w)
		b.Left += n
		return n, err
	})
	if b.Left > 0 {
		b.Next = last.String()
	}
	return b, wrap("counting alerts", err)
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

// read merges the walks that a list consists of.
func (c *Catalog) read(ctx context.Context, f Filter, sort Sort, from position, limit int) (list []alerts.Alert, err error) {
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

func (f Filter) severities() []core.Severity {
	if f.Severity != "" {
		return []core.Severity{f.Severity}
	}
	return core.Severities
}

func (f Filter) shelves() []Shelf {
	switch {
	case f.Shelf != "":
		return []Shelf{f.Shelf}
	case f.Reason != "":
		return []Shelf{Dismissed}
	}
	return Shelves
}

// walk is a walk along an index: alerts of one severity on a shelf by when they were seen first.
type walk struct {
	Filter
	severity core.Severity
	oldest   bool
	after    position
	limit    int
}

var columns = sqldb.Qualify("alerts", sqldb.ColumnsOf[alerts.Alert]())

// walkAll walks the shelves of the filter, and merges what it finds.
func (c *Catalog) walkAll(ctx context.Context, w walk) (list []alerts.Alert, err error) {
	shelves := w.shelves()
	for _, shelf := range shelves {
		w.Shelf = shelf
		var found []alerts.Alert
		query, args := w.sql(c.now(), columns)
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

// onShelf is the shelf of an alert, as the indexes have it.
const onShelf = `(CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END)`

// haystack is where a text is looked for.
const haystack = `LOWER(title || ' ' || file || ' ' || rule_id || ' ' || words)`

// sql is the statement of a walk.
func (w walk) sql(now time.Time, selected string) (query string, args []any) {
	with, query, args := w.parts(now, selected)
	return with + query, args
}

// parts are the beginning of a statement, and the walk as a query that can stand inside it.
func (w walk) parts(now time.Time, selected string) (with, query string, args []any) {
	where := w.conditions(now)
	way, beyond := `DESC`, `<`
	if w.oldest {
		way, beyond = `ASC`, `>`
	}
	where.Add(w.after.id != 0, `(first_seen, alerts.id) `+beyond+` (?, ?)`, w.after.seen, w.after.id)
	from := `alerts`
	if w.KEV {
		with, from = exploited, `hit CROSS JOIN alerts`
		where.Add(true, `alerts.id = hit.id`)
	}
	order := ` ORDER BY first_seen ` + way + `, alerts.id ` + way + ` LIMIT ?`
	if w.Text == "" {
		return with, `SELECT ` + selected + ` FROM ` + from + ` ` + where.SQL() + order, append(where.Args, w.limit)
	}
	return with, `SELECT ` + selected + ` FROM (SELECT alerts.* FROM ` + from + ` ` + where.SQL() + order + `) alerts
		WHERE ` + haystack + ` LIKE ? ESCAPE '\'` + order, append(where.Args, maxSearched, like(w.Text), w.limit)
}

// exploited are the alerts whose CVEs are known to be exploited: it looks each of these up, which are a few thousand.
const exploited = `WITH hit AS MATERIALIZED (
	SELECT a.id FROM epss_data e CROSS JOIN alerts a WHERE e.kev AND a.cve_id = e.cve_id AND a.cve_id <> '') `

// like is a pattern for texts that contain one.
func like(text string) string {
	return `%` + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + `%`
}

// conditions lead an engine to the index that fits best: what no index should be chosen for is an expression.
func (w walk) conditions(now time.Time) (where sqldb.Conditions) {
	switch inProject := len(w.Projects) == 1; {
	case inProject:
		where.Add(true, `project_id = ?`, w.Projects[0])
		where.Add(w.Rule != "", `SUBSTR(rule_id, 1, 200) || '' = ?`, cut(w.Rule))
	default:
		where.Add(w.Rule != "", `SUBSTR(rule_id, 1, 200) = ?`, cut(w.Rule))
		where.Add(w.Projects != nil, `project_id + 0 IN (?)`, atLeastOne(w.Projects))
	}
	where.Add(w.Shelf != "", onShelf+` = ?`, string(w.Shelf))
	where.Add(w.severity != "", `severity = ?`, string(w.severity))
	where.Add(w.Tool != "", `SUBSTR(tool, 1, 200) = ?`, cut(w.Tool))
	if directory := strings.HasSuffix(w.Path, "/"); directory {
		where.Add(true, `SUBSTR(file, 1, ?) = ?`, len([]rune(w.Path)), w.Path)
	} else {
		where.Add(w.Path != "", `file = ?`, w.Path)
	}
	if w.Reason != "" {
		where.Add(true, ReasonOf(`alerts.id`)+` = ?`, strings.TrimPrefix(w.Reason, Suppressed))
	}
	if span, known := days[w.Age]; known {
		where.Add(span[1] != 0, `first_seen >= ?`, before(now, span[1]))
		where.Add(span[0] != 0, `first_seen < ?`, before(now, span[0]))
	}
	return where
}

// before is a number of days before now, as the database keeps times.
func before(now time.Time, days int) time.Time {
	return now.UTC().AddDate(0, 0, -days).Truncate(time.Microsecond)
}

// atLeastOne keeps a list from being empty, which IN does not take everywhere: no project has the id 0.
func atLeastOne(ids []int64) []int64 {
	if len(ids) == 0 {
		return []int64{0}
	}
	return ids
}

func cut(name string) string {
	if runes := []rune(name); len(runes) > maxKey {
		return string(runes[:maxKey])
	}
	return name
}
