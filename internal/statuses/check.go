package statuses

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/buttons"
	"github.com/scanhook/scanhook/platforms"
)

// maxAnnotations bounds those of a check run: GitHub takes 50 a call, and people read fewer.
const maxAnnotations = 200

// checkReport is what the check run of a status says: nothing while its scan goes on.
func (s *sender) checkReport(ctx context.Context, status core.Status) (platforms.CheckReport, error) {
	if status.State == core.StatusPending {
		return platforms.CheckReport{Summary: "The verdict comes when the scan has ended."}, nil
	}
	scan, err := s.Store.GetScanByID(ctx, status.ScanID)
	if err != nil {
		return platforms.CheckReport{}, err
	}
	told, err := s.read(ctx, scan)
	if err != nil {
		return platforms.CheckReport{}, err
	}
	report := describeCheck(told, status.TargetURL)
	report.Buttons = buttons.Of(status, told.found, s.Store.ButtonsOf(scan))
	return report, nil
}

// describeCheck makes the report of an ended scan from its new findings that are not dismissed, the most urgent first.
func describeCheck(t told, page string) (report platforms.CheckReport) {
	report.Summary = fmt.Sprintf("**%s**\n", plain(cmp.Or(t.scan.Summary, t.scan.Error, string(t.scan.Status)))) + describe(t, page)
	for _, f := range t.found {
		if f.File != "" && f.Commit == "" {
			report.Annotations = append(report.Annotations, annotate(f))
		}
	}
	return report
}

func annotate(f core.Finding) platforms.Annotation {
	return platforms.Annotation{
		File: f.File, Line: f.Line, EndLine: f.EndLine, Severity: f.Severity,
		Title:   core.Line(strings.TrimSpace(fmt.Sprintf("%s: %s", f.Severity, cmp.Or(f.Title, f.RuleID)))),
		Message: core.Printable(cmp.Or(f.Message, f.Title, f.RuleID)),
	}
}
