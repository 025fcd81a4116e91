package config

import (
	"strings"
	"testing"
	"time"
)

func TestRecoverEvery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": time.Hour, "recover: {}": time.Hour, "recover: {every: 0}": 0, "recover: {every: 0s}": 0, "recover: {every: 10m}": 10 * time.Minute,
	} {
		if got := time.Duration(mustParse(t, text, nil).Recover.Every); got != want {
			t.Errorf("%q is every %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"-1h", "5", "soon", "true"} {
		problems := problemsOf(t, "recover: {every: "+text+"}", nil)
		if len(problems) != 1 || !strings.Contains(problems[0], "recover.every must be a duration such as 30m or 1h, or 0 for never") {
			t.Errorf("every: %s: problems = %q", text, problems)
		}
	}
}
