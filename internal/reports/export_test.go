package reports

import (
	"encoding/json"
	"errors"
	"io"
)

// Claims names the formats that take a report for one of theirs.
func Claims(r io.Reader) ([]string, error) {
	_, seen, err := open(r, Limits{}.orDefaults())
	var names []string
	for _, format := range formats() {
		if err == nil && format.knows(seen) {
			names = append(names, format.name)
		}
	}
	return names, err
}

// Valid tells whether r holds one JSON value and nothing else, as reports are read.
func Valid(r io.Reader) error {
	s := stream{reader: r}
	if _, err := s.value(); err != nil {
		return err
	}
	if _, err := s.peek(); !errors.Is(err, io.EOF) {
		return errors.New("more than a value")
	}
	return nil
}

// BothWays reads a result quickly, if possible, and with encoding/json.
func BothWays(value []byte) (quickly, slowly any, possible bool, err error) {
	var fast, slow wireResult
	reader := quickResult{quick: quick{texts: new(arena)}}
	possible = reader.read([]byte(`{"locations":[{"physicalLocation":{"region":{"startLine":7}}}]}`), &fast) &&
		reader.read(value, &fast)
	err = json.Unmarshal(value, &slow)
	return fast, slow, possible, err
}
