package workbench

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/catalog"
)

func TestPartsWithoutAlertsAreReadOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ends, reads int // the part in which the list ends, without a match, and how many are read
		found       []int64
		err         error
	}{
		"a match in the third part": {reads: 3, found: []int64{7}},
		"no match":                  {ends: 2, reads: 2},
		"too many without a match":  {reads: 10, err: core.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reads := 0
			part, err := nextPart("", func(after string) (b catalog.Batch, err error) {
				if reads > 0 && after != strconv.Itoa(reads) {
					t.Errorf("part %d begins after %q", reads, after)
				}
				if reads++; reads != test.ends {
					b.Next = strconv.Itoa(reads)
				}
				if reads == test.reads {
					b.Alerts = test.found
				}
				return b, nil
			})
			if reads != test.reads || !slices.Equal(part.Alerts, test.found) || !errors.Is(err, test.err) {
				t.Errorf("%d reads, %v, %v", reads, part, err)
			}
		})
	}
}
