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

// LineOf is Line for a number that some tools write as a text.
func LineOf(value any) int {
	for _, text := range Texts(value) {
		number, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
		return Line(number)
	}
	return 0
}

// SeverityOrScore is Severity for tools that say unknown, or nothing, where they have no word for it: the highest of the CVSS scores
// decides then.
func SeverityOrScore(value any, scores ...float64) core.Severity {
	word := strings.ToLower(strings.TrimSpace(strings.Join(Texts(value), " ")))
	if word != "" && word != "unknown" {
		return Severity(value)
	}
	highest := 0.0
	for _, score := range scores {
		if score <= 10 {
			highest = max(highest, score)
		}
	}
	if highest > 0 {
		return core.SeverityFromScore(highest)
	}
	return Severity(value)
}

// EndLine makes the end of a region agree with its beginning: the same line where the report does not say (SARIF 3.30.7).
func EndLine(start, end int) int {
	if start == 0 {
		return 0
	}
	return max(start, end)
}
