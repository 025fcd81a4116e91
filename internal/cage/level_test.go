package cage_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/cage"
)

func TestLevels(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		level cage.Level
		name  string
		gaps  int
		say   string // part of what a command could do, and of the advice
	}{
		{cage.Level{Landlock: 7, Namespaces: true, View: true}, "full: Landlock 7, namespaces, a view", 0, ""},
		{cage.Level{Landlock: 7}, "partial: Landlock 7", 2, "send UDP"},
		{cage.Level{Landlock: 7, Namespaces: true}, "partial: Landlock 7, namespaces", 1, "Docker's"},
		{cage.Level{Landlock: 10}, "partial: Landlock 10", 0, "user namespaces"},
		{cage.Level{Namespaces: true, View: true}, "partial: namespaces", 0, "use a kernel with Landlock"},
		{cage.Level{}, "none", 5, "the configuration and the database too"},
		{cage.Level{System: "darwin"}, "none", 6, "run Scanhook on Linux"},
	} {
		gaps := test.level.Gaps()
		if !strings.HasPrefix(test.level.String(), test.name) || len(gaps) != test.gaps {
			t.Errorf("want %s with %d gaps, got %s with %q", test.name, test.gaps, test.level, gaps)
		}
		if said := strings.Join(gaps, " ") + test.level.Advice(); !strings.Contains(said, test.say) || test.level.IsFull() != (said == "") {
			t.Errorf("%s: want %q said, got %q", test.name, test.say, said)
		}
	}
}
