package store

import (
	"strings"
	"testing"
	"time"
)

// MakeRows runs statements that make rows: in each, %s is a new UUID, and the parameters are an old time and young
// ones.
func (s *Store) MakeRows(t testing.TB, statements []string, old, young time.Time) {
	uuid := "substr(hex(randomblob(16)), 1, 8) || '-0000-4000-8000-' || substr(hex(randomblob(16)), 1, 12)"
	if s.dialect.name == postgres.name {
		uuid = "gen_random_uuid()"
	}
	for _, statement := range statements {
		args := []any{old.UTC(), young.UTC(), young.UTC()}[:strings.Count(statement, "?")]
		if s.dialect.name == postgres.name {
			statement = strings.ReplaceAll(statement, "?", "CAST(? AS TIMESTAMPTZ)")
		}
		statement = s.db.Rebind(strings.ReplaceAll(statement, "%s", uuid))
		if _, err := s.db.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
}
