package epss

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// maxLine bounds a line, in bytes; those of the published files have 30.
const maxLine = 4096

// readScores reads the CSV of https://www.first.org/epss: "#model_version:v2025.03.14,score_date:2025-12-26T12:55:00Z",
// which early files do not have, then the header "cve,epss,percentile", then a line for each CVE in no certain order.
func readScores(r io.Reader) (core.Feed, error) {
	table := table{lines: bufio.NewScanner(r), rows: map[string]core.Score{}}
	table.lines.Buffer(make([]byte, maxLine), maxLine)
	feed := core.Feed{Kind: core.FeedEPSS}
	for table.next() {
		if err := table.read(&feed); err != nil {
			return core.Feed{}, err
		}
	}
	if err := table.lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return core.Feed{}, invalidf(table.line+1, "is longer than %d bytes", maxLine)
	} else if err != nil {
		return core.Feed{}, readingFailed(err)
	}
	if len(feed.Scores) == 0 {
		return core.Feed{}, invalidf(max(table.line, 1), "no score: the file must hold a header cve,epss,percentile and rows")
	}
	return feed, nil
}

// table is a CSV of scores while it is read.
type table struct {
	lines   *bufio.Scanner
	line    int // number of the current one, 1-based
	text    string
	columns columns
	rows    map[string]core.Score
}

// next goes to the next line that is not blank.
func (t *table) next() bool {
	for t.lines.Scan() {
		t.line++
		if t.text = strings.TrimSpace(t.lines.Text()); t.text != "" {
			return true
		}
	}
	return false
}

func (t *table) read(feed *core.Feed) (err error) {
	switch comment, isComment := strings.CutPrefix(t.text, "#"); {
	case isComment:
		err = t.readComment(comment, feed)
	case t.columns.count == 0:
		t.columns, err = t.readHeader()
	default:
		err = t.readRow(feed)
	}
	return err
}

// readComment takes what is known and passes over the rest. Values hold colons: only the first one ends a name.
func (t *table) readComment(comment string, feed *core.Feed) error {
	for part := range strings.SplitSeq(comment, ",") {
		name, value, _ := strings.Cut(part, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "model_version":
			feed.Version = value
		case "score_date":
			date, ok := parseDate(value)
			if !ok {
				return invalidf(t.line, "score_date %.40q is no date such as 2025-12-26T12:55:00Z", value)
			}
			feed.Date = date
		}
	}
	return nil
}

// parseDate reads the forms that the two publishers have used; nothing is an unknown date.
func parseDate(text string) (date time.Time, ok bool) {
	if text == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if date, err := time.Parse(layout, text); err == nil {
			return date.UTC(), true
		}
	}
	return time.Time{}, false
}

// columns says where in a row the values stand.
type columns struct{ cve, epss, percentile, count int }

func (t *table) readHeader() (columns, error) {
	names := t.fields()
	found := columns{-1, -1, -1, len(names)}
	for i, name := range names {
		switch strings.ToLower(name) {
		case "cve":
			found.cve = i
		case "epss":
			found.epss = i
		case "percentile":
			found.percentile = i
		}
	}
	if min(found.cve, found.epss, found.percentile) < 0 {
		return columns{}, invalidf(t.line, "the header %.60q does not name the columns cve, epss and percentile", t.text)
	}
	return found, nil
}

func (t *table) readRow(feed *core.Feed) error {
	values := t.fields()
	if len(values) != t.columns.count {
		return invalidf(t.line, "has %d values where the header has %d", len(values), t.columns.count)
	}
	score, err := t.score(values)
	if err != nil {
		return err
	}
	if before, twice := t.rows[score.CVEID]; twice && before != score {
		return invalidf(t.line, "%s has another score in an earlier line", score.CVEID)
	} else if twice {
		return nil
	}
	if len(feed.Scores) == maxRows {
		return invalidf(t.line, "more than %d scores", maxRows)
	}
	t.rows[score.CVEID] = score
	feed.Scores = append(feed.Scores, score)
	return nil
}

func (t *table) score(values []string) (core.Score, error) {
	cve, err := core.ParseCVE(values[t.columns.cve])
	if err != nil {
		return core.Score{}, invalidf(t.line, "%.40q is not a CVE id", values[t.columns.cve])
	}
	probability, ok := parseShare(values[t.columns.epss])
	if !ok {
		return core.Score{}, invalidf(t.line, "epss %.40q is not a number from 0 to 1", values[t.columns.epss])
	}
	percentile, ok := parseShare(values[t.columns.percentile])
	if !ok {
		return core.Score{}, invalidf(t.line, "percentile %.40q is not a number from 0 to 1", values[t.columns.percentile])
	}
	return core.Score{CVEID: cve, Probability: probability, Percentile: percentile}, nil
}

// fields splits the line. The values of these files hold neither commas nor quotation marks of their own.
func (t *table) fields() []string {
	fields := strings.Split(t.text, ",")
	for i, field := range fields {
		fields[i] = strings.Trim(field, ` "`)
	}
	return fields
}

// parseShare is false for NaN too, which compares with nothing.
func parseShare(text string) (share float64, ok bool) {
	share, err := strconv.ParseFloat(text, 64)
	return share, err == nil && share >= 0 && share <= 1
}
