package reports

import "io"

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
