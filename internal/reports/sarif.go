package reports

import (
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// sarifVersion is the only version that is a standard; drafts before and after it have other members.
const sarifVersion = "2.1.0"

// sarif reads SARIF logs, run by run.
type sarif struct {
	*cursor
	report   core.Report
	findings pile[core.Finding]
	version  string
	runs     bool
}

// looksLikeSARIF knows logs, and the array of logs that Snyk Code writes for several projects.
func looksLikeSARIF(seen shape) bool {
	if seen.array {
		return seen.has("runs", "version")
	}
	return seen.has("runs") || seen.has("inlineExternalProperties") || strings.Contains(seen.schema, "sarif")
}

func parseSARIF(c *cursor) (core.Report, error) {
	s := &sarif{cursor: c}
	if c.pack {
		s.report.Packed = new(core.Packed)
	}
	if err := s.oneOrMany(s.readLog); err != nil {
		return core.Report{}, err
	}
	s.report.Findings = s.findings.slice()
	return s.report, nil
}

func (s *sarif) readLog(walk func(members) error) error {
	s.version, s.runs = "", false
	err := walk(members{
		"version":                  s.readVersion,
		"runs":                     s.readRuns,
		"inlineExternalProperties": s.readExternal,
	})
	switch {
	case err != nil:
		return err
	case s.version == "":
		return s.invalid("the report has no version; it must be %q", sarifVersion)
	case !s.runs:
		return s.invalid("the report has no runs")
	}
	return nil
}

func (s *sarif) readVersion() error {
	if err := s.decode(&s.version); err != nil {
		return err
	}
	if s.version != sarifVersion {
		return s.invalid("the report is SARIF %.40q; let the scanner write SARIF %s", s.version, sarifVersion)
	}
	return nil
}

func (s *sarif) readRuns() error {
	found, err := s.arrayOrNull(func() error {
		r := newRun(s)
		if err := r.read(); err != nil {
			return err
		}
		r.finish()
		return nil
	})
	if err == nil && !found {
		return s.invalid("is null, with which SARIF says that the results could not be fetched")
	}
	s.runs = true
	return err
}

// readExternal looks into external property files that were put into the log. Nobody is known to write results there.
func (s *sarif) readExternal() error {
	return s.array(func() error {
		return s.object(members{"results": func() error {
			s.fail("results in inlineExternalProperties are not supported; let the scanner write them into runs")
			return s.skip()
		}})
	})
}

// fail records why the scanner could not do its work. The first reasons are the ones that explain.
func (s *sarif) fail(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	switch {
	case len(s.report.Failure) > s.limits.message()/2:
		return
	case s.report.Failure == "":
		s.report.Failure = clean(reason, s.limits.message())
	case !strings.Contains(s.report.Failure, reason):
		s.report.Failure = clean(s.report.Failure+"; "+reason, s.limits.message())
	}
}
