package web

import (
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// banner is what a developer reads first: the result, the reason, and what to do.
type banner struct {
	Kind   string // pass, fail, error, cancelled or pending: the style
	Mark   string // one character
	Label  string
	Why    string // sentences
	Advice string
}

// bannerOf is the banner of a scan, without the reason why it passed.
func bannerOf(scan core.Scan) banner {
	switch {
	case scan.Status == core.ScanPending:
		return banner{"pending", "…", "Waiting", "No scanner has started yet.", "This page follows the scan by itself."}
	case scan.Status == core.ScanProcessing:
		return banner{"pending", "…", "Scanning", "", "This page follows the scan by itself."}
	case scan.Status == core.ScanFailed && scan.Refused != "" && scan.Error == scan.Refused:
		return banner{"error", "!", "Not scanned", scan.Error, "forks in the configuration says what is done with requests from forks."}
	case scan.Status == core.ScanFailed && scan.SupersededBy == core.Closed:
		return banner{"cancelled", "–", "Closed", scan.Error, "It is scanned when the request is opened again."}
	case scan.Status == core.ScanFailed && scan.SupersededBy != "":
		return banner{"cancelled", "–", "Superseded", scan.Error, "Look at the scan of the newer commit instead."}
	case scan.Status == core.ScanFailed:
		return banner{"error", "!", "Scan failed", scan.Error,
			"The code was not judged. Fix what the scanner reports below, then scan the commit again."}
	case scan.Verdict != nil && *scan.Verdict == core.Fail && scan.NumDeciding == 0:
		return banner{"fail", "✗", "Failed", "Not all that may hold code was searched.", "What was not searched, and what to do about it, is listed below."}
	case scan.Verdict != nil && *scan.Verdict == core.Fail:
		return banner{"fail", "✗", "Failed", failedBy(scan),
			"Fix them and push again, or mark what is no real problem as a false positive below."}
	}
	return banner{"pass", "✓", "Passed", "", ""}
}

// failedBy is the number of findings that decided; the page shows the rule beside it.
func failedBy(scan core.Scan) string {
	if scan.NumDeciding == 0 {
		return ""
	}
	verb := "break"
	if scan.NumDeciding == 1 {
		verb = "breaks"
	}
	return fmt.Sprintf("%s %s the rule.", core.Plural(scan.NumDeciding, "finding"), verb)
}
