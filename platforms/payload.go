package platforms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/jsonscan"
)

// maxObjects is how many objects a body may have; a push of 2,048 commits has seven thousand. Braces in texts count,
// too.
const maxObjects = 1_000_000

// DecodeObject fills target from a body that must be exactly one JSON object, else the error wraps core.ErrInvalid and
// names the byte of the syntax error. Platforms change the types of fields without notice, so a value of a wrong type
// leaves its field empty; callers check the fields that they need. A body of very many objects would take many times
// its size in memory: core.ErrTooLarge.
func DecodeObject(body []byte, target any) error {
	if bytes.Count(body, []byte("{")) > maxObjects {
		return fmt.Errorf("%w: the body has more than %d objects, no event has", core.ErrTooLarge, maxObjects)
	}
	needed, ok := jsonscan.Prune(body, target)
	if !ok {
		needed = body // for the error
	}
	err := json.Unmarshal(needed, target)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w: the body is not valid JSON at byte %d: %w", core.ErrInvalid, syntax.Offset, err)
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return fmt.Errorf("%w: the body is JSON but not an object, every event is one", core.ErrInvalid)
	}
	var mismatch *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &mismatch) {
		return fmt.Errorf("%w: reading the body: %w", core.ErrInvalid, err)
	}
	return nil
}

// Translate completes a delivery, of which everything is known but event and project: read reads them from the payload. It is
// what Parse of every adapter does. header is where the name of the event stands, of is the platform that sends it.
func Translate(
	delivery core.Delivery, header, of string, read func() (core.Event, string, error),
) (_ core.Delivery, err error) {
	if delivery.Name == "" {
		return delivery, fmt.Errorf("%w: the header %s is missing: only webhooks of %s belong to this address",
			core.ErrInvalid, header, of)
	}
	if delivery.Event, delivery.Project, err = read(); err != nil {
		return delivery, fmt.Errorf("parsing %s: %w", delivery.Name, err)
	}
	return delivery, nil
}

// MaxText is the longest text that is kept from a payload, in bytes. Platforms allow 255 for the name of a branch.
const MaxText = 1000

// maxSeconds bounds durations: about 30 years, far below what time.Duration can hold.
const maxSeconds = 1e9

// Text is a string of a payload, made safe to store: valid UTF-8 without control characters, at most MaxText bytes.
// Anything that is not a JSON string is the empty text.
type Text string

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(data []byte) error {
	if isPlain(data) {
		*t = Text(data[1 : len(data)-1])
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) == nil {
		*t = Text(Clean(text))
	}
	return nil
}

// isPlain tells whether a value is a string that stands for itself and that Clean leaves as it is.
func isPlain(value []byte) bool {
	if len(value) < 2 || len(value) > MaxText || value[0] != '"' {
		return false
	}
	for _, c := range value[1 : len(value)-1] {
		if c < ' ' || c > '~' || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

// Clean makes text from outside safe to store and to show: valid UTF-8, no control characters, at most MaxText bytes.
func Clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= MaxText {
		return text
	}
	end := MaxText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end]) // the rest of a large text is free then
}

// Line is the first line of a string of a payload, made safe to store and to show, and cut to maxLine bytes.
type Line string

const maxLine = 200

// UnmarshalJSON never fails.
func (l *Line) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		*l = Line(core.Clip(core.Line(Clean(line)), maxLine))
	}
	return nil
}

const (
	// plainList is the size up to which a list is decoded without bounds, in bytes.
	plainList = 64 << 10
	// maxListed is how many elements of a longer one are read.
	maxListed = 50_000
)

// List is a list of a payload. Of an oversized one only the beginning is read, because two bytes of a payload can take a hundred
// in memory. It is nil where there is none.
type List[T any] []T

// Shape implements jsonscan.Shaper.
func (List[T]) Shape() any { return []T(nil) }

// UnmarshalJSON never fails.
func (l *List[T]) UnmarshalJSON(data []byte) error {
	if plain, is := readPlain[T](data); is {
		*l = plain
		return nil
	}
	if !isList(data) {
		return nil
	}
	*l = List[T]{}
	for text := range jsonscan.Elements(data) {
		if len(*l) == maxListed {
			break
		}
		var element T
		_ = json.Unmarshal(text, &element)
		*l = append(*l, element)
	}
	return nil
}

// readPlain reads a list that is small enough to be read without bounds.
func readPlain[T any](data []byte) (list []T, is bool) {
	if len(data) > plainList {
		return nil, false
	}
	_ = json.Unmarshal(data, &list) // a value of a wrong type leaves its field empty
	return list, true
}

// isList tells whether a value is a list.
func isList(value []byte) bool { return len(value) > 0 && value[0] == '[' }

// Number is a number of a payload, as an integer, a float or a string; the zero value and null mean that there is none.
type Number string

// UnmarshalJSON never fails.
func (n *Number) UnmarshalJSON(data []byte) error {
	*n = Number(strings.Trim(string(data), `"`))
	return nil
}

// Float is the value, and false where there is none or it is not finite.
func (n Number) Float() (float64, bool) {
	value, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, false
	}
	return value, true
}

// Int is the value without its fraction, and 0 where there is none or a float is too large to be exact.
func (n Number) Int() int64 {
	if whole, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return whole
	}
	const exact = 1 << 53
	if value, ok := n.Float(); ok && math.Abs(value) < exact {
		return int64(value)
	}
	return 0
}

// Count is Int, limited to what a database's INTEGER holds, from 0 on.
func (n Number) Count() int { return int(min(max(n.Int(), 0), math.MaxInt32)) }

// ID is the value as an identifier, and empty where there is none.
func (n Number) ID() string {
	if id := n.Int(); id > 0 {
		return strconv.FormatInt(id, 10)
	}
	return ""
}

// Seconds is the value as a duration: nil where there is none, 0 where it is negative.
func (n Number) Seconds() *time.Duration {
	value, ok := n.Float()
	if !ok || value > maxSeconds {
		return nil
	}
	duration := time.Duration(max(value, 0) * float64(time.Second))
	return &duration
}

// IsSet tells whether there is a number at all.
func (n Number) IsSet() bool {
	_, ok := n.Float()
	return ok
}

// Time is a moment of a payload in UTC: RFC 3339, the two spellings of GitLab, or Unix seconds. A broken one is zero.
type Time struct{ time.Time }

// UnmarshalJSON never fails.
func (t *Time) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		t.Time = parseTime(text)
		return nil
	}
	if seconds := Number(data).Int(); seconds > 0 {
		t.Time = plausible(time.Unix(seconds, 0))
	}
	return nil
}

// parseTime knows no zone names besides UTC: Go would read any other as an offset of zero.
func parseTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05 -0700"} {
		if moment, err := time.Parse(layout, text); err == nil {
			return plausible(moment)
		}
	}
	return time.Time{}
}

// plausible drops Go's and Unix' zero times, and years that a database refuses.
func plausible(moment time.Time) time.Time {
	moment = moment.UTC()
	if moment.Unix() <= 0 || moment.Year() > 9999 {
		return time.Time{}
	}
	return moment
}

// Between is the time from start to end, 0 where the platform has them in the wrong order, nil where one is unknown.
func Between(start, end Time) *time.Duration {
	if start.IsZero() || end.IsZero() {
		return nil
	}
	duration := max(end.Sub(start.Time), 0)
	return &duration
}
