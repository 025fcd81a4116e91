package collect

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Lenient reads a value that tools write in their own way (PHP's empty object is an array), or leaves it empty.
type Lenient[T any] struct{ Value T }

// UnmarshalJSON implements json.Unmarshaler.
func (l *Lenient[T]) UnmarshalJSON(data []byte) error {
	var value T
	if json.Unmarshal(data, &value) == nil {
		l.Value = value
	}
	return nil
}

// Texts lists the texts and numbers in a value of unknown type: alone, or in an array.
func Texts(value any) []string {
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
				all = append(all, Texts(element)...)
			}
		}
		return all
	}
	return nil
}

// Severity translates a tool's word for a severity. A finding without one, or with an unknown word, is Medium,
// as a SARIF result without a level is.
func Severity(value any) core.Severity {
	word := strings.ToLower(strings.TrimSpace(strings.Join(Texts(value), " ")))
	switch word {
	case "undefined", "experimental", "experiment", "inventory":
		return core.Low
	}
	if severity, ok := core.SeverityFromWord(word); ok {
		return severity
	}
	return core.Medium
}

// Line translates a line number, which some tools write as 12.0, to one that fits into a database; 0 is unknown.
func Line(number float64) int {
	const maxLine = 1<<31 - 1
	if number < 1 || number > maxLine {
		return 0
	}
	return int(number)
}

// EndLine makes the end of a region agree with its beginning: the same line where the report does not say (SARIF 3.30.7).
func EndLine(start, end int) int {
	if start == 0 {
		return 0
	}
	return max(start, end)
}
