// Package documents makes files of what is known: a scan in the formats of other programs, and the alerts of a project. They are written
// while they are read, whatever their size.
package documents

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reports/export"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
)

const pageSize = 2000 // findings or alerts that are in memory at a time

// Maker makes documents.
type Maker struct {
	Store     *store.Store
	Version   string // of this program, which some formats name
	PublicURL string // begins the addresses of alerts
	Log       *slog.Logger
}

// Document is a file that is ready to be written.
type Document struct {
	MediaType string
	Name      string // of the file

	about string
	log   *slog.Logger
	write func(io.Writer) error
}

// Write writes it as the body of an answer, and breaks that off where only a part of it could be made.
func (d Document) Write(ctx context.Context, answer io.Writer) {
	if err := d.write(answer); err != nil {
		d.log.WarnContext(ctx, "export broke off; its reader sees that it is not complete", "of", d.about, "error", err)
		httpx.BreakOff(answer)
	}
}

// Scan is a scan in a format; core.ErrNotFound where there is none.
func (m Maker) Scan(ctx context.Context, ref string, format export.Format) (d Document, err error) {
	scan, err := m.Store.GetScan(ctx, ref)
	if err != nil {
		return d, err
	}
	jobs, err := m.Store.ListJobs(ctx, scan)
	if err != nil {
		return d, err
	}
	document, err := export.New(scan, jobs, m.findingsOf(ctx, scan, jobs), format)
	if err != nil {
		return d, err
	}
	document.Version = m.Version
	if format.Detailed {
		if document.Help, err = m.Store.HelpOf(ctx, jobs); err != nil {
			return d, err
		}
	}
	return Document{
		MediaType: format.MediaType, Name: "scanhook-" + core.ShortSHA(scan.CommitSHA) + format.Extension,
		about: "scan " + ref, log: m.Log, write: document.Write,
	}, nil
}

// findingsOf pages through a scan's findings, job by job, and after them through those that it fixed.
func (m Maker) findingsOf(ctx context.Context, scan core.Scan, jobs []core.Job) export.Source {
	filters := make([]store.FindingFilter, 0, len(jobs)+1)
	for _, job := range jobs {
		filters = append(filters, store.FindingFilter{JobID: job.ID})
	}
	filters = append(filters, store.FindingFilter{BaselineState: core.Absent})
	return func(tool string, detailed bool) iter.Seq2[core.Finding, error] {
		return func(yield func(core.Finding, error) bool) {
			for _, filter := range filters {
				filter.Tool, filter.ByAge, filter.Limit = tool, true, pageSize
				if !m.eachFinding(ctx, scan, filter, detailed, yield) {
					return
				}
			}
		}
	}
}

// eachFinding returns false when no more findings are wanted.
func (m Maker) eachFinding(
	ctx context.Context, scan core.Scan, f store.FindingFilter, detailed bool, yield func(core.Finding, error) bool,
) bool {
	for {
		findings, err := m.Store.ListFindings(ctx, scan, f)
		if err == nil && detailed {
			err = m.Store.AddDetails(ctx, findings)
		}
		if err != nil {
			yield(core.Finding{}, err)
			return false
		}
		for _, finding := range findings {
			if !yield(finding, nil) {
				return false
			}
			f.AfterID = finding.ID
		}
		if len(findings) < f.Limit {
			return true
		}
	}
}

// Alerts are all alerts of a project in a format, the newest first; core.ErrNotFound where there is no such project.
func (m Maker) Alerts(ctx context.Context, platform, name string, format AlertFormat) (d Document, err error) {
	project, err := m.Store.FindProject(ctx, platform, name)
	if err != nil {
		return d, err
	}
	return Document{
		MediaType: format.MediaType, Name: fmt.Sprintf("scanhook-alerts-%d%s", project.ID, format.Extension), about: "alerts of " + project.Name, log: m.Log,
		write: func(w io.Writer) error { return writeAlerts(w, format, m.alertsOf(ctx, project)) },
	}, nil
}

// alertsOf pages through all alerts of a project.
func (m Maker) alertsOf(ctx context.Context, project core.KeptProject) iter.Seq2[Alert, error] {
	return func(yield func(Alert, error) bool) {
		for after := ""; ; {
			page, err := m.Store.Catalog().List(ctx, catalog.Filter{Projects: []int64{project.ID}}, catalog.Newest, after, pageSize)
			var decisions map[int64]core.TriageDecision
			if err == nil {
				decisions, err = m.Store.DecisionsOn(ctx, page.Items)
			}
			if err != nil {
				yield(Alert{}, err)
				return
			}
			for _, item := range page.Items {
				if !yield(m.exported(item, decisions), nil) {
					return
				}
			}
			if after = page.Next; after == "" {
				return
			}
		}
	}
}

func (m Maker) exported(item catalog.Item, decisions map[int64]core.TriageDecision) Alert {
	alert := Alert{
		Alert: item.Alert, Name: alerts.Name(item.Project, item.Number), EPSS: item.EPSS, KEV: item.KEV,
		Address: fmt.Sprintf("%s/alerts/%s/%s/%d", m.PublicURL, item.Platform, item.Project, item.Number),
	}
	if decision, decided := decisions[item.ID]; decided {
		alert.Decision = &decision
	}
	return alert
}
