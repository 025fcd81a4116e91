package collect_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// However many parts a document has, what is kept besides its findings is bounded.
func TestDetailsOfAllPartsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 8 << 20
	c := collect.New(strings.NewReader("{}"), collect.Limits{}, true)
	help := details.Help{Text: strings.Repeat("x", details.MaxHelp)}
	for n := range 3 {
		err := c.Part(func() (string, error) {
			for rule := range 300 {
				c.KeepHelp(core.RuleName{Tool: strconv.Itoa(n), Rule: strconv.Itoa(rule)}, help)
			}
			if takes := c.TakesDetails(); takes != (n < 2) {
				t.Errorf("part %d takes details: %v", n, takes)
			}
			c.CountDetails(40 << 20)
			return "", nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for _, packed := range c.Finish("")[0].Help {
		size += len(packed)
	}
	if size < most || size > most+2*details.MaxHelp {
		t.Errorf("%d bytes of help are kept", size)
	}
}
