// Package storetest helps tests of the store and of other packages to run on both engines: Engines opens each of them, and
// Open returns a real store on SQLite.
package storetest

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// Environment variables that let the suite reach PostgreSQL, and that forbid skipping it (set in CI).
const (
	postgresURL      = "SCANHOOK_TEST_POSTGRES"
	postgresRequired = "SCANHOOK_TEST_POSTGRES_REQUIRED"
)

// Gate and Policy that test stores use when the test does not choose.
var (
	Gate   = core.Gate{FailOn: core.High, NewOnly: true}
	Policy = core.Policy{
		Context: "scanhook", Branches: []string{"**"}, Scanners: []string{"gitleaks"}, Gate: Gate,
		Supersede: true, ScanTimeout: time.Hour,
	}
	// Scanners all upload their reports: a store learns from its workers which ones run here.
	Scanners = core.Scanners{
		"gitleaks": core.Uploaded, "grype": core.Uploaded, "lint": core.Uploaded, "semgrep": core.Uploaded, "trivy": core.Uploaded,
	}
)

// Open returns a fresh store on SQLite in the test's temporary directory.
func Open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	return OpenAt(t, SQLiteURL(t), cfg)
}

// SQLiteURL names a database file that does not exist yet and goes away with the test.
func SQLiteURL(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "scanhook.db") }

// PostgresURL names an empty schema of the test's own; it skips the test where there is no PostgreSQL, unless that is
// required.
func PostgresURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv(postgresURL)
	if base == "" {
		if os.Getenv(postgresRequired) != "" {
			t.Fatalf("%s is required but not set: run .ci/with-postgres go test ./...", postgresURL)
		}
		t.Skipf("%s is not set: no PostgreSQL to test on", postgresURL)
	}
	schema := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	Execute(t, base, `CREATE SCHEMA `+schema)
	t.Cleanup(func() { Execute(t, base, `DROP SCHEMA `+schema+` CASCADE`) })
	return base + "&search_path=" + url.QueryEscape(schema)
}

// OpenAt returns a store of the database at url, as another process has it, until the test ends. It has the tests' policies and
// scanners where cfg has none.
func OpenAt(t testing.TB, url string, cfg store.Config) *store.Store {
	t.Helper()
	cfg.URL = url
	if cfg.Policies == nil {
		cfg.Policies = core.Policies{{Match: "**", Policy: Policy}}
	}
	if cfg.Scanners == nil {
		cfg.Scanners = Scanners
	}
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, bench := t.(*testing.B); Newer && !bench {
		AddColumns(t, cfg.URL)
	}
	return s
}

// Engine is one of the two databases under test.
type Engine struct {
	Name string
	URL  func(testing.TB) string
}

// The databases that every behaviour is tested on.
var (
	SQLite   = Engine{"sqlite", SQLiteURL}
	Postgres = Engine{"postgres", PostgresURL}
	Engines  = []Engine{SQLite, Postgres}
)

// Open returns a fresh store on the engine.
func (e Engine) Open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	return OpenAt(t, e.URL(t), cfg)
}

// EachEngine runs a test on both engines.
func EachEngine(t *testing.T, test func(t *testing.T, e Engine)) {
	t.Helper()
	for _, e := range Engines {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

// PushOf makes a delivery of a push to main of acme/shop; change adjusts both before use.
func PushOf(n int, change ...func(*core.Delivery, *core.Push)) (core.Delivery, core.Push) {
	files := 1
	push := core.Push{
		Project: core.Project{
			Name: "acme/shop", Ref: "42", URL: "https://git.example/acme/shop", DefaultBranch: "main",
		},
		Ref: "refs/heads/main", Before: SHA(n - 1), After: SHA(n), CommitSHA: SHA(n),
		Files: core.ChangedFiles{Count: &files},
	}
	delivery := core.Delivery{Platform: "github", Key: fmt.Sprintf("delivery-%d", n), Name: "push", Project: "acme/shop"}
	for _, f := range change {
		f(&delivery, &push)
	}
	push.CommitSHA = cmp.Or(push.CommitSHA, push.After)
	return delivery, push
}

// With is a delivery of an event.
func With(d core.Delivery, event core.Event) core.Delivery {
	d.Event = event
	return d
}

// OnBranch moves a push to another branch.
func OnBranch(name string) func(*core.Delivery, *core.Push) {
	return func(_ *core.Delivery, p *core.Push) { p.Ref = "refs/heads/" + name }
}

// SHA is the n-th commit id.
func SHA(n int) string { return fmt.Sprintf("%040x", n+0x5ca40000) }
