package store_test

import (
	"go/ast"
	"go/parser"
	source "go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// All tests of the store run as a replica whose database a newer version has migrated.
func TestMain(m *testing.M) {
	storetest.Newer = true
	os.Exit(m.Run())
}

// Without the columns, the other tests would prove nothing.
func TestStoresOfTestsHaveNewerColumns(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		tx, err := s.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		for _, table := range []string{"scans", "findings", "settings"} {
			var n int
			if err := tx.GetContext(t.Context(), &n, `SELECT COUNT(newer_note) + COUNT(newer_count) FROM `+table); err != nil {
				t.Errorf("%s: %v", table, err)
			}
		}
	})
}

// everything matches a projection of all columns, also of those that a newer Scanhook has added.
var everything = regexp.MustCompile(`(?i)\b(SELECT|DISTINCT|ALL|RETURNING)\s+\*|[\w"]\.\*|,\s*\*`)

func TestStatementsNameTheirColumns(t *testing.T) {
	t.Parallel()
	for bad, want := range map[string]bool{
		"SELECT * FROM scans": true, "SELECT s.* FROM scans s": true, "DELETE FROM scans RETURNING *": true, "SELECT id, * FROM": true,
		"SELECT DISTINCT * FROM scans": true, "SELECT COUNT(*), 2 * n FROM scans": false,
	} {
		if everything.MatchString(bad) != want {
			t.Errorf("%s: matched %v", bad, !want)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	engines, err := filepath.Glob("sqldb/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, engines...) {
		if !strings.HasSuffix(file, "_test.go") {
			checkStatements(t, file)
		}
	}
}

func checkStatements(t *testing.T, file string) {
	t.Helper()
	files := source.NewFileSet()
	parsed, err := parser.ParseFile(files, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && text.Kind == source.STRING && everything.MatchString(text.Value) {
			t.Errorf("%s: name the columns, a newer Scanhook may have added some: %s", files.Position(text.Pos()), text.Value)
		}
		return true
	})
}
