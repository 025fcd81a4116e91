package epss

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/scanhook/scanhook/core"
)

// catalog is CISA's JSON. Its count is not read: editions exist in which it is wrong.
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

// jsonError tells the line of what encoding/json tells the byte of.
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
