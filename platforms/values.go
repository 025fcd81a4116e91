package platforms

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxText is the longest text that is kept from a payload, in bytes. Platforms allow 255 for the name of a branch.
const MaxText = 1000

// maxSeconds bounds durations: about 30 years, far below what time.Duration can hold.
const maxSeconds = 1e9

// Text is a string of a payload, made safe to store: valid UTF-8 without control characters, at most MaxText bytes.
// Anything that is not a JSON string is the empty text.
type Text string

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*t = Text(Clean(text))
	}
	return nil
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
	return text[:end]
}

// Number is a number of a payload, as an integer, a float or a string; the zero value and null are "no number".
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

// Int is the value without its fraction, and 0 where there is none or it cannot be told exactly.
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

// Count is Int within what a database's INTEGER holds, from 0 on.
func (n Number) Count() int { return int(min(max(n.Int(), 0), math.MaxInt32)) }

// ID is the value as the text of an identifier, and empty where there is none.
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
