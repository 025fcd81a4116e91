package epss

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

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
	if before, twice := t.find(feed.Scores, score.CVEID); twice && before != score {
		return invalidf(t.line, "%s has another score in an earlier line", score.CVEID)
	} else if twice {
		return nil
	}
	if len(feed.Scores) == maxRows {
		return invalidf(t.line, "more than %d scores", maxRows)
	}
	if t.rows != nil {
		t.rows[score.CVEID] = score
	}
	if len(feed.Scores) == cap(feed.Scores) { // append would copy a large file some twenty times
		feed.Scores = slices.Grow(feed.Scores, max(len(feed.Scores), 1024))
	}
	feed.Scores = append(feed.Scores, score)
	return nil
}

// find looks for an earlier row of the CVE. Published files are in order, where the last row tells that there is none.
func (t *table) find(earlier []core.Score, cve string) (score core.Score, found bool) {
	if t.rows == nil {
		if len(earlier) == 0 || inOrder(earlier[len(earlier)-1].CVEID, cve) {
			return core.Score{}, false
		}
		t.rows = make(map[string]core.Score, len(earlier))
		for _, row := range earlier {
			t.rows[row.CVEID] = row
		}
	}
	score, found = t.rows[cve]
	return score, found
}

// inOrder compares years, then the length of numbers, then numbers.
func inOrder(a, b string) bool {
	const year = len("CVE-2024-")
	return cmp.Or(cmp.Compare(a[:year], b[:year]), cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) < 0
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

// fields splits the line, until the next one is split. The values of these files hold neither commas nor quotation marks of their own.
func (t *table) fields() []string {
	t.values = t.values[:0]
	for field := range strings.SplitSeq(t.text, ",") {
		t.values = append(t.values, strings.Trim(field, ` "`))
	}
	return t.values
}

// parseShare is false for NaN too, which compares with nothing.
func parseShare(text string) (share float64, ok bool) {
	share, err := strconv.ParseFloat(text, 64)
	return share, err == nil && share >= 0 && share <= 1
}
