package reports

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// quick goes through a value whose syntax is known to be right. It knows what nearly all reports are made of; where it
// meets anything else it becomes odd, and what it has read does not count: encoding/json reads the value instead.
type quick struct {
	data    []byte
	at      int
	odd     bool
	texts   *arena
	scratch []byte // of a text that has escapes
}

func (q *quick) space() {
	for q.at < len(q.data) {
		switch q.data[q.at] {
		case ' ', '\t', '\r', '\n':
			q.at++
		default:
			return
		}
	}
}

// begins tells by its first byte what the next value is; 0 behind the end, which only an odd value has.
func (q *quick) begins() byte {
	if q.space(); q.at < len(q.data) {
		return q.data[q.at]
	}
	q.odd = true
	return 0
}

// null passes a null, which means the same as nothing at all.
func (q *quick) null() bool {
	if q.begins() != 'n' {
		return false
	}
	q.at += len("null")
	return true
}

// object visits the members that are known by name. encoding/json also takes names in another case, and the last of
// equal ones: those are odd.
func (q *quick) object(known []string, visit func(name string)) {
	if q.null() {
		return
	}
	if q.begins() != '{' {
		q.odd = true
		return
	}
	seen := 0
	for q.at++; !q.odd && q.begins() != '}'; {
		if q.data[q.at] == ',' {
			q.at++
			q.space()
		}
		name := q.raw()
		q.space()
		q.at++ // the colon
		i := slices.IndexFunc(known, func(one string) bool { return one == string(name) })
		if i < 0 {
			q.odd = q.odd || slices.ContainsFunc(known, func(one string) bool { return strings.EqualFold(one, string(name)) })
			q.skip()
			continue
		}
		q.odd = q.odd || seen&(1<<i) != 0
		seen |= 1 << i
		visit(known[i])
	}
	q.at++
}

// array visits the elements.
func (q *quick) array(visit func()) {
	if q.null() {
		return
	}
	if q.begins() != '[' {
		q.odd = true
		return
	}
	for q.at++; !q.odd && q.begins() != ']'; {
		if q.data[q.at] == ',' {
			q.at++
		}
		visit()
	}
	q.at++
}

// raw passes a string and returns what stands between its quotes; one with escapes is odd.
func (q *quick) raw() []byte {
	if q.begins() != '"' {
		q.odd = true
		return nil
	}
	q.at++
	n := ordinary(q.data[q.at:])
	text := q.data[q.at : q.at+n]
	if q.at += n; q.at == len(q.data) || q.data[q.at] != '"' {
		q.odd = true
		return nil
	}
	q.at++
	return text
}

// text passes a string, or a null, and returns what it says, until the next call.
func (q *quick) text() []byte {
	if q.null() {
		return nil
	}
	if q.begins() != '"' {
		q.odd = true
		return nil
	}
	q.at++
	n := ordinary(q.data[q.at:])
	text := q.data[q.at : q.at+n]
	if q.at += n; q.data[q.at] != '"' {
		text = q.unescape(text)
	}
	q.at++
	q.odd = q.odd || !utf8.Valid(text) // encoding/json replaces what is not UTF-8
	return text
}

// unescape goes on to the end of a string at its first backslash.
func (q *quick) unescape(text []byte) []byte {
	q.scratch = append(q.scratch[:0], text...)
	for !q.odd && q.data[q.at] == '\\' {
		c := q.data[q.at+1]
		q.at += 2
		if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
			q.scratch = append(q.scratch, "\"\\/\b\f\n\r\t"[i])
		} else {
			code, _ := strconv.ParseUint(string(q.data[q.at:q.at+4]), 16, 16)
			q.odd = utf16.IsSurrogate(rune(code))
			q.scratch = utf8.AppendRune(q.scratch, rune(code))
			q.at += 4
		}
		n := ordinary(q.data[q.at:])
		q.scratch = append(q.scratch, q.data[q.at:q.at+n]...)
		q.at += n
	}
	return q.scratch
}

// number passes a number, or a null.
func (q *quick) number() (number float64, found bool) {
	if q.null() {
		return 0, false
	}
	from := q.at
	for q.at < len(q.data) && strings.IndexByte("+-.0123456789Ee", q.data[q.at]) >= 0 {
		q.at++
	}
	number, err := strconv.ParseFloat(string(q.data[from:q.at]), 64)
	q.odd = q.odd || err != nil
	return number, true
}

// into lets encoding/json read the value.
func (q *quick) into(target any) {
	q.space()
	from := q.at
	q.skip()
	q.odd = q.odd || json.Unmarshal(q.data[from:q.at], target) != nil
}

// skip passes a value.
func (q *quick) skip() {
	switch q.begins() {
	case '"':
		q.skipString()
	case '{', '[':
		q.skipNested()
	default:
		for q.at < len(q.data) && strings.IndexByte(",]} \t\r\n", q.data[q.at]) < 0 {
			q.at++
		}
	}
}

func (q *quick) skipString() {
	for q.at++; ; q.at += 2 { // the backslash and what follows it
		q.at += ordinary(q.data[q.at:])
		if q.data[q.at] == '"' {
			q.at++
			return
		}
	}
}

func (q *quick) skipNested() {
	for depth := 0; ; {
		switch q.data[q.at] {
		case '"':
			q.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if q.at++; depth == 0 {
			return
		}
	}
}
