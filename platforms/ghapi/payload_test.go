package ghapi_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestParseStatusEvents(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	body := func(id, sha string) string {
		return `{"id":` + id + `,"sha":"` + sha + `","context":"scan\u0000hook","state":"success","description":null,` +
			`"repository":{"full_name":"acme/widgets"},"sender":{"login":"ci-bot"}}`
	}
	for name, test := range map[string]struct {
		body string
		used bool
	}{
		"a status":         {body("6805126730", platformtest.SHA), true},
		"without a number": {body("null", platformtest.SHA), false},
		"without a commit": {body("7", strings.Repeat("0", 40)), false},
	} {
		delivery, err := platform.Parse(headerOf("status"), []byte(test.body))
		seen, used := delivery.Event.(core.ObservedStatus)
		if err != nil || used != test.used || delivery.Project != "acme/widgets" {
			t.Errorf("%s: %+v, %v", name, delivery, err)
		}
		if used && (seen.ID != 6805126730 || seen.Creator != "ci-bot" || seen.Context != "scanhook") {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}
