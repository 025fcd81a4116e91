// Package reports turns what scanners write into findings. The format of a report is recognized by its content, never by
// the name of its file. Reports come from outside, so they are streamed, bounded in bytes, results and text, and refused as
// a whole with the place of the first mistake. Every report passes Redact: no secret is stored or shown.
package reports

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
	"github.com/scanhook/scanhook/internal/reports/formats"
)

// Limits bounds what a report may cost.
type Limits = collect.Limits

// Parse reads one report to its end, without the fields of findings that only the store can know: ids, Fingerprint and
// BaselineState. RuleID, Title and Tool are empty where the report does not say. No secret is in what it returns; the key of
// the limits tells them apart.
//
// Errors wrap core.ErrInvalid, with line, column, byte offset and JSON pointer of the mistake, or core.ErrTooLarge.
// Whatever r itself fails with is passed on. The report is empty on errors.
func Parse(r io.Reader, limits Limits) (core.Report, error) {
	all, err := parse(r, limits, false)
	if err != nil {
		return core.Report{}, err
	}
	return all[0], nil
}

// ParsePacked is Parse for reports that are stored as they are: one for each category that the document has, or one of the category
// of the limits. Where large reports come in a format, findings are packed.
func ParsePacked(r io.Reader, limits Limits) ([]core.Report, error) { return parse(r, limits, true) }

func parse(r io.Reader, limits Limits, pack bool) ([]core.Report, error) {
	c := collect.New(r, limits, pack)
	all, err := read(c)
	if err != nil {
		return nil, fmt.Errorf("parsing report: %w", err)
	}
	for i := range all {
		Redact(&all[i], c.Limits.Key)
	}
	return all, nil
}

// StripRoot makes the files of a report that are below a directory, that of the checkout where its scanner ran, relative to it.
func StripRoot(of *core.Report, root string) {
	root = strings.Trim(path.Clean(strings.ReplaceAll(root, `\`, "/")), "/")
	if root == "" || root == "." {
		return
	}
	of.Each(func(f *core.Finding) (changed bool) {
		inside, below := strings.CutPrefix(f.File, root+"/")
		if below {
			f.File, f.About.Absolute = inside, false
		}
		was := f.Details
		f.Details = details.Rename(was, func(name string) string { return strings.TrimPrefix(name, root+"/") })
		return below || f.Details != was
	})
	of.Coverage.Rename(func(name string) string { return strings.TrimPrefix(strings.TrimPrefix(name, "/"), root+"/") })
}

func read(c *collect.Collector) ([]core.Report, error) {
	seen, err := c.Sniff()
	if err != nil {
		return nil, err
	}
	for _, format := range formats.All {
		if !format.Recognizes(seen) {
			continue
		}
		all, err := format.Parse(c)
		if err != nil {
			return nil, err
		}
		return all, c.End()
	}
	return nil, unknown(c, seen)
}

// unknown is the error for a report in no known format. Of what is not even JSON it says where it breaks.
func unknown(c *collect.Collector, seen jsonscan.Sniff) error {
	if err := c.Skip(); err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	return fmt.Errorf("%w: unknown format: the report is %s; known are %s", core.ErrInvalid, seen, Known())
}

// Known lists the formats that are read, for people.
func Known() string {
	names := make([]string, 0, len(formats.All))
	for _, format := range formats.All {
		names = append(names, format.Name)
	}
	return strings.Join(names, "; ")
}
