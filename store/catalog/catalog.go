// Package catalog lists alerts over all projects: pages of them by any filter, how many there are by severity, rule, tool, project, age
// and directory, and groups of them. It reads only; package store writes alerts, and triggers of the database keep the numbers that the
// counts are made of.
//
// A page costs about the same whatever the table holds: a list is a few walks along an index that is sorted as the page is, one for
// each severity. Counts of large lists come from the tallies; those of small ones, and of filters that no tally knows, from the alerts
// themselves, of which at most MaxCounted are read.
//
// Reading order: catalog.go, filter.go (what can be asked, and one walk along an index that finds it), lists.go (pages), facets.go (counts), groups.go.
package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Shelf is the list that an alert is in. Each is in one.
type Shelf string

// The shelves.
const (
	Open      Shelf = "open"      // on the default branch, or anywhere where that is not known
	Branch    Shelf = "branch"    // on other branches or requests only
	Dismissed Shelf = "dismissed" // or suppressed by the scanner
	Fixed     Shelf = "fixed"
)

// Shelves are all of them, as pages show them.
var Shelves = []Shelf{Open, Branch, Dismissed, Fixed}

// Sort is the order of a list.
type Sort string

// The orders. Of one severity, the alerts that came last are first.
const (
	BySeverity Sort = "severity"
	Newest     Sort = "newest"
	Oldest     Sort = "oldest"
)

// Age is how long ago alerts were seen first. The ages do not overlap.
type Age string

// The ages.
const (
	Day     Age = "day"     // less than a day
	Week    Age = "week"    // a day to a week
	Month   Age = "month"   // a week to 30 days
	Quarter Age = "quarter" // 30 to 90 days
	Older   Age = "older"
)

// Ages are all of them, the youngest first.
var Ages = []Age{Day, Week, Month, Quarter, Older}

// days are how old alerts of an age are, from and to.
var days = map[Age][2]int{Day: {0, 1}, Week: {1, 7}, Month: {7, 30}, Quarter: {30, 90}, Older: {90, 0}}

const (
	// MaxCounted is up to which number alerts are counted one by one.
	MaxCounted = 10_000
	// maxSought is in how many alerts a walk looks for what no index has, before its list ends early.
	maxSought = 10_000
	// maxSampled is how many alerts are counted by what is only told of the first ones: their authors and probabilities.
	maxSampled = 1000
	// maxRead is how many alerts are counted by what no index knows: their files, and words that many have.
	maxRead = 2500
	// maxKey is the length in characters to which indexes and tallies cut names.
	maxKey = 200
)

// Likely are the probabilities of being exploited by which alerts are listed, in percent. The index of them begins with the least one.
var Likely = []int{50, 10}

// Suppressed stands for the reason of alerts that nobody but their scanner dismisses.
const Suppressed = "suppressed"

// ReasonOf is, as SQL, why the decision that holds on an alert dismisses it: core.PrevailingDecision and its Grounds. It is empty where none
// does. alert is a column with the alert's id.
func ReasonOf(alert string) string {
	return `COALESCE((SELECT CASE w.decision WHEN 'FP' THEN 'false_positive' ELSE w.reason END FROM alert_decisions w
		WHERE w.alert_id = ` + alert + `
		ORDER BY CASE WHEN w.source IN ('person', 'red_team') THEN 0 ELSE 1 END, w.id DESC LIMIT 1), '')`
}

// Item is an alert of a list.
type Item struct {
	alerts.Alert
	Platform string
	Project  string
	EPSS     float64 // of its CVE; 0 where unknown
	KEV      bool
}

// Catalog reads a database.
type Catalog struct {
	db       *sqldb.DB
	now      func() time.Time
	probed   int // in how many alerts a search looks before it asks the index of words
	sought   int // in how many alerts a walk looks for what no index has
	sampling int // how many alerts are counted by their authors and probabilities
}

// New returns a catalog of the alerts of a database.
func New(db *sqldb.DB, now func() time.Time) *Catalog {
	return &Catalog{db, now, 1000, maxSought, maxSampled}
}

// describe adds the names of projects, and what is known of CVEs.
func (c *Catalog) describe(ctx context.Context, list []alerts.Alert) ([]Item, error) {
	items := make([]Item, len(list))
	var ids []int64
	var cves []string
	for i, alert := range list {
		items[i].Alert = alert
		ids = append(ids, alert.ProjectID)
		if alert.CVEID != "" {
			cves = append(cves, alert.CVEID)
		}
	}
	projects, err := c.projects(ctx, ids)
	if err != nil {
		return nil, err
	}
	scores, err := c.scores(ctx, cves)
	if err != nil {
		return nil, err
	}
	for i := range items {
		named := projects[items[i].ProjectID]
		items[i].Platform, items[i].Project = named.Platform, named.Name
		if score, known := scores[items[i].CVEID]; known {
			items[i].EPSS, items[i].KEV = score.Probability, score.KEV
		}
	}
	return items, nil
}

// project is a project as lists name it.
type project struct {
	ID       int64  `db:"id"`
	Platform string `db:"platform"`
	Name     string `db:"name"`
}

func (c *Catalog) projects(ctx context.Context, ids []int64) (map[int64]project, error) {
	slices.Sort(ids)
	named := map[int64]project{}
	for chunk := range slices.Chunk(slices.Compact(ids), sqldb.RowsPerStatement) {
		var list []project
		if err := sqldb.SelectIn(ctx, c.db, &list, `SELECT id, platform, name FROM projects WHERE id IN (?)`, chunk); err != nil {
			return nil, err
		}
		for _, p := range list {
			named[p.ID] = p
		}
	}
	return named, nil
}

// score is what is known of a CVE.
type score struct {
	CVE         string  `db:"cve_id"`
	Probability float64 `db:"probability"`
	KEV         bool    `db:"kev"`
}

func (c *Catalog) scores(ctx context.Context, cves []string) (map[string]score, error) {
	scores := map[string]score{}
	if len(cves) == 0 {
		return scores, nil
	}
	var list []score
	err := sqldb.SelectIn(ctx, c.db, &list, `SELECT cve_id, probability, kev FROM epss_data WHERE cve_id IN (?)`, cves)
	for _, s := range list {
		scores[s.CVE] = s
	}
	return scores, err
}

func wrap(doing string, err error) error {
	if err = sqldb.Classify(err); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
