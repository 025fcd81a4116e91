package core_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestSeverityFromWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]core.Severity{
		"CRITICAL": core.Critical, "error": core.High, " Warning ": core.Medium, "INFO": core.Low, "9.8": core.Critical, "0": core.Low,
	} {
		if got, ok := core.SeverityFromWord(word); !ok || got != want {
			t.Errorf("SeverityFromWord(%q) = %s, %v", word, got, ok)
		}
	}
	for _, word := range []string{"", "purple", "11", "-1", "NaN"} {
		if got, ok := core.SeverityFromWord(word); ok {
			t.Errorf("SeverityFromWord(%q) = %s", word, got)
		}
	}
}
