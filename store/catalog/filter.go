package catalog

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Filter selects alerts. Zero fields select all.
type Filter struct {
	Shelf    Shelf
	Projects []int64 // nil: all
	Severity core.Severity
	Tool     string
	Rule     string
	Package  string // that is vulnerable
	Path     string // a file, or a directory that ends with a slash
	Age      Age
	KEV      bool   // known to be exploited
	EPSS     int    // the least probability of being exploited within 30 days, in percent: one of Likely; 0: any
	Author   string // of the commit that brought it
	Text     string // words with which words begin in title, file, rule, message, or a vulnerability's id, in any case
	Reason   string // why it is dismissed: a core.Reason, or Suppressed

	search search
}

// nowhere tells that a filter selects from no project. That is known without a walk over the alerts of all.
func (f Filter) nowhere() bool { return f.Projects != nil && len(f.Projects) == 0 }

// narrow tells whether a filter asks for what no tally knows.
func (f Filter) narrow() bool {
	return f.Path != "" || f.Age != "" || f.KEV || f.EPSS != 0 || f.Author != "" || f.Package != "" || f.Text != "" || f.Reason != ""
}

// walk is a walk along an index: alerts of one severity on a shelf by when they were seen first.
type walk struct {
	Filter
	severity core.Severity
	oldest   bool
	after    position
	until    position // the last alert that is read, if any
	limit    int
}

func (f Filter) severities() []core.Severity {
	if f.Severity != "" {
		return []core.Severity{f.Severity}
	}
	return core.Severities
}

// countedSeverities are those of the walks that counts consist of: what was found by its words is not walked to in an order.
func (f Filter) countedSeverities() []core.Severity {
	if f.search.indexed {
		return []core.Severity{f.Severity}
	}
	return f.severities()
}

func (f Filter) shelves() []Shelf {
	switch {
	case f.Shelf != "":
		return []Shelf{f.Shelf}
	case f.Reason != "":
		return []Shelf{Dismissed}
	case f.search.indexed: // those that were found, wherever they are
		return []Shelf{""}
	}
	return Shelves
}

// on is the filter on one shelf.
func (f Filter) on(shelf Shelf) Filter {
	f.Shelf = shelf
	return f
}

// counted does the walks that a filter consists of until MaxCounted alerts were read, or maxRead; more tells that there are others.
func (f Filter) counted(do func(w walk) (read int, err error)) (more bool, err error) {
	limit := MaxCounted + 1
	if len(f.search.read) > 0 {
		limit = maxRead + 1
	}
	return counted(f.countedSeverities(), f.shelves(), limit, func(w walk) (int, error) {
		w.Filter = f.on(w.Shelf)
		return do(w)
	})
}

func counted(severities []core.Severity, shelves []Shelf, limit int, do func(w walk) (read int, err error)) (more bool, err error) {
	for _, severity := range severities {
		for _, shelf := range shelves {
			read, err := do(walk{Filter: Filter{Shelf: shelf}, severity: severity, limit: limit})
			if limit -= read; err != nil || limit <= 0 {
				return limit <= 0, err
			}
		}
	}
	return false, nil
}

var columns = sqldb.Qualify("alerts", sqldb.ColumnsOf[alerts.Alert]())

// onShelf is the shelf of an alert, as the indexes have it.
const onShelf = `(CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END)`

// walked is a walk as a query, which can stand inside another.
func (c *Catalog) walked(w walk, selected string) (query string, args []any) {
	where := w.conditions(c.now())
	if len(w.search.read) > 0 {
		condition, words := c.matches(w.search.read)
		where.Add(true, condition, words...)
	}
	return c.walking(w, where, selected)
}

// tallied is walked for counts. It reads no more alerts than the limit, and the column matches is 1 for those that have the words which are
// looked for in them.
func (c *Catalog) tallied(w walk, selected string) (query string, args []any) {
	where := w.conditions(c.now())
	if len(w.search.read) == 0 {
		return c.walking(w, where, selected+`, 1 AS matches`)
	}
	query, args = c.walking(w, where, `alerts.*`)
	condition, words := c.matches(w.search.read)
	return `SELECT ` + selected + `, CASE WHEN ` + condition + ` THEN 1 ELSE 0 END AS matches FROM (` + query + `) alerts`, append(words, args...)
}

func (c *Catalog) walking(w walk, where sqldb.Conditions, selected string) (query string, args []any) {
	way, beyond, until := `DESC`, `<`, `>=`
	if w.oldest {
		way, beyond, until = `ASC`, `>`, `<=`
	}
	where.Add(w.after.id != 0, `(first_seen, alerts.id) `+beyond+` (?, ?)`, w.after.seen, w.after.id)
	where.Add(w.until.id != 0, `(first_seen, alerts.id) `+until+` (?, ?)`, w.until.seen, w.until.id)
	with, from, args := c.source(w, &where)
	return with + `SELECT ` + selected + ` FROM ` + from + ` ` + where.SQL() + ` ORDER BY first_seen ` + way + `, alerts.id ` + way + ` LIMIT ?`,
		append(append(args, where.Args...), w.limit)
}

// source is what a walk reads: all alerts, or those that are looked up, each by its key whatever an engine knows of the tables.
func (c *Catalog) source(w walk, where *sqldb.Conditions) (with, from string, args []any) {
	switch {
	case w.search.indexed:
		with, args = c.found(w.search)
	case w.KEV:
		with = exploited
	default:
		return "", `alerts`, nil
	}
	if !c.db.Embedded() {
		return with, `hit CROSS JOIN LATERAL (SELECT a.* FROM alerts a WHERE a.id = hit.id OFFSET 0) alerts`, args
	}
	where.Add(true, `alerts.id = hit.id`)
	return with, `hit CROSS JOIN alerts`, args
}

// found are the hits, as a table named hit.
func (c *Catalog) found(s search) (with string, args []any) {
	if c.db.Embedded() {
		return `WITH hit AS MATERIALIZED (SELECT value AS id FROM json_each(?)) `, []any{s.hits}
	}
	return `WITH hit AS MATERIALIZED (SELECT id FROM unnest(CAST(? AS BIGINT[])) id) `, []any{s.hits}
}

// exploited are the alerts whose CVEs are known to be exploited: it looks each of these up, which are a few thousand.
const exploited = `WITH hit AS MATERIALIZED (
	SELECT a.id FROM epss_data e CROSS JOIN alerts a WHERE e.kev AND a.cve_id = e.cve_id AND a.cve_id <> '') `

// index is what the index begins with that fits a filter best; all have shelf, severity and time after it.
func (f Filter) index() string {
	switch {
	case len(f.Projects) == 1:
		return `project_id`
	case f.Rule != "":
		return `rule_id`
	case f.Author != "":
		return `author`
	case f.Tool != "":
		return `tool`
	}
	return ``
}

// conditions select what a walk finds.
func (w walk) conditions(now time.Time) (where sqldb.Conditions) {
	w.addIndexed(&where, now)
	w.addSought(&where)
	return where
}

// addIndexed adds what an index leads to.
func (w walk) addIndexed(where *sqldb.Conditions, now time.Time) {
	switch w.index() {
	case `project_id`:
		where.Add(true, `project_id = ?`, w.Projects[0])
	case `rule_id`:
		where.Add(true, `SUBSTR(rule_id, 1, 200) = ?`, cut(w.Rule))
	case `author`:
		where.Add(true, `author <> '' AND author = ?`, w.Author)
	case `tool`:
		where.Add(true, `SUBSTR(tool, 1, 200) = ?`, cut(w.Tool))
	}
	where.Add(w.Shelf != "", onShelf+` = ?`, string(w.Shelf))
	where.Add(w.severity != "", `severity = ?`, string(w.severity))
	if span, known := days[w.Age]; known {
		where.Add(span[1] != 0, `first_seen >= ?`, before(now, span[1]))
		where.Add(span[0] != 0, `first_seen < ?`, before(now, span[0]))
	}
}

// addSought adds what is looked for in the alerts themselves. No index should be chosen for it: columns of indexes are in expressions.
func (w walk) addSought(where *sqldb.Conditions) {
	index := w.index()
	where.Add(w.Projects != nil && index != `project_id`, `project_id + 0 IN (?)`, atLeastOne(w.Projects))
	where.Add(w.Rule != "" && index != `rule_id`, `SUBSTR(rule_id, 1, 200) || '' = ?`, cut(w.Rule))
	where.Add(w.Author != "" && index != `author`, `author || '' = ?`, w.Author)
	where.Add(w.Tool != "" && index != `tool`, `SUBSTR(tool, 1, 200) || '' = ?`, cut(w.Tool))
	if directory := strings.HasSuffix(w.Path, "/"); directory {
		where.Add(true, `SUBSTR(file, 1, ?) = ?`, len([]rune(w.Path)), w.Path)
	} else {
		where.Add(w.Path != "", `file = ?`, w.Path)
	}
	where.Add(w.Package != "", `package = ?`, w.Package)
	where.Add(w.Reason != "", ReasonOf(`alerts.id`)+` = ?`, strings.TrimPrefix(w.Reason, Suppressed))
	where.Add(w.EPSS != 0, likely, float64(w.EPSS)/100)
	where.Add(w.KEV && w.search.indexed, `EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = alerts.cve_id AND e.kev)`)
}

// seeks tells whether a walk looks for what no index has: it may have to read many alerts to find a few.
func (w walk) seeks() bool {
	var where sqldb.Conditions
	w.addSought(&where)
	return !w.search.indexed && !w.KEV && (len(w.search.read) > 0 || len(where.Args) > 0)
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

// sum is how many alerts match of those that were read.
type sum struct {
	N    int `db:"n"`
	Read int `db:"read"`
}

// summed is a sum as SQL.
const summed = `SUM(matches) AS n, COUNT(*) AS read`

// count counts what a walk finds, of those that it reads.
func (c *Catalog) count(ctx context.Context, w walk) (n, read int, err error) {
	var found []sum
	walked, args := c.tallied(w, `alerts.id`)
	err = sqldb.SelectIn(ctx, c.db, &found, `SELECT COALESCE(SUM(matches), 0) AS n, COUNT(*) AS read FROM (`+walked+`) walked`, args...)
	if err == nil {
		n, read = found[0].N, found[0].Read
	}
	return n, read, err
}

// term is a word in the ways in which it may be written.
type term []string

// search is how what a filter looks for in few alerts is found. Words that many alerts have are found soon in the alerts themselves, in the order
// of the list; others by the index of words, which has no more than maxHits of them. Either costs the same however large the table is.
type search struct {
	indexed bool   // hits are all alerts with the words that are rare, or of vulnerabilities that are likely to be exploited
	hits    string // ids, in brackets
	read    []term // what is looked for in the alerts
}

const (
	// maxTerms and maxTerm are how many words of a text are looked for, and how much of each, as the index of words has it.
	maxTerms = 10
	maxTerm  = 100
	// maxHits is up to how many alerts the index of words is asked for.
	maxHits = 10_000
	// oneIn is which part of the alerts that a search looks at first makes its words common.
	oneIn = 20
)

// searching decides how what a filter looks for is found.
func (c *Catalog) searching(ctx context.Context, f Filter) (Filter, error) {
	f, err := c.searchingText(ctx, f)
	if err != nil || f.EPSS == 0 && f.Package == "" || f.search.indexed {
		return f, err
	}
	var hits []int64
	if terms := termsOf(f.Package); len(terms) > 0 { // the words of an alert have its package
		hits, err = c.hits(ctx, terms)
	} else {
		hits, err = c.likelyHits(ctx, f.EPSS)
	}
	if len(hits) <= maxHits {
		f.search.indexed, f.search.hits = true, c.list(hits)
	}
	return f, err
}

func (c *Catalog) searchingText(ctx context.Context, f Filter) (Filter, error) {
	if f.Text == "" {
		return f, nil
	}
	terms := termsOf(f.Text)
	f.search.read = terms
	if len(terms) == 0 { // no alert has no word
		f.search.indexed, f.search.hits = true, c.list(nil)
		return f, nil
	}
	rare, common, err := c.split(ctx, f, terms)
	if err != nil || len(rare) == 0 {
		return f, err
	}
	hits, err := c.hits(ctx, rare)
	if len(hits) <= maxHits {
		f.search = search{true, c.list(hits), common}
	}
	return f, err
}

// termsOf are the words of a text: letters and digits; as in the index of words, all characters beyond ASCII are letters.
func termsOf(text string) (terms []term) {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return r < utf8.RuneSelf && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	for _, word := range words[:min(len(words), maxTerms)] {
		runes := []rune(word)
		word = string(runes[:min(len(runes), maxTerm)])
		terms = append(terms, slices.Compact(term{lowerASCII(word), strings.ToLower(word)}))
	}
	return terms
}

// lowerASCII is all that SQLite knows of small letters.
func lowerASCII(word string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, word)
}

// split tells which words the index is asked for. These are none where they are best looked for in the alerts themselves: there are few, or
// many of them have all the words.
func (c *Catalog) split(ctx context.Context, f Filter, terms []term) (rare, common []term, err error) {
	seen, complete, err := c.probe(ctx, f, terms)
	if err != nil || complete || seen.all*oneIn >= max(seen.read, 1) {
		return nil, terms, err
	}
	for i, t := range terms {
		if seen.each[i]*oneIn >= max(seen.read, 1) {
			common = append(common, t)
		} else {
			rare = append(rare, t)
		}
	}
	return rare, common, nil
}

// sample is how many alerts have words, of the first ones of a list.
type sample struct {
	read, all int
	each      []int // of the words
}

// probe looks at the first alerts of a list; complete tells that there are no others.
func (c *Catalog) probe(ctx context.Context, f Filter, terms []term) (seen sample, complete bool, err error) {
	seen.each, complete = make([]int, len(terms)), true
	marks, words := make([]string, len(terms)), []any(nil)
	for i, t := range terms {
		condition, args := c.matches([]term{t})
		marks[i], words = `CASE WHEN `+condition+` THEN '1' ELSE '0' END`, append(words, args...)
	}
	walks := len(f.severities()) * len(f.shelves())
	for _, severity := range f.severities() {
		for _, shelf := range f.shelves() {
			w := walk{Filter: f.indexedPart().on(shelf), severity: severity, limit: c.probed / walks}
			var found []marked
			query, args := c.walked(w, `alerts.*`)
			err := sqldb.SelectIn(ctx, c.db, &found, `
				SELECT marks, COUNT(*) AS n FROM (SELECT `+strings.Join(marks, ` || `)+` AS marks FROM (`+query+`) alerts) marked GROUP BY marks`,
				append(slices.Clone(words), args...)...)
			if err != nil {
				return seen, false, err
			}
			complete = seen.add(found) < w.limit && complete
		}
	}
	return seen, complete, nil
}

// marked is how many alerts have the same words: those that are marked by 1.
type marked struct {
	Marks string `db:"marks"`
	N     int    `db:"n"`
}

func (s *sample) add(found []marked) (read int) {
	for _, m := range found {
		read += m.N
		for i, mark := range m.Marks {
			if mark == '1' {
				s.each[i] += m.N
			}
		}
		if !strings.Contains(m.Marks, `0`) {
			s.all += m.N
		}
	}
	s.read += read
	return read
}

// indexedPart is what lists have an index for.
func (f Filter) indexedPart() Filter {
	return Filter{Projects: f.Projects, Rule: f.Rule}
}

// hits are what the index of words has, up to one more than maxHits.
func (c *Catalog) hits(ctx context.Context, rare []term) (ids []int64, err error) {
	query := `SELECT alerts_with(CAST(? AS TSQUERY), ?)`
	if c.db.Embedded() {
		query = `SELECT rowid FROM alert_words WHERE alert_words MATCH ? LIMIT ?`
	}
	err = c.db.SelectContext(ctx, &ids, c.db.Rebind(query), c.query(rare), maxHits+1)
	return ids, err
}

// list is a list of numbers as the engine reads it.
func (c *Catalog) list(ids []int64) string {
	open, end := `{`, `}`
	if c.db.Embedded() {
		open, end = `[`, `]`
	}
	var list strings.Builder
	for i, id := range ids {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(strconv.FormatInt(id, 10))
	}
	return open + list.String() + end
}

// query asks an engine's index for alerts that have all words, each as the beginning of one. Words have no characters that it would take for
// anything else.
func (c *Catalog) query(terms []term) string {
	quote, prefix, or, and := `'`, `:*`, ` | `, ` & `
	if c.db.Embedded() {
		quote, prefix, or, and = `"`, ` *`, ` OR `, ` AND `
	}
	var all []string
	for _, ways := range terms {
		var any []string
		for _, way := range ways {
			any = append(any, quote+way+quote+prefix)
		}
		all = append(all, `(`+strings.Join(any, or)+`)`)
	}
	return strings.Join(all, and)
}

// matches tells of an alert, as SQL, whether it has words.
func (c *Catalog) matches(terms []term) (condition string, args []any) {
	if !c.db.Embedded() {
		return `((SELECT w.words FROM alert_words w WHERE w.alert_id = alerts.id) @@ CAST(? AS TSQUERY))`, []any{c.query(terms)}
	}
	const said = `LOWER(title || ' ' || file || ' ' || rule_id || ' ' || words)`
	var all []string
	for _, ways := range terms {
		var any []string
		for _, way := range ways { // most are refused by the first part, which is faster
			any = append(any, `INSTR(`+said+`, ?) > 0 AND ' ' || `+said+` GLOB ?`)
			args = append(args, way, "*[^0-9a-z\u0080-\U0010ffff]"+way+"*")
		}
		all = append(all, `(`+strings.Join(any, ` OR `)+`)`)
	}
	return `(` + strings.Join(all, ` AND `) + `)`, args
}

// likely tells of an alert, as SQL, whether its CVE has a probability of being exploited.
const likely = `EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = alerts.cve_id AND alerts.cve_id <> '' AND e.probability >= ?)`

// likelyHits are the alerts whose CVEs have a probability, up to one more than maxHits: it looks each of these CVEs up.
func (c *Catalog) likelyHits(ctx context.Context, percent int) (ids []int64, err error) {
	err = c.db.SelectContext(ctx, &ids, c.db.Rebind(`
		SELECT a.id FROM (SELECT cve_id FROM epss_data WHERE probability >= 0.1 AND probability >= ?) e
		CROSS JOIN alerts a WHERE a.cve_id = e.cve_id AND a.cve_id <> '' LIMIT ?`), float64(percent)/100, maxHits+1)
	return ids, err
}
