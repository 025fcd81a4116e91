package export

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/scanhook/scanhook/core"
)

// CodeQuality is the report of a job's artifacts:reports:codequality.
var CodeQuality = Format{
	Name: "gl-codequality", MediaType: "application/json", Extension: ".json",
	Says: "GitLab's Code Quality report of the open findings", write: (*Export).writeCodeQuality,
}

// SAST is the report of a job's artifacts:reports:sast.
var SAST = Format{
	Name: "gl-sast", MediaType: "application/json", Extension: ".json",
	Says: "GitLab's SAST report, version " + sastVersion + ", of the open findings", write: (*Export).writeSAST,
}

// codeQuality is an entry of GitLab's Code Quality report. GitLab stops reading at the first entry that it does not accept,
// and folds entries of one fingerprint.
// https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
type codeQuality struct {
	Description string `json:"description"`
	CheckName   string `json:"check_name"`
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"` // info, minor, major, critical or blocker
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
		} `json:"lines"`
	} `json:"location"`
}

func (e *Export) writeCodeQuality(out *bufio.Writer) error {
	identities := make(identities)
	_, _ = out.WriteString("[")
	err := writeOpen(e, out, func(f core.Finding) any {
		entry := codeQuality{
			Description: oneLine(cmp.Or(f.Title, f.Message, f.RuleID)), CheckName: cmp.Or(f.RuleID, f.Tool, "unknown"),
			Fingerprint: identities.of(f), Severity: codeQualityLevel(f.Severity),
		}
		entry.Location.Path = placeOf(f)
		entry.Location.Lines.Begin = max(1, f.Line)
		return entry
	})
	_, _ = out.WriteString("]\n")
	return err
}

func codeQualityLevel(severity core.Severity) string {
	switch severity {
	case core.Critical:
		return "blocker"
	case core.High:
		return "critical"
	case core.Medium:
		return "major"
	}
	return "minor"
}

// sastVersion is that of the schema of GitLab's security reports. GitLab warns of an unknown patch and refuses other versions.
const sastVersion = "15.0.4"

// Limits of the schema, in characters.
const (
	maxName        = 255
	maxDescription = 1 << 20
)

// sastTime is the form of its times, which have no zone and are in UTC.
const sastTime = "2006-01-02T15:04:05"

type sastTool struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Version string     `json:"version"`
	Vendor  sastVendor `json:"vendor"`
}

type sastVendor struct {
	Name string `json:"name"`
}

type sastScan struct {
	Analyzer  sastTool      `json:"analyzer"`
	Scanner   sastTool      `json:"scanner"`
	StartTime string        `json:"start_time"`
	EndTime   string        `json:"end_time"`
	Status    string        `json:"status"` // success or failure
	Type      string        `json:"type"`
	Messages  []sastMessage `json:"messages,omitempty"`
}

type sastMessage struct {
	Level string `json:"level"`
	Value string `json:"value"`
}

type sastVulnerability struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Severity    core.Severity    `json:"severity"`
	Scanner     sastScanner      `json:"scanner"`
	Identifiers []sastIdentifier `json:"identifiers"`
	Links       []sastLink       `json:"links,omitempty"`
	Location    sastLocation     `json:"location"`
}

type sastScanner struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type sastIdentifier struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

type sastLink struct {
	URL string `json:"url"`
}

type sastLocation struct {
	File      string `json:"file,omitempty"`
	StartLine int    `json:"start_line,omitempty"`
	EndLine   int    `json:"end_line,omitempty"`
}

func (e *Export) writeSAST(out *bufio.Writer) error {
	head, err := json.Marshal(e.describeSAST())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `{"version":%q,"scan":%s,"vulnerabilities":[`, sastVersion, head)
	identities := make(identities)
	err = writeOpen(e, out, func(f core.Finding) any {
		tool := cmp.Or(f.Tool, "unknown")
		return sastVulnerability{
			ID:   uuid.NewSHA1(uuid.NameSpaceURL, []byte(identities.of(f))).String(),
			Name: core.Clip(oneLine(cmp.Or(f.Title, f.RuleID)), maxName), Description: core.Clip(f.Message, maxDescription),
			Severity: f.Severity, Scanner: sastScanner{ID: tool, Name: tool},
			Identifiers: identifiersOf(f), Links: linksOf(f), Location: sastPlace(f),
		}
	})
	_, _ = out.WriteString("]}\n")
	return err
}

// describeSAST tells of the scan. A scan in which a scanner failed is a failure, and says why.
func (e *Export) describeSAST() sastScan {
	us := sastTool{ID: "scanhook", Name: "Scanhook", Version: cmp.Or(e.Version, "unknown"), Vendor: sastVendor{Name: "Scanhook"}}
	scan := sastScan{Analyzer: us, Scanner: us, Status: "success", Type: "sast"}
	began, ended := e.scan.Timestamp, e.scan.Timestamp
	for _, job := range e.jobs {
		if job.StartedAt != nil && job.StartedAt.Before(began) {
			began = *job.StartedAt
		}
		if job.FinishedAt != nil && job.FinishedAt.After(ended) {
			ended = *job.FinishedAt
		}
		if job.State == core.JobFailed {
			scan.Status = "failure"
			scan.Messages = append(scan.Messages, sastMessage{"fatal", job.Scanner + ": " + cmp.Or(job.Error, "the scanner failed")})
		}
	}
	scan.StartTime, scan.EndTime = sastTimeOf(began), sastTimeOf(ended)
	return scan
}

func sastTimeOf(t time.Time) string { return t.UTC().Format(sastTime) }

// identifiersOf begins with the tool's rule, by which GitLab tells vulnerabilities apart.
func identifiersOf(f core.Finding) []sastIdentifier {
	rule := cmp.Or(f.RuleID, f.Title, "unknown")
	list := []sastIdentifier{{Type: "rule_id", Name: core.Clip(strings.TrimSpace(f.Tool+" "+rule), maxName), Value: core.Clip(rule, maxName)}}
	for id := range strings.FieldsSeq(cmp.Or(f.VulnerabilityIDs, f.CVEID)) {
		if kind, _, ok := strings.Cut(strings.ToLower(id), "-"); ok && (kind == "cve" || kind == "ghsa") {
			list = append(list, sastIdentifier{Type: kind, Name: id, Value: id})
		}
	}
	if number, ok := strings.CutPrefix(f.CWE, "CWE-"); ok && number != "" {
		list = append(list, sastIdentifier{Type: "cwe", Name: f.CWE, Value: number})
	}
	return list
}

// linksOf has only addresses that the schema accepts.
func linksOf(f core.Finding) []sastLink {
	address, err := url.Parse(f.HelpURI)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return nil
	}
	return []sastLink{{address.String()}}
}

func sastPlace(f core.Finding) sastLocation {
	place := sastLocation{File: f.File}
	if hasRegion(f) {
		place.StartLine, place.EndLine = f.Line, max(f.Line, f.EndLine)
	}
	return place
}

// placeOf is never empty, because GitLab reads no entry without a path.
func placeOf(f core.Finding) string { return cmp.Or(strings.TrimPrefix(f.File, "/"), ".") }

func oneLine(text string) string { return cmp.Or(core.Line(text), "unknown") }

// identities names findings so that GitLab knows them again in the next commit, wherever their lines went.
type identities map[string]int

// of tells equal findings of a scan apart by their order.
func (seen identities) of(f core.Finding) string {
	identity := fmt.Sprintf("scanhook alert %d", f.AlertID)
	if f.AlertID == 0 {
		identity = "scanhook " + f.Fingerprint
	}
	seen[identity]++
	if n := seen[identity]; n > 1 {
		identity = fmt.Sprintf("%s, %d", identity, n)
	}
	sum := sha256.Sum256([]byte(identity))
	return hex.EncodeToString(sum[:])
}

// writeOpen writes what is made of each open finding as an element of a JSON list.
func writeOpen(e *Export, out *bufio.Writer, make func(core.Finding) any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	separator := "\n"
	for finding, err := range e.open() {
		if err != nil {
			return err
		}
		_, _ = out.WriteString(separator)
		separator = ","
		if err := encoder.Encode(make(finding)); err != nil {
			return err
		}
	}
	return nil
}
