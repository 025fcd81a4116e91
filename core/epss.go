package core

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Score says how probable the exploitation of a vulnerability is. Its db tags are the columns of the table epss_data.
type Score struct {
	CVEID       string  `db:"cve_id"`      // CVE-2024-3094
	Probability float64 `db:"probability"` // 0–1, of being exploited within 30 days (EPSS); 0 where EPSS has no score
	Percentile  float64 `db:"percentile"`  // 0–1, share of vulnerabilities with this probability or a lower one
	KEV         bool    `db:"kev"`         // in CISA's catalog of known exploited vulnerabilities
}

// FeedKind names a list of vulnerabilities that is imported.
type FeedKind string

// The two lists.
const (
	FeedEPSS FeedKind = "epss" // the daily scores of https://www.first.org/epss
	FeedKEV  FeedKind = "kev"  // CISA's known exploited vulnerabilities
)

// Feed is one edition of a list, as its publisher distributes it.
type Feed struct {
	Kind    FeedKind
	Date    time.Time // the day of the scores, or of the catalog's release; zero where unknown
	Version string    // of the EPSS model or of the catalog, or empty
	Source  string    // file or address that it was read from
	ETag    string    // the server's tag of this edition, or empty
	Digest  string    // of its content, or empty
	Scores  []Score   // each CVE once; in a FeedKEV only the ids have a meaning
}

// FeedImport is an edition that was imported. Its db tags are the columns of the table epss_imports.
type FeedImport struct {
	ID         int64      `db:"id"`
	Kind       FeedKind   `db:"kind"`
	Source     string     `db:"source"`
	Date       *time.Time `db:"score_date"` // nil where unknown
	Version    string     `db:"model_version"`
	ETag       string     `db:"etag"`
	Digest     string     `db:"digest"`
	NumRows    int        `db:"num_rows"`
	ImportedAt time.Time  `db:"imported_at"`
	CheckedAt  time.Time  `db:"checked_at"` // when it was last known to be the current edition
}

// FeedChange counts the vulnerabilities that an import added, changed and removed.
type FeedChange struct{ Added, Changed, Removed int }

const (
	maxCVE       = 28 // CVE-2024- and 19 digits, as the CVE list allows
	cvePrefix    = "CVE-"
	cveYear      = 4
	minCVENumber = 4
)

// ParseCVE reads a CVE id in any case and returns it in capitals: CVE-2024-3094. ErrInvalid for anything else.
func ParseCVE(text string) (string, error) {
	id := text
	if len(id) <= maxCVE && !strings.HasPrefix(id, cvePrefix) {
		id = strings.ToUpper(id)
	}
	rest, ok := strings.CutPrefix(id, cvePrefix)
	year, number, dashed := strings.Cut(rest, "-")
	if !ok || !dashed || len(id) > maxCVE || len(year) != cveYear || len(number) < minCVENumber ||
		!isDigits(year) || !isDigits(number) {
		return "", fmt.Errorf("%w: %.40q is not a CVE id such as CVE-2024-3094", ErrInvalid, text)
	}
	return id, nil
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// numbered and listed begin the ids of known vulnerabilities: those of the first are followed by a number.
var (
	numbered = prefixes("CVE GO GMS PYSEC RUSTSEC RHSA RHBA RHEA ELSA ALAS ALAS2 ALAS2022 ALAS2023 MAL OSV NSWG EUVD PRISMA SONATYPE WS TEMP BIT HSEC CGA")
	listed   = prefixes("GHSA SNYK DSA DLA USN SUSE OPENSUSE")
)

func prefixes(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// bareID is an id behind which a tool may write the package.
var bareID = regexp.MustCompile(`^(CVE-\d{4}-\d{4,19}|GHSA(-[0-9A-Z]{4}){3})`)

// VulnerabilityID is the id of a known vulnerability in upper case, or empty for any other text. Snyk's ids of rules about resources
// and code look alike and are none.
func VulnerabilityID(text string) string {
	prefix, rest, found := strings.Cut(text, "-")
	if strings.HasPrefix(text, "npm:") {
		return strings.ToUpper(text)
	}
	if !found || rest == "" || len(prefix) > 10 {
		return ""
	}
	prefix = strings.ToUpper(prefix)
	if counted := numbered[prefix] && strings.IndexByte("0123456789", rest[0]) >= 0; !listed[prefix] && !counted {
		return ""
	}
	id := prefix + "-" + strings.ToUpper(rest)
	if strings.HasPrefix(id, "SNYK-CC-") || strings.HasPrefix(id, "SNYK-CODE-") || prefix == "CVE" && !bareID.MatchString(id) {
		return ""
	}
	return cmp.Or(bareID.FindString(id), id)
}

// AllIDs are the ids of a finding's vulnerability as reports state them, separated by spaces; empty where there are not several.
func (f Finding) AllIDs() string {
	if f.About.Aliases == "" {
		return ""
	}
	ids := strings.Fields(f.About.Aliases)
	for _, id := range []string{f.CVEID, VulnerabilityID(f.RuleID)} {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) < 2 {
		return ""
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// CVEsOf are the CVE ids among ids that are separated by spaces.
func CVEsOf(ids string) (list []string) {
	for id := range strings.FieldsSeq(ids) {
		if strings.HasPrefix(id, cvePrefix) {
			list = append(list, id)
		}
	}
	return list
}

// Riskiest is the one of a vulnerability's CVE ids by which it is judged: one that is known to be exploited, else the most probable.
// Where nothing tells them apart it stays the current one.
func Riskiest(current string, ids []string, known map[string]Score) string {
	best := current
	for _, id := range ids {
		is, was := known[id], known[best]
		if best == "" || is.KEV && !was.KEV || is.KEV == was.KEV && is.Probability > was.Probability {
			best = id
		}
	}
	return best
}
