package reports

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
)

// clean makes a text storable and showable, and at most limit bytes long.
func clean(text string, limit int) string { return clip(core.Printable(text), limit) }

// clip cuts a text to at most limit bytes, between two runes. The rest must not stay in memory, hence the copy.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	end := max(limit-len(mark), 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if limit < len(mark) {
		return strings.Clone(text[:end])
	}
	return text[:end] + mark
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// words lists the texts and numbers in a value of unknown type: alone, or in an array.
func words(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case float64:
		return []string{strconv.FormatFloat(value, 'f', -1, 64)}
	case json.Number:
		return []string{value.String()}
	case []any:
		var all []string
		for _, element := range value {
			if _, nested := element.([]any); !nested {
				all = append(all, words(element)...)
			}
		}
		return all
	}
	return nil
}

// toLine translates a line number, which some tools write as 12.0, to one that fits into a database; 0 is unknown.
func toLine(number float64) int {
	const maxLine = 1<<31 - 1
	if number < 1 || number > maxLine {
		return 0
	}
	return int(number)
}

// endLine makes the end of a region agree with its beginning: the same line where the report does not say (3.30.7).
func endLine(start, end int) int {
	if start == 0 {
		return 0
	}
	return max(start, end)
}
