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

func TestVulnerabilityID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"CVE-2024-3094": "CVE-2024-3094", "cve-2024-3094-xz-utils": "CVE-2024-3094", "CVE-list": "", "CVE-2024-1": "",
		"GHSA-jfh8-c2jp-5v3q": "GHSA-JFH8-C2JP-5V3Q", "ghsa-jfh8-c2jp-5v3q-log4j": "GHSA-JFH8-C2JP-5V3Q",
		"GO-2024-2687": "GO-2024-2687", "go-vet": "", "RUSTSEC-2021-0001": "RUSTSEC-2021-0001", "DSA-5655-1": "DSA-5655-1",
		"SNYK-JS-LODASH-567746": "SNYK-JS-LODASH-567746", "SNYK-CC-TF-1": "", "npm:ms:20170412": "NPM:MS:20170412",
		"no-danger": "", "B101": "", "": "", "CVE-": "", "-": "",
	} {
		if got := core.VulnerabilityID(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
