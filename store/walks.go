package store

import (
	"context"
	"strings"
)

// walks is a list that any combination of filters may ask for, answered from its newest row on as fast where what
// matches is rare and lies far back. No index leads through all combinations, but few do through all values: where a
// filter leaves a column with few values open, each of them is walked, along an index whose columns before the id all
// have one value, and no further than a page.
type walks struct {
	table         string
	before, after int64 // exclusive; after walks from the oldest row on, for the page before
	limit         int
	parts         []string
	args          []any
}

// along adds the walk through the rows of the table that meet all conditions.
func (w *walks) along(where conditions) { w.through(w.table, where) }

func (w *walks) through(rows string, where conditions) {
	where.add(w.before > 0, `id < ?`, w.before)
	where.add(w.after > 0, `id > ?`, w.after)
	w.parts = append(w.parts, `
		SELECT id FROM (SELECT id FROM `+rows+` `+where.sql()+` ORDER BY id `+w.direction()+` LIMIT ?) AS part`)
	w.args = append(append(w.args, where.args...), w.limit)
}

func (w *walks) direction() string {
	if w.after > 0 {
		return `ASC`
	}
	return `DESC`
}

// picked names the ids of the page as a table of that name, to begin a query with.
func (w *walks) picked() (with string, args []any) {
	return `WITH picked AS MATERIALIZED (SELECT id FROM (` + strings.Join(w.parts, ` UNION ALL `) + `) AS parts
		ORDER BY id ` + w.direction() + ` LIMIT ?) `, append(w.args, w.limit)
}

// platformsIn lists the few values of a column that an index begins with, each found by one look into the index.
func (s *Store) platformsIn(ctx context.Context, table, column string) (names []string, err error) {
	smallest := `SELECT MIN(` + column + `) FROM ` + table
	err = s.db.SelectContext(ctx, &names, `
		WITH RECURSIVE heard (name) AS (
			`+smallest+`
			UNION ALL
			SELECT (`+smallest+` WHERE `+column+` > heard.name) FROM heard WHERE heard.name IS NOT NULL)
		SELECT name FROM heard WHERE name IS NOT NULL`)
	return names, err
}
