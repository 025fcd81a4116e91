package reports

import (
	"slices"
	"strings"
)

// fingerprints are what a tool says identifies a result, as name=value. Values that are not strings, against the
// standard, do not count.
type fingerprints []string

// UnmarshalJSON implements json.Unmarshaler. Nearly all results of large reports have fingerprints and nearly all of
// them are plain, so those are taken apart by hand.
func (f *fingerprints) UnmarshalJSON(data []byte) error {
	if plain, ok := plainPairs(string(data)); ok {
		*f = plain
		return nil
	}
	var values lenient[map[string]any]
	_ = values.UnmarshalJSON(data) // never fails
	for name, value := range values.value {
		if text, ok := value.(string); ok {
			*f = append(*f, name+"="+text)
		}
	}
	return nil
}

// plainPairs splits a valid JSON object whose values are all strings without escapes.
func plainPairs(object string) (pairs []string, ok bool) {
	if strings.Contains(object, `\`) {
		return nil, false
	}
	rest := object
	for {
		_, name, found := nextString(&rest)
		if !found {
			return pairs, true
		}
		between, value, found := nextString(&rest)
		if !found || strings.TrimSpace(between) != ":" {
			return nil, false
		}
		pairs = append(pairs, name+"="+value)
	}
}

// nextString cuts the next quoted string, and what stands before it, off the text.
func nextString(text *string) (before, quoted string, found bool) {
	before, rest, found := strings.Cut(*text, `"`)
	if !found {
		return before, "", false
	}
	quoted, *text, found = strings.Cut(rest, `"`)
	return before, quoted, found
}

// join writes fingerprints down in an order that does not change between runs of a tool.
func (f fingerprints) join(others fingerprints) string {
	if len(f) == 0 && len(others) == 1 {
		return others[0]
	}
	all := slices.Concat(f, others)
	slices.Sort(all)
	return strings.Join(all, "\n")
}
