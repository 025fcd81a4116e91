package platforms_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

func TestPostLeavesOutWhatIsRefused(t *testing.T) {
	t.Parallel()
	const full, link, plain = "scanhook|2 new ? ü|https://x/1", "scanhook|2 new ? ü|", "scanhook|Scan found problems|"
	when := func(refused bool, said string) string { return map[bool]string{true: said}[refused] }
	unnamed := func(s core.Status) string { return when(s.Description == "2 new ? ü", "no") }
	blocked := func(s core.Status) string { return when(s.TargetURL != "", "target_url: is blocked") }
	inWords := func(s core.Status) string { return when(s.TargetURL != "", "Target url is blocked") }
	all := func(s core.Status) string {
		return blocked(s) + when(s.TargetURL == "" && s.Description != "", "description is odd")
	}
	for name, test := range map[string]struct {
		attempts int
		refuses  func(core.Status) string
		sent     []string
		left     string
		refused  bool
	}{
		"nothing":        {0, func(core.Status) string { return "" }, []string{full}, "", false},
		"a link":         {0, blocked, []string{full, link}, "link left out: target_url: is blocked", false},
		"GitLab's words": {0, inWords, []string{full, link}, "link left out: Target url is blocked", false},
		"any link and text": {0, all, []string{full, link, plain, "scanhook||"}, "link left out: target_url: is blocked; " +
			"description left out: description is odd; description left out: description is odd", false},
		"no field the first": {0, unnamed, []string{full}, "", true},
		"no field again":     {1, unnamed, []string{full, plain}, "description and link left out: no", false},
		"always":             {1, func(core.Status) string { return "no" }, []string{full, plain, "scanhook||"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform := &picky{refuses: test.refuses}
			posted, err := platforms.Post(t.Context(), platform, core.Status{
				Context: "scanhook", Description: "2 new \U0001F525 ü", TargetURL: "https://x/1", State: core.StatusFailure,
				Attempts: test.attempts,
			})
			if diff := cmp.Diff(test.sent, platform.sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if (err != nil) != test.refused || posted.LeftOut != test.left {
				t.Errorf("got %q, %v; want %q", posted.LeftOut, err, test.left)
			}
		})
	}
}
