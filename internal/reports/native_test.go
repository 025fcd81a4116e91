package reports_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/reports"
)

func natives(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "native", "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatal("no fixtures", err)
	}
	return names
}

func TestParseNativeGolden(t *testing.T) {
	t.Parallel()
	for _, name := range natives(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			report, err := reports.Parse(file, reports.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := render(t, report)
			if strings.Contains(got, "plainsecret") || strings.Contains(got, "swordfish") {
				t.Errorf("a secret was kept:\n%s", got)
			}
			golden(t, name+".golden", got)
		})
	}
}

func TestEachFixtureIsClaimedOnce(t *testing.T) {
	t.Parallel()
	for _, name := range natives(t) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := reports.Claims(file)
		_ = file.Close()
		if len(claims) != 1 || err != nil {
			t.Errorf("%s: claimed by %q, %v", name, claims, err)
		}
	}
}
