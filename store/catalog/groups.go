package catalog

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Grouping is what the alerts of a group have in common.
type Grouping string

// The groupings.
const (
	ByRule    Grouping = "rule"
	ByPackage Grouping = "package"
	ByFile    Grouping = "file"
	ByProject Grouping = "project"
)

// Groupings are all of them.
var Groupings = []Grouping{ByRule, ByFile, ByPackage, ByProject}

// maxGroups is how many groups a list has, the worst ones.
const maxGroups = 100

// Group is what alerts with the same rule, file, package or project sum up to.
type Group struct {
	Value
	Project string // of a file, or the group itself; empty for others
	Worst   core.Severity
}

// rankOf is core.Severity.Rank as SQL.
const rankOf = `CASE severity WHEN 'Critical' THEN 4 WHEN 'High' THEN 3 WHEN 'Medium' THEN 2 ELSE 1 END`

// grouped is a group as a database counts it.
type grouped struct {
	Name      string `db:"name"`
	ProjectID int64  `db:"project_id"`
	Rank      int    `db:"worst"`
	N         int    `db:"n"`
	Read      int    `db:"read"`
}

// Groups returns the worst groups of what a filter selects, those of the highest severity first, the largest of them first. Files are
// grouped within their projects; of those and of packages at most maxRead alerts are looked at, and MaxCounted of others where no tally knows the filter.
func (c *Catalog) Groups(ctx context.Context, f Filter, by Grouping) (groups []Group, err error) {
	var list []grouped
	more := false
	if f.nowhere() {
		return nil, nil
	}
	if f, err = c.searching(ctx, f); err != nil {
		return nil, wrap("searching alerts", err)
	}
	if by == ByFile || by == ByPackage || f.narrow() {
		list, more, err = c.countGroups(ctx, f, by)
	} else {
		list, err = c.tallyGroups(ctx, f, by)
	}
	if err != nil {
		return nil, wrap("grouping alerts", err)
	}
	values := make([]Value, len(list))
	for i, g := range list {
		values[i] = Value{Name: g.Name, ID: g.ProjectID, Count: Count{g.N, more}}
	}
	named, err := c.projects(ctx, projectsOf(list))
	for i, g := range list {
		group := Group{Value: values[i], Worst: core.Severities[len(core.Severities)-g.Rank]}
		group.Platform, group.Project = named[g.ProjectID].Platform, named[g.ProjectID].Name
		if by == ByProject {
			group.Name = group.Project
		}
		groups = append(groups, group)
	}
	return groups, wrap("naming projects", err)
}

func projectsOf(list []grouped) (ids []int64) {
	for _, g := range list {
		ids = append(ids, g.ProjectID)
	}
	return ids
}

// groupedBy are the columns that groups of a kind have in common.
var groupedBy = map[Grouping]struct{ name, project string }{
	ByRule: {`rule_id`, `0`}, ByFile: {`file`, `project_id`}, ByPackage: {`package`, `0`}, ByProject: {`''`, `project_id`},
}

func (c *Catalog) tallyGroups(ctx context.Context, f Filter, by Grouping) (list []grouped, err error) {
	where, columns := f.ofTallies(), groupedBy[by]
	err = sqldb.SelectIn(ctx, c.db, &list, `
		SELECT `+columns.name+` AS name, `+columns.project+` AS project_id, MAX(`+rankOf+`) AS worst, CAST(SUM(n) AS BIGINT) AS n, 0 AS read
		FROM alert_tallies `+where.SQL()+` GROUP BY 1, 2 ORDER BY 3 DESC, 4 DESC, 1, 2 LIMIT ?`, append(where.Args, maxGroups)...)
	return list, err
}

func (c *Catalog) countGroups(ctx context.Context, f Filter, by Grouping) (list []grouped, more bool, err error) {
	columns := groupedBy[by]
	type key struct {
		name    string
		project int64
	}
	sums := map[key]grouped{}
	limit := MaxCounted + 1
	if by == ByFile || by == ByPackage || len(f.search.read) > 0 {
		limit = maxRead + 1
	}
	more, err = counted(f.countedSeverities(), f.shelves(), limit, func(w walk) (read int, err error) {
		var found []grouped
		w.Filter = f.on(w.Shelf)
		walked, args := c.tallied(w, `severity, project_id, rule_id, file, package`)
		err = sqldb.SelectIn(ctx, c.db, &found, `
			SELECT `+columns.name+` AS name, `+columns.project+` AS project_id, MAX(CASE matches WHEN 1 THEN `+rankOf+` ELSE 0 END) AS worst, `+summed+`
			FROM (`+walked+`) walked GROUP BY 1, 2`, args...)
		for _, g := range found {
			read += g.Read
			if g.N == 0 || by == ByPackage && g.Name == "" {
				continue
			}
			sum := sums[key{g.Name, g.ProjectID}]
			g.N, g.Rank = g.N+sum.N, max(g.Rank, sum.Rank)
			sums[key{g.Name, g.ProjectID}] = g
		}
		return read, err
	})
	for _, g := range sums {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b grouped) int {
		return cmp.Or(cmp.Compare(b.Rank, a.Rank), cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ProjectID, b.ProjectID))
	})
	return list[:min(len(list), maxGroups)], more, err
}

// Risk is what is open on the default branch of a project.
type Risk struct {
	Severities []Value // that it has, the most severe first
	Open       int
	Oldest     *time.Time // when the oldest of it was seen first; nil where nothing is open
	Before     *int       // how many were open a week ago; nil where that was not counted
}

// Risks are those of projects, by their ids.
func (c *Catalog) Risks(ctx context.Context, projects []int64) (map[int64]Risk, error) {
	var open []struct {
		ProjectID int64     `db:"project_id"`
		Severity  string    `db:"severity"`
		N         int       `db:"n"`
		Oldest    time.Time `db:"oldest"`
	}
	var days []struct {
		ProjectID int64 `db:"id"`
		Before    int   `db:"before"`
	}
	err := sqldb.SelectIn(ctx, c.db, &open, `
		SELECT told.project_id, told.severity, told.n, alerts.first_seen AS oldest FROM (
			SELECT t.project_id, t.severity, CAST(SUM(t.n) AS BIGINT) AS n, (SELECT a.id FROM alerts a WHERE a.project_id = t.project_id AND `+onShelf+` = 'open'
				AND a.severity = t.severity ORDER BY a.first_seen, a.id LIMIT 1) AS first
			FROM alert_tallies t WHERE t.shelf = 'open' AND t.project_id IN (?) GROUP BY t.project_id, t.severity HAVING SUM(t.n) > 0) told
		JOIN alerts ON alerts.id = told.first`, atLeastOne(projects))
	if err == nil {
		err = sqldb.SelectIn(ctx, c.db, &days, `
			SELECT id, before FROM (SELECT p.id, (SELECT critical + high + medium + low FROM project_days d WHERE d.project_id = p.id AND d.day <= ?
				ORDER BY d.day DESC LIMIT 1) AS before FROM projects p WHERE p.id IN (?)) told WHERE before IS NOT NULL`,
			c.now().UTC().AddDate(0, 0, -7).Format(time.DateOnly), atLeastOne(projects))
	}
	if err != nil {
		return nil, wrap("reading open risk", err)
	}
	risks := map[int64]Risk{}
	for _, row := range open {
		risk := risks[row.ProjectID]
		risk.Severities, risk.Open = append(risk.Severities, Value{Name: row.Severity, Count: Count{N: row.N}}), risk.Open+row.N
		if risk.Oldest == nil || row.Oldest.Before(*risk.Oldest) {
			risk.Oldest = &row.Oldest
		}
		bySeverity(risk.Severities)
		risks[row.ProjectID] = risk
	}
	for _, row := range days {
		risk := risks[row.ProjectID]
		risk.Before = &row.Before
		risks[row.ProjectID] = risk
	}
	return risks, nil
}
