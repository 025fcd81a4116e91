package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// Platforms compare the names of projects without case, and payloads, people and CI jobs spell one name in several ways.
// All tables hold the spelling that was heard first, so that statements compare plain columns: whatever brings a name
// from outside, it is respelt here.

// maxSpellings bounds how many spellings are kept in memory.
const maxSpellings = 100_000

// spellings are those that are known not to change any more: once written, a spelling stays.
type spellings struct {
	mu    sync.Mutex
	names map[hookKey]string // by platform and core.ProjectKey
}

func (s *spellings) get(key hookKey) (name string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, known = s.names[key]
	return name, known
}

func (s *spellings) put(key hookKey, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil || len(s.names) >= maxSpellings {
		s.names = map[hookKey]string{}
	}
	s.names[key] = name
}

const selectSpelling = `SELECT project_name FROM project_names WHERE project_key = ? AND source_platform = ?`

// ProjectName is the spelling under which everything about a project is kept; the name as it is where it is not known.
func (s *Store) ProjectName(ctx context.Context, platform, name string) (string, error) {
	spelt, err := s.spelling(ctx, s.db, platform, name)
	if errors.Is(err, core.ErrNotFound) {
		return name, nil
	}
	return spelt, err
}

// spelling answers core.ErrNotFound for a name that was never heard of.
func (s *Store) spelling(ctx context.Context, db *sqlx.DB, platform, name string) (string, error) {
	key := hookKey{platform, core.ProjectKey(name)}
	if spelt, known := s.spelt.get(key); known || name == "" {
		return spelt, nil
	}
	var spelt string
	if err := db.GetContext(ctx, &spelt, db.Rebind(selectSpelling), key.project, platform); err != nil {
		return "", fmt.Errorf("spelling %s: %w", name, classify(err))
	}
	s.spelt.put(key, spelt)
	return spelt, nil
}

// spell is the spelling of a project's name, which is this one from now on where none was heard before.
func (s *Store) spell(ctx context.Context, platform, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, intakeTimeout)
	defer cancel()
	spelt, err := s.spelling(ctx, s.front, platform, name)
	if !errors.Is(err, core.ErrNotFound) {
		return spelt, err
	}
	key := hookKey{platform, core.ProjectKey(name)}
	err = s.transactAs(ctx, first, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			INSERT INTO project_names (project_key, source_platform, project_name) VALUES (?, ?, ?)
			ON CONFLICT (project_key, source_platform) DO NOTHING`), key.project, platform, name)
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &spelt, tx.Rebind(selectSpelling), key.project, platform)
	})
	if err != nil {
		s.noteIntake(err)
		return "", fmt.Errorf("spelling %s: %w", name, err)
	}
	s.spelt.put(key, spelt)
	return spelt, nil
}

// respell puts the kept spellings in the place of names.
func (s *Store) respell(ctx context.Context, platform string, names ...*string) error {
	for _, name := range names {
		spelt, err := s.spell(ctx, platform, *name)
		if err != nil {
			return err
		}
		*name = spelt
	}
	return nil
}

// spellingsOf is what a filter means by the project's on one platform, or on each where none is chosen.
func (s *Store) spellingsOf(ctx context.Context, platform, name string) (named namedProject, err error) {
	named.given = name
	switch {
	case name == "":
		return named, nil
	case platform != "":
		if name, err = s.ProjectName(ctx, platform, name); err != nil {
			return named, err
		}
		named.byPlatform = map[string]string{platform: name}
		return named, nil
	}
	var rows []struct {
		Platform string `db:"source_platform"`
		Name     string `db:"project_name"`
	}
	err = s.db.SelectContext(ctx, &rows, s.db.Rebind(`
		SELECT source_platform, project_name FROM project_names WHERE project_key = ?`), core.ProjectKey(name))
	named.byPlatform = map[string]string{}
	for _, row := range rows {
		named.byPlatform[row.Platform] = row.Name
	}
	return named, classify(err)
}

// namedProject is a project as a filter names it.
type namedProject struct {
	given      string
	byPlatform map[string]string // how it is spelt
}

// on is the spelling of one platform.
func (n namedProject) on(platform string) string {
	if name, known := n.byPlatform[platform]; known {
		return name
	}
	return n.given
}

// addTo makes the filter one of the conditions.
func (n namedProject) addTo(where *conditions) {
	names := []string{}
	for _, name := range n.byPlatform {
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		names = []string{n.given}
	}
	var same conditions
	for _, name := range names {
		same.add(true, `project_name = ?`, name)
	}
	where.add(n.given != "", `(`+strings.Join(same.parts, ` OR `)+`)`, same.args...)
}
