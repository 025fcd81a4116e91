package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// textsAtOnce is how many bytes of text are allocated at once for a baseline, which may have a million short ones.
const textsAtOnce = 64 << 10

// texts keeps copies of short texts side by side, and names that many rows have in common once.
type texts struct {
	chunk strings.Builder
	names map[string]string
}

func (t *texts) keep(text []byte) string {
	if t.chunk.Len()+len(text) > t.chunk.Cap() {
		t.chunk = strings.Builder{}
		t.chunk.Grow(max(textsAtOnce, len(text)))
	}
	from := t.chunk.Len()
	_, _ = t.chunk.Write(text) // never fails
	return t.chunk.String()[from:]
}

func (t *texts) name(text []byte) string {
	name, known := t.names[string(text)]
	if !known {
		name = string(text)
		t.names[name] = name
	}
	return name
}

// selectKnown reads about as many earlier findings: fingerprint, anchor, file and line.
func selectKnown(ctx context.Context, tx *sqlx.Tx, about int, query string, args ...any) (core.Earlier, error) {
	rows, err := tx.QueryContext(ctx, tx.Rebind(query), args...)
	if err != nil {
		return core.Earlier{}, err
	}
	defer func() { _ = rows.Close() }()
	known, kept := core.MakeEarlier(about), texts{names: make(map[string]string)}
	for rows.Next() {
		var fingerprint, anchor, file sql.RawBytes
		var line int
		if err := rows.Scan(&fingerprint, &anchor, &file, &line); err != nil {
			return core.Earlier{}, err
		}
		known.Add(core.Known{
			Fingerprint: kept.keep(fingerprint), Anchor: string(anchor), File: kept.name(file), Line: line,
		})
	}
	return known, rows.Err()
}
