package formats_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestNativeGolden(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "findings.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	reportstest.Golden(t, name+".golden", reportstest.Render(reportstest.MustParse(t, string(raw))))
}
