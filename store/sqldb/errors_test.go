package sqldb_test

import (
	"errors"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// What passes by itself is no fault of what was to be written.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"08006": true, "40P01": true, "53100": true, "55P03": true, "57014": true,
		"22021": false, "23505": false, "42P01": false, "54000": false, "55000": false,
	} {
		if got := errors.Is(sqldb.Classify(&pq.Error{Code: pqerror.Code(code)}), core.ErrUnavailable); got != want {
			t.Errorf("%s: %t, want %t", code, got, want)
		}
	}
}
