package epss

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// maxLine bounds a line, in bytes; those of the published files have 30.
const maxLine = 4096

// readScores reads the CSV of https://www.first.org/epss: "#model_version:v2025.03.14,score_date:2025-12-26T12:55:00Z",
// which early files do not have, then the header "cve,epss,percentile", then a line for each CVE in no certain order.
func readScores(r io.Reader) (core.Feed, error) {
	table := table{lines: bufio.NewScanner(r)}
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
	values  []string // of the current line
	columns columns
	rows    map[string]core.Score // by CVE; nil as long as they are in order
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
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime, time.DateOnly,
	} {
		if date, err := time.Parse(layout, text); err == nil {
			return date.UTC(), true
		}
	}
	return time.Time{}, false
}
