//go:build linux

package upgrade

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/servetest"
)

// A migration must not rename what the previous binary names. The mutant's own source uses the new name, so that it works by
// itself.
const oldColumn, newColumn = "deadline_at", "ends_at"

// renaming makes the present source rename a column of scans.
func renaming(t *testing.T) []servetest.Edit {
	t.Helper()
	migration := fmt.Sprintf("-- +migrate Up\nALTER TABLE scans RENAME COLUMN %s TO %s;\n\n-- +migrate Down\n", oldColumn, newColumn)
	edits := []servetest.Edit{{File: "migrations/postgres/9999_upgrade.sql", New: migration}}
	word, root := regexp.MustCompile(`\b`+oldColumn+`\b`), servetest.Root(t)
	for _, folder := range []string{"core", "store", "store/sqldb"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if word.Match(text) && !strings.HasSuffix(file, "_test.go") {
				name := filepath.ToSlash(strings.TrimPrefix(file, root+string(filepath.Separator)))
				edits = append(edits, servetest.Edit{File: name, New: word.ReplaceAllString(string(text), newColumn)})
			}
		}
	}
	if len(edits) == 1 {
		t.Fatalf("no statement names scans.%s any more: rename another column", oldColumn)
	}
	return edits
}
