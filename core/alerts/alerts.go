// Package alerts decides which findings are one alert: the same problem through all commits of a project, of which pages,
// comments and dismissals speak. A finding has the alert of the earlier one as which core/match recognises it, else the
// alert of its project with the same key, else a new one.
package alerts

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
)

// State tells where an alert stands in its project.
type State string

// The states. A finding that no branch or request has any more is fixed; one that is dismissed stays so.
const (
	Open      State = "open"
	Dismissed State = "dismissed"
	Fixed     State = "fixed"
)

// Alert is one problem through all commits of a project. Its db tags are the columns of the table alerts. What it says of a
// finding is as of the last one that differed.
type Alert struct {
	ID              int64         `db:"id"` // see IDOf
	ProjectID       int64         `db:"project_id"`
	Number          int           `db:"number"` // 1, 2, 3 … within the project
	Key             string        `db:"key"`    // see Key
	Tool            string        `db:"tool"`
	RuleID          string        `db:"rule_id"`
	Severity        core.Severity `db:"severity"`
	Title           string        `db:"title"`
	File            string        `db:"file"`
	Line            int           `db:"line"`
	State           State         `db:"state"`
	FirstSeen       time.Time     `db:"first_seen"`
	FirstSeenScanID int64         `db:"first_seen_scan_id"` // of a scan that may have been removed
	LastSeen        *time.Time    `db:"last_seen"`          // before it stopped being open somewhere; nil if it never did
	LastSeenScanID  *int64        `db:"last_seen_scan_id"`
	CVEID           string        `db:"cve_id"`  // by which it is judged, or empty
	Package         string        `db:"package"` // that is vulnerable, as a package URL where the report has that; or empty
	Author          string        `db:"author"`  // of the commit that brought it; empty where unknown
}

// maxWords is how many characters of a message can be searched.
const maxWords = 500

// PackageOf is the package that a finding is about, or empty.
func PackageOf(f *core.Finding) string { return core.Clip(core.Line(f.About.Package), maxPackage) }

// maxPackage is how many bytes of a package's name are kept.
const maxPackage = 200

// Words is what a search reads of a finding besides its title, file and rule.
func Words(f *core.Finding) string {
	message := []rune(f.Message[:min(len(f.Message), utf8.UTFMax*maxWords)])
	return string(message[:min(len(message), maxWords)]) + " " + f.VulnerabilityIDs + " " + f.CVEID + " " + f.CWE + " " + PackageOf(f)
}

// IDOf is the id of the alert with a number in its project: no index is needed to find one by the other, and ids keep the order of
// the numbers.
func IDOf(project int64, number int) int64 { return project<<numberBits + int64(number) }

const numberBits = 32

// ProjectOf is the project of the alert with an id.
func ProjectOf(alert int64) int64 { return alert >> numberBits }

// Name is what people call an alert: shop#17.
func Name(project string, number int) string { return fmt.Sprintf("%s#%d", path.Base(project), number) }

// Key is what makes two findings of a project one alert where core/match does not: their fingerprint, which contains the rule,
// and their tool, because several tools may number findings of one rule in one file in different orders. It is a digest, so that
// the index of all keys is small.
func Key(f *core.Finding) string { return KeyOf(f.Fingerprint, f.Tool) }

// KeyOf is the key of findings of a tool with a fingerprint.
func KeyOf(fingerprint, tool string) string {
	sum := sha256.Sum256([]byte(fingerprint + " " + tool))
	return base64.RawURLEncoding.EncodeToString(sum[:keySize])
}

const keySize = 12 // bytes

// StateOf is the state of the alert of findings like one. A branch can have its finding and not count it, as one that its scanner
// suppresses.
func StateOf(open, present bool, like core.Finding, decisions []core.TriageDecision) State {
	switch {
	case open:
		return Open
	case present, dismissed(like, decisions):
		return Dismissed
	}
	return Fixed
}

// dismissed tells whether decisions keep findings like one from counting.
func dismissed(like core.Finding, decisions []core.TriageDecision) bool {
	prevailing := core.PrevailingDecision(decisions)
	if prevailing == nil {
		return false
	}
	return core.FindingGroup{
		Severity: like.Severity, Risk: core.Risk{KEV: like.KEV}, Decision: prevailing.Decision,
		Accepted: prevailing.Decision == core.TruePositive && prevailing.Reason != "",
		OnlyAI: !slices.ContainsFunc(decisions, func(d core.TriageDecision) bool {
			return d.Decision == core.FalsePositive && d.Source != core.ByAI
		}),
	}.Dismissed()
}

// Sight is an alert in the last scan of a head, or in what is kept as open there.
type Sight struct {
	AlertID int64 `db:"alert_id"`
	Present bool  `db:"present"` // the scan has it
	Counts  bool  `db:"counts"`  // and it is not dismissed
	Open    bool  `db:"open"`    // it was open there until now
	State   State `db:"state"`   // of the alert until now
}

// Move is what changes about the open alerts of a head.
type Move struct {
	Came     []int64 // open here from now on
	Reopened []int64 // those of them that were not open anywhere
	Went     []Sight // not open here any more
}

// Compare tells what changes about a head, by the sights that differ.
func Compare(sights []Sight) (m Move) {
	for _, s := range sights {
		switch {
		case s.Counts && !s.Open:
			m.Came = append(m.Came, s.AlertID)
			if s.State != Open {
				m.Reopened = append(m.Reopened, s.AlertID)
			}
		case s.Open && !s.Counts:
			m.Went = append(m.Went, s)
		}
	}
	return m
}

// Day is how many alerts were open on a project's default branch when a day ended, by severity. Its db tags are the columns
// of the table project_days.
type Day struct {
	ProjectID int64  `db:"project_id"`
	Day       string `db:"day"` // 2006-01-02, in UTC
	Critical  int    `db:"critical"`
	High      int    `db:"high"`
	Medium    int    `db:"medium"`
	Low       int    `db:"low"`
}

// Open is how many alerts were open in all.
func (d Day) Open() int { return d.Critical + d.High + d.Medium + d.Low }

// DayOf counts a scan's findings that are not dismissed.
func DayOf(project int64, now time.Time, groups []core.FindingGroup) Day {
	day := Day{ProjectID: project, Day: now.UTC().Format(time.DateOnly)}
	for _, group := range groups {
		if group.Dismissed() {
			continue
		}
		switch group.Severity {
		case core.Critical:
			day.Critical += group.N
		case core.High:
			day.High += group.N
		case core.Medium:
			day.Medium += group.N
		default:
			day.Low += group.N
		}
	}
	return day
}
