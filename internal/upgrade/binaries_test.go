//go:build linux

package upgrade

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/scanhook/scanhook/internal/servetest"
)

// additions are what the present source gets on top: a migration as the rules of CONTRIBUTING.md permit it.
var additions = []servetest.Edit{
	{File: "migrations/postgres/9999_upgrade.sql", New: `-- +migrate Up notransaction
ALTER TABLE scans ADD COLUMN upgrade_note TEXT NOT NULL DEFAULT '';
CREATE INDEX CONCURRENTLY scans_by_upgrade_note ON scans (upgrade_note);
CREATE TABLE upgrade_notes (id BIGINT PRIMARY KEY, scan_id BIGINT NOT NULL REFERENCES scans (id) ON DELETE CASCADE);

-- +migrate Down
DROP TABLE upgrade_notes;
ALTER TABLE scans DROP COLUMN upgrade_note;
`},
	{File: "migrations/sqlite/9999_upgrade.sql", New: `-- +migrate Up
ALTER TABLE scans ADD COLUMN upgrade_note TEXT NOT NULL DEFAULT '';
CREATE INDEX scans_by_upgrade_note ON scans (upgrade_note);
CREATE TABLE upgrade_notes (id INTEGER PRIMARY KEY, scan_id INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE);

-- +migrate Down
DROP TABLE upgrade_notes;
DROP INDEX scans_by_upgrade_note;
ALTER TABLE scans DROP COLUMN upgrade_note;
`},
}

// madeByAdditions are statements that fail without the migration.
var madeByAdditions = []string{`SELECT upgrade_note FROM scans WHERE 1 = 0`, `SELECT scan_id FROM upgrade_notes`}

// previousBinary is the scanhook that is upgraded from. Before the first release that is the source as it is.
func previousBinary(t *testing.T) string {
	t.Helper()
	root := servetest.Root(t)
	commit := cmp.Or(*previous, lastRelease(t, root))
	if commit == "" {
		t.Log("no commit brought a release into CHANGELOG.md: the source as it is takes the part of the previous one")
		return servetest.Build(t)
	}
	dir := t.TempDir()
	if err := checkOut(root, commit, dir); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "bin-previous")
	if err := servetest.Compile(binary, dir); err != nil {
		t.Fatal(err)
	}
	compareMigrations(t, root, dir)
	return binary
}

// lastRelease is the commit that brought the topmost release into CHANGELOG.md, empty before the first.
func lastRelease(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^## \[\d.*$`).Find(text)
	if heading == nil {
		return ""
	}
	if shallow(root) {
		t.Skip("the clone is shallow: git fetch --unshallow brings the last release")
	}
	commit, err := exec.Command("git", "-C", root, "log", "-1", "--format=%H", "-S"+string(heading), "--", "CHANGELOG.md").Output()
	if err != nil {
		t.Fatalf("looking for the commit of the release %q: %v", heading, err)
	}
	return string(bytes.TrimSpace(commit))
}

// shallow tells whether a clone lacks the history.
func shallow(repository string) bool {
	said, err := exec.Command("git", "-C", repository, "rev-parse", "--is-shallow-repository").Output()
	return err == nil && string(bytes.TrimSpace(said)) == "true"
}

// checkOut puts the files of a commit into dir.
func checkOut(repository, commit, dir string) error {
	archive := filepath.Join(dir, "previous.tar")
	for _, args := range [][]string{
		{"git", "-C", repository, "archive", "--output", archive, commit}, {"tar", "-xf", archive, "-C", dir},
	} {
		if said, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("taking %s out of git: %w\n%s", commit, err, said)
		}
	}
	return nil
}

// compareMigrations wants the migrations of the previous release as they were.
func compareMigrations(t *testing.T, root, dir string) {
	t.Helper()
	landed, err := filepath.Glob(filepath.Join(dir, "migrations", "*", "*.sql"))
	if err != nil || len(landed) == 0 {
		t.Fatalf("no migrations in %s: %v", dir, err)
	}
	for _, file := range landed {
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if is, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(is) != string(was) {
			t.Errorf("%s is not what it was in the previous release", name)
		}
	}
}
