// Package reports turns what scanners write into findings. It is the one door for all report formats: which one a
// report is written in is read off its content, never off its name. Reports come from outside, so they are streamed,
// bounded in bytes, results and text, and refused as a whole with the place of the first mistake.
package reports

import (
	"fmt"
	"io"

	"github.com/scanhook/scanhook/core"
)

// Limits bounds what a report may cost. A zero field means its default.
type Limits struct {
	MaxBytes   int64 // of the report, after decompression; default 512 MiB
	MaxResults int   // default 1,000,000
	MaxText    int   // bytes of a message; a snippet gets half of it, names and paths a quarter; default 8 KiB

	// Verbatim refuses text that can only be stored changed: NUL, what is not UTF-8, halves of characters. Without, it
	// is replaced by U+FFFD.
	Verbatim bool
}

const (
	defaultBytes   = 512 << 20
	defaultResults = 1_000_000
	defaultText    = 8 << 10
)

// format is one kind of report. To add a kind, write its parse function and name it in formats.
type format struct {
	name  string // for people, with what the format is known by
	knows func(shape) bool
	parse func(*cursor) (core.Report, error)
}

// formats lists the known kinds; the first one that knows a report's shape reads it.
func formats() []format {
	return []format{
		{`SARIF 2.1.0 (an object with "runs")`, looksLikeSARIF, parseSARIF},
		{`JSON findings (an object with "findings", or an array, of objects with "rule_id")`, looksPlain, parsePlain},
		{"semgrep JSON", looksLikeSemgrep, parseSemgrep},
		{"the findings of semgrep ci and of Semgrep's API", looksLikeSemgrepPlatform, parseSemgrepPlatform},
		{"Trivy JSON", looksLikeTrivy, parseTrivy},
		{"gitleaks JSON", looksLikeGitleaks, parseGitleaks},
		{"gosec JSON", looksLikeGosec, parseGosec},
		{"GitLab security reports", looksLikeGitLab, parseGitLab},
		{"Snyk JSON", looksLikeSnyk, parseSnyk},
		{"Grype JSON", looksLikeGrype, parseGrype},
		{"Checkov JSON", looksLikeCheckov, parseCheckov},
		{"Bandit JSON", looksLikeBandit, parseBandit},
	}
}

// Parse reads one report to its end, without the fields of findings that only the store can know: ids, Fingerprint and
// BaselineState. RuleID, Title and Tool are empty where the report does not say. No secret is in what it returns.
//
// Errors wrap core.ErrInvalid, with line, column, byte offset and JSON pointer of the mistake, or core.ErrTooLarge.
// Whatever r itself fails with is passed on. The report is empty on errors.
func Parse(r io.Reader, limits Limits) (core.Report, error) { return parse(r, limits, false) }

// ParsePacked is Parse for reports that are stored as they are: where a format is known for large reports, the findings
// are packed.
func ParsePacked(r io.Reader, limits Limits) (core.Report, error) { return parse(r, limits, true) }

func parse(r io.Reader, limits Limits, pack bool) (core.Report, error) {
	c, shape, err := open(r, limits.orDefaults())
	if err != nil {
		return core.Report{}, fmt.Errorf("parsing report: %w", err)
	}
	c.pack = pack
	report, err := dispatch(c, shape)
	if err != nil {
		return core.Report{}, fmt.Errorf("parsing report: %w", err)
	}
	Redact(&report)
	return report, nil
}

func dispatch(c *cursor, seen shape) (core.Report, error) {
	for _, format := range formats() {
		if !format.knows(seen) {
			continue
		}
		report, err := format.parse(c)
		if err != nil {
			return core.Report{}, err
		}
		return report, c.end()
	}
	return core.Report{}, unknown(c, seen)
}

// unknown tells what is wrong with a report in no known format. What is not even JSON deserves the more exact answer.
func unknown(c *cursor, seen shape) error {
	if err := c.skip(); err != nil {
		return err
	}
	if err := c.end(); err != nil {
		return err
	}
	known := ""
	for _, format := range formats() {
		known += "; " + format.name
	}
	return fmt.Errorf("%w: unknown format: the report is %s; known are%s",
		core.ErrInvalid, seen, known[1:])
}

func (l Limits) orDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = defaultBytes
	}
	if l.MaxResults <= 0 {
		l.MaxResults = defaultResults
	}
	if l.MaxText <= 0 {
		l.MaxText = defaultText
	}
	return l
}

func (l Limits) message() int { return l.MaxText }
func (l Limits) snippet() int { return l.MaxText / 2 }
func (l Limits) name() int    { return l.MaxText / 4 }
