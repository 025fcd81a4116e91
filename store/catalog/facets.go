package catalog

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// maxValues is how many values of a facet are named, those with most alerts.
const maxValues = 12

// Count is a number of alerts. It is exact unless More is set.
type Count struct {
	N    int
	More bool // there are more than N
}

// Value is a value of a facet.
type Value struct {
	Name     string
	Platform string // of a project
	ID       int64  // of a project
	Count
}

// Facets are the alerts that a filter selects, by what else can be asked of them.
type Facets struct {
	Total      Count
	Shelves    map[Shelf]Count // nil where no tally knows
	Severities []Value
	Tools      []Value
	Rules      []Value
	Projects   []Value
	Ages       []Value // empty where there are too many alerts to count each
	Paths      []Value // below the filter's path; only of one project
	Reasons    []Value // of what is dismissed; only of that shelf
	KEV        Count
	Authors    []Value // of commits, counted among the first alerts of the list, as Likely is
	Likely     []Value // probabilities of being exploited, in percent: so much or more
}

// Facets counts what a filter selects.
func (c *Catalog) Facets(ctx context.Context, f Filter) (facets Facets, err error) {
	if f.nowhere() {
		return Facets{Shelves: map[Shelf]Count{}}, nil
	}
	if f, err = c.searching(ctx, f); err != nil {
		return facets, wrap("searching alerts", err)
	}
	if f.narrow() {
		cells, more, err := c.cells(ctx, f)
		if err != nil {
			return facets, wrap("counting alerts", err)
		}
		facets = gather(cells, more)
	} else if facets, err = c.fromTallies(ctx, f); err != nil {
		return facets, wrap("counting alerts", err)
	}
	if len(f.Projects) == 1 {
		if facets.Paths, err = c.paths(ctx, f); err != nil {
			return facets, wrap("counting files", err)
		}
	}
	if f.Shelf == Dismissed {
		if facets.Reasons, err = c.reasons(ctx, f); err != nil {
			return facets, wrap("counting reasons", err)
		}
	}
	if facets.Authors, facets.Likely, err = c.sampled(ctx, f); err != nil {
		return facets, wrap("counting authors", err)
	}
	if facets.KEV, err = c.countKEV(ctx, f); err != nil {
		return facets, wrap("counting exploited vulnerabilities", err)
	}
	return facets, wrap("naming projects", c.nameProjects(ctx, facets.Projects))
}

// ofTallies are the conditions that tallies know.
func (f Filter) ofTallies() (where sqldb.Conditions) {
	where.Add(true, `n > 0`)
	where.Add(f.Shelf != "", `shelf = ?`, string(f.Shelf))
	where.Add(f.Projects != nil, `project_id IN (?)`, atLeastOne(f.Projects))
	where.Add(f.Severity != "", `severity = ?`, string(f.Severity))
	where.Add(f.Tool != "", `tool = ?`, cut(f.Tool))
	where.Add(f.Rule != "", `rule_id = ?`, cut(f.Rule))
	return where
}

func (c *Catalog) fromTallies(ctx context.Context, f Filter) (facets Facets, err error) {
	facets.Shelves = map[Shelf]Count{}
	anywhere := f
	anywhere.Shelf = ""
	shelves, err := c.tally(ctx, anywhere, `shelf`)
	for _, shelf := range shelves {
		facets.Shelves[Shelf(shelf.Name)] = shelf.Count
	}
	for _, shelf := range f.shelves() {
		facets.Total.N += facets.Shelves[shelf].N
	}
	if err != nil || facets.Total.N == 0 {
		return facets, err
	}
	for column, values := range map[string]*[]Value{
		`severity`: &facets.Severities, `tool`: &facets.Tools, `rule_id`: &facets.Rules, `project_id`: &facets.Projects,
	} {
		if *values, err = c.tally(ctx, f, column); err != nil {
			return facets, err
		}
	}
	bySeverity(facets.Severities)
	if facets.Total.N <= MaxCounted {
		facets.Ages, err = c.ages(ctx, f)
	}
	return facets, err
}

// ages counts alerts by their age, along an index.
func (c *Catalog) ages(ctx context.Context, f Filter) ([]Value, error) {
	counts := map[string]int{}
	more, err := f.counted(func(w walk) (read int, err error) {
		var found []cell
		walked, args := c.tallied(w, `first_seen`)
		err = sqldb.SelectIn(ctx, c.db, &found, `SELECT age, `+summed+` FROM (SELECT `+aged+` AS age, matches FROM (`+walked+`) walked) aged GROUP BY age`,
			append(c.bounds(), args...)...)
		for _, cell := range found {
			counts[cell.Age] += cell.N
			read += cell.Read
		}
		return read, err
	})
	return valuesOf(counts, more), err
}

// aged is the age of an alert as SQL, with the bounds of the ages as parameters.
const aged = `CASE WHEN first_seen >= ? THEN 'day' WHEN first_seen >= ? THEN 'week' WHEN first_seen >= ? THEN 'month'
	WHEN first_seen >= ? THEN 'quarter' ELSE 'older' END`

// bounds are the moments at which ages begin, but for the oldest.
func (c *Catalog) bounds() (bounds []any) {
	now := c.now()
	for _, age := range Ages[:len(Ages)-1] {
		bounds = append(bounds, before(now, days[age][1]))
	}
	return bounds
}

func valuesOf(ages map[string]int, more bool) (values []Value) {
	for _, age := range Ages {
		if n := ages[string(age)]; n > 0 {
			values = append(values, Value{Name: string(age), Count: Count{n, more}})
		}
	}
	return values
}

// tally sums up the tallies that a filter selects by one of their columns.
func (c *Catalog) tally(ctx context.Context, f Filter, column string) (values []Value, err error) {
	var list []struct {
		Name string `db:"name"`
		ID   int64  `db:"id"`
		N    int    `db:"n"`
	}
	name, id := column, `0`
	if column == `project_id` {
		name, id = `''`, column
	}
	where := f.ofTallies()
	err = sqldb.SelectIn(ctx, c.db, &list, `
		SELECT `+name+` AS name, `+id+` AS id, CAST(SUM(n) AS BIGINT) AS n FROM alert_tallies `+where.SQL()+`
		GROUP BY `+column+` ORDER BY SUM(n) DESC, `+column+` LIMIT ?`, append(where.Args, maxValues)...)
	for _, row := range list {
		values = append(values, Value{Name: row.Name, ID: row.ID, Count: Count{N: row.N}})
	}
	return values, err
}

// OpenBySeverity counts the alerts that are open on the default branch of a project.
func (c *Catalog) OpenBySeverity(ctx context.Context, project int64) (map[core.Severity]int, error) {
	values, err := c.tally(ctx, Filter{Shelf: Open, Projects: []int64{project}}, `severity`)
	open := map[core.Severity]int{}
	for _, value := range values {
		open[core.Severity(value.Name)] = value.N
	}
	return open, wrap("counting open alerts", err)
}

// OpenOf counts what is open on the default branches of projects by severity; nil projects are all.
func (c *Catalog) OpenOf(ctx context.Context, projects []int64) ([]Value, error) {
	values, err := c.tally(ctx, Filter{Shelf: Open, Projects: projects}, `severity`)
	bySeverity(values)
	return values, wrap("counting open alerts", err)
}

// cell is how many alerts have the same value in every facet.
type cell struct {
	Severity  string `db:"severity"`
	Tool      string `db:"tool"`
	Rule      string `db:"rule"`
	ProjectID int64  `db:"project_id"`
	Age       string `db:"age"`
	sum
}

// cells reads at most MaxCounted alerts and counts them; more tells that there are others.
func (c *Catalog) cells(ctx context.Context, f Filter) (cells []cell, more bool, err error) {
	const selected = `severity, SUBSTR(tool, 1, 200) AS tool, SUBSTR(rule_id, 1, 200) AS rule, project_id, first_seen`
	const query = `SELECT severity, tool, rule, project_id, age, ` + summed + ` FROM (
		SELECT severity, tool, rule, project_id, ` + aged + ` AS age, matches FROM (`
	more, err = f.counted(func(w walk) (read int, err error) {
		var found []cell
		walked, args := c.tallied(w, selected)
		err = sqldb.SelectIn(ctx, c.db, &found, query+walked+`) walked) aged GROUP BY severity, tool, rule, project_id, age`,
			append(c.bounds(), args...)...)
		for _, cell := range found {
			read += cell.Read
		}
		cells = append(cells, found...)
		return read, err
	})
	return cells, more, err
}

// gather sums up cells by each facet.
func gather(cells []cell, more bool) (f Facets) {
	severities, tools, rules, ages := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	projects := map[int64]int{}
	for _, cell := range cells {
		f.Total.N += cell.N
		severities[cell.Severity] += cell.N
		tools[cell.Tool] += cell.N
		rules[cell.Rule] += cell.N
		ages[cell.Age] += cell.N
		projects[cell.ProjectID] += cell.N
	}
	f.Total.N, f.Total.More = min(f.Total.N, MaxCounted), more
	f.Severities, f.Tools, f.Rules = most(severities, more), most(tools, more), most(rules, more)
	for id, n := range projects {
		if n > 0 {
			f.Projects = append(f.Projects, Value{ID: id, Count: Count{n, more}})
		}
	}
	f.Projects = largest(f.Projects)
	bySeverity(f.Severities)
	f.Ages = valuesOf(ages, more)
	return f
}

func most(counts map[string]int, more bool) (values []Value) {
	for name, n := range counts {
		if n > 0 {
			values = append(values, Value{Name: name, Count: Count{n, more}})
		}
	}
	return largest(values)
}

// largest are the values with most alerts.
func largest(values []Value) []Value {
	slices.SortFunc(values, func(a, b Value) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return values[:min(len(values), maxValues)]
}

func bySeverity(values []Value) {
	slices.SortFunc(values, func(a, b Value) int {
		return cmp.Compare(core.Severity(b.Name).Rank(), core.Severity(a.Name).Rank())
	})
}

// paths counts alerts by the next part of their paths: directories end with a slash.
func (c *Catalog) paths(ctx context.Context, f Filter) ([]Value, error) {
	prefix := f.Path[:strings.LastIndexByte(f.Path, '/')+1]
	find := `STRPOS`
	if c.db.Embedded() {
		find = `INSTR`
	}
	counts, start := map[string]int{}, len([]rune(prefix))+1
	more, err := counted(f.countedSeverities(), f.shelves(), maxRead+1, func(w walk) (read int, err error) {
		var found []struct {
			Part string `db:"part"`
			sum
		}
		w.Filter = f.on(w.Shelf)
		walked, args := c.tallied(w, `file`)
		err = sqldb.SelectIn(ctx, c.db, &found, `
			SELECT part, `+summed+` FROM (
				SELECT CASE WHEN `+find+`(rest, '/') > 0 THEN SUBSTR(rest, 1, `+find+`(rest, '/')) ELSE rest END AS part, matches FROM (
					SELECT SUBSTR(file, ?) AS rest, matches FROM (`+walked+`) walked) named) parted
			GROUP BY part`, append([]any{start}, args...)...)
		for _, row := range found {
			counts[prefix+row.Part] += row.N
			read += row.Read
		}
		return read, err
	})
	return most(counts, more), err
}

// reasons counts alerts by why they are dismissed.
func (c *Catalog) reasons(ctx context.Context, f Filter) ([]Value, error) {
	counts := map[string]int{}
	more, err := f.counted(func(w walk) (read int, err error) {
		var found []struct {
			Reason string `db:"reason"`
			sum
		}
		walked, args := c.tallied(w, `alerts.id`)
		err = sqldb.SelectIn(ctx, c.db, &found, `
			SELECT reason, `+summed+` FROM (SELECT `+ReasonOf(`walked.id`)+` AS reason, matches FROM (`+walked+`) walked) told GROUP BY reason`, args...)
		for _, row := range found {
			counts[cmp.Or(row.Reason, Suppressed)] += row.N
			read += row.Read
		}
		return read, err
	})
	return most(counts, more), err
}

// countKEV counts alerts of vulnerabilities that are known to be exploited.
func (c *Catalog) countKEV(ctx context.Context, f Filter) (Count, error) {
	f.KEV = true
	n, read, err := c.count(ctx, walk{Filter: f, severity: f.Severity, limit: MaxCounted + 1})
	return Count{min(n, MaxCounted), read > MaxCounted}, err
}

// banded is the greatest of Likely that an alert's CVE reaches, as SQL, or 0.
const banded = `CASE WHEN cve_id = '' THEN 0 ELSE COALESCE((SELECT CASE WHEN e.probability >= 0.5 THEN 50 WHEN e.probability >= 0.1 THEN 10 ELSE 0 END
	FROM epss_data e WHERE e.cve_id = walked.cve_id), 0) END`

// sampled counts the first alerts of a list by the authors of their commits, and by how likely they are to be exploited. Where these are
// looked for, it looks no further than among the first alerts of each walk: few may match of very many.
func (c *Catalog) sampled(ctx context.Context, f Filter) (authors, likely []Value, err error) {
	byAuthor, byBand, short := map[string]int{}, map[int]int{}, false
	more, err := counted(f.countedSeverities(), f.shelves(), c.sampling+1, func(w walk) (read int, err error) {
		var found []struct {
			Author string `db:"author"`
			Band   int    `db:"band"`
			sum
		}
		w.Filter = f.on(w.Shelf)
		if w.seeks() {
			if w.until, err = c.nth(ctx, w, c.sampling); err != nil {
				return 0, err
			}
			short = short || w.until.id != 0
		}
		walked, args := c.tallied(w, `author, cve_id`)
		err = sqldb.SelectIn(ctx, c.db, &found, `
			SELECT author, band, `+summed+` FROM (SELECT author, `+banded+` AS band, matches FROM (`+walked+`) walked) told GROUP BY author, band`,
			args...)
		for _, row := range found {
			byAuthor[row.Author] += row.N
			byBand[row.Band] += row.N
			read += row.Read
		}
		return read, err
	})
	delete(byAuthor, "")
	n := 0
	more = more || short
	for _, percent := range Likely {
		if n += byBand[percent]; n > 0 {
			likely = append(likely, Value{Name: strconv.Itoa(percent), Count: Count{n, more}})
		}
	}
	return most(byAuthor, more), likely, err
}

func (c *Catalog) nameProjects(ctx context.Context, values []Value) error {
	var ids []int64
	for _, value := range values {
		ids = append(ids, value.ID)
	}
	named, err := c.projects(ctx, ids)
	for i := range values {
		values[i].Platform, values[i].Name = named[values[i].ID].Platform, named[values[i].ID].Name
	}
	return err
}
