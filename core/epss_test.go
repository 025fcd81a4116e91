package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestParseCVE(t *testing.T) {
	t.Parallel()
	long := "CVE-2024-" + strings.Repeat("9", 19)
	for text, want := range map[string]string{
		"CVE-2024-3094": "CVE-2024-3094", "cve-1999-0001": "CVE-1999-0001", "Cve-2026-74439": "CVE-2026-74439", long: long,
	} {
		if got, err := core.ParseCVE(text); err != nil || got != want {
			t.Errorf("ParseCVE(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "CVE-", "CVE-2024-309", "CVE-24-3094", "CVE-2024-3094 ", "GHSA-2024-3094", "CVE-2024-30x4", "CVE-20245-3094",
		"CVE-2024-3094-1", "CVE-2024", long + "9", "CVE-2024-３０９４",
	} {
		if got, err := core.ParseCVE(text); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("ParseCVE(%q) = %q, %v, want ErrInvalid", text, got, err)
		}
	}
}
