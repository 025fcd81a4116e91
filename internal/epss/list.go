package epss

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

const (
	maxBytes = 256 << 20 // of a list, unpacked; the scores of 360,000 CVEs are 10 MB
	maxRows  = 3_000_000
	maxLine  = 4096 // bytes of a line; those of the published files have 30
)

var (
	gzipMagic     = []byte{0x1f, 0x8b}
	byteOrderMark = []byte("\ufeff")
)

// Read reads a list, plain or gzip: the scores as CSV, or the catalog as JSON. core.ErrInvalid, with the line, for
// anything else; core.ErrTooLarge above 256 MiB or 3,000,000 rows.
func Read(r io.Reader) (core.Feed, error) {
	buffered := bufio.NewReader(r)
	if start, _ := buffered.Peek(len(gzipMagic)); bytes.Equal(start, gzipMagic) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return core.Feed{}, readingFailed(err)
		}
		buffered = bufio.NewReader(unpacked)
	}
	digest := sha256.New()
	bounded := bufio.NewReader(io.TeeReader(&limited{r: buffered, left: maxBytes}, digest))
	if start, _ := bounded.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
		_, _ = bounded.Discard(len(byteOrderMark))
	}
	read := readScores
	if looksLikeJSON(bounded) {
		read = readCatalog
	}
	feed, err := read(bounded)
	if err != nil {
		return core.Feed{}, err
	}
	feed.Digest = hex.EncodeToString(digest.Sum(nil))
	return feed, nil
}

func looksLikeJSON(r *bufio.Reader) bool {
	for n := 1; n <= 64; n++ {
		start, err := r.Peek(n)
		if err != nil {
			return false
		}
		switch start[n-1] {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			return true
		default:
			return false
		}
	}
	return false
}

// limited fails with core.ErrTooLarge, unlike io.LimitReader, which ends.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: the list is larger than %d MiB unpacked", core.ErrTooLarge, maxBytes>>20)
	}
	return n, err
}

// readScores reads the CSV of https://www.first.org/epss: "#model_version:v2025.03.14,score_date:2025-12-26T12:55:00Z",
// which early files do not have, then the header "cve,epss,percentile", then a line for each CVE in any order.
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

// table is a CSV of scores that is being read.
type table struct {
	lines   *bufio.Scanner
	line    int // number of the current one, 1-based
	text    string
	values  []string // of the current line
	columns columns
	rows    map[string]core.Score // by CVE; nil as long as they are in order
}

// columns are the positions of the values in a row.
type columns struct{ cve, epss, percentile, count int }

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

// readComment takes the version and the date. Values hold colons: only the first one ends a name.
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

// find looks for an earlier row of the CVE. Published files are in order: the last row shows that there is none.
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

// fields splits the line; they are valid until the next line is split. No value of these files holds a comma or a quotation
// mark.
func (t *table) fields() []string {
	t.values = t.values[:0]
	for field := range strings.SplitSeq(t.text, ",") {
		t.values = append(t.values, strings.Trim(field, ` "`))
	}
	return t.values
}

// parseShare reads a number from 0 to 1. It refuses NaN, with which every comparison is false.
func parseShare(text string) (share float64, ok bool) {
	share, err := strconv.ParseFloat(text, 64)
	return share, err == nil && share >= 0 && share <= 1
}

// catalog is CISA's JSON. Its count is not read: it is wrong in some editions.
type catalog struct {
	Version         string  `json:"catalogVersion"`
	Released        string  `json:"dateReleased"`
	Vulnerabilities []entry `json:"vulnerabilities"`
}

type entry struct {
	CVE string `json:"cveID"`
}

// readCatalog reads the catalog of https://www.cisa.gov/known-exploited-vulnerabilities-catalog, or only its list.
func readCatalog(r io.Reader) (core.Feed, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return core.Feed{}, readingFailed(err)
	}
	var read catalog
	var into any = &read
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		into = &read.Vulnerabilities
	}
	if err := json.Unmarshal(data, into); err != nil {
		return core.Feed{}, jsonError(data, err)
	}
	return read.feed()
}

func (c catalog) feed() (core.Feed, error) {
	date, ok := parseDate(c.Released)
	if !ok {
		return core.Feed{}, fmt.Errorf("%w: dateReleased %.40q is no date", core.ErrInvalid, c.Released)
	}
	if len(c.Vulnerabilities) == 0 {
		return core.Feed{}, fmt.Errorf("%w: no vulnerability: this is not the catalog of known exploited vulnerabilities, "+
			"which holds a list vulnerabilities with a cveID each", core.ErrInvalid)
	}
	feed := core.Feed{Kind: core.FeedKEV, Date: date, Version: c.Version}
	seen := make(map[string]bool, len(c.Vulnerabilities))
	for i, vulnerability := range c.Vulnerabilities {
		cve, err := core.ParseCVE(vulnerability.CVE)
		if err != nil {
			return core.Feed{}, fmt.Errorf("vulnerabilities[%d]: %w", i, err)
		}
		if !seen[cve] {
			seen[cve] = true
			feed.Scores = append(feed.Scores, core.Score{CVEID: cve, KEV: true})
		}
	}
	return feed, nil
}

// jsonError adds the line to an error of encoding/json, which has only the byte offset.
func jsonError(data []byte, err error) error {
	offset := int64(len(data))
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	line := 1 + bytes.Count(data[:min(max(offset-1, 0), int64(len(data)))], []byte("\n"))
	return invalidf(line, "not the JSON of the catalog: %s", err)
}

// parseDate reads the forms that the two publishers have used; an empty text is an unknown date.
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

// readingFailed wraps core.ErrInvalid around the error of a damaged archive. Other errors are no fault of the list.
func readingFailed(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file is damaged or cut off, fetch it again: %w", core.ErrInvalid, err)
	}
	return err
}

// invalidf is a mistake in a line of the list, 1-based.
func invalidf(line int, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", core.ErrInvalid, line, fmt.Sprintf(format, args...))
}
