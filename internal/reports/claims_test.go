package reports_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/scanhook/scanhook/internal/reports"
)

func TestNoTwoFormatsClaimOneReport(t *testing.T) {
	t.Parallel()
	directory := testdata(t)
	for _, recorded := range manifest(t, directory) {
		file, err := os.Open(filepath.Join(directory, recorded.Path))
		if err != nil {
			t.Fatal(err)
		}
		claims, err := reports.Claims(file)
		_ = file.Close()

		if len(claims) > 1 {
			t.Errorf("%s: %q claim it (%v)", recorded.Path, claims, err)
		}
	}
}
