package match

import (
	"maps"
	"slices"
)

// Evidence is why a finding counts as an earlier one. It is stored with the finding.
type Evidence string

// The kinds of evidence, the strongest first.
const (
	ByFingerprint Evidence = "fingerprint" // that an older version of Scanhook stored
	ByAdvisory    Evidence = "advisory"
	ByPlace       Evidence = "place"
	ByLine        Evidence = "line"
	BySecret      Evidence = "secret"
	ByCode        Evidence = "code"
	ByTool        Evidence = "tool"
	ByMessage     Evidence = "message"
	ByRename      Evidence = "renamed"
	ByContext     Evidence = "context"
	ByCommit      Evidence = "commit"
	ByHistory     Evidence = "history"
	ByEdit        Evidence = "edited"
	ByAlert       Evidence = "alert"
	ByKeeping     Evidence = "kept"
)

// meanings complete "known by the ".
var meanings = map[Evidence]string{
	ByFingerprint: "fingerprint of an earlier version",
	ByAdvisory:    "same vulnerability, package and manifest",
	ByPlace:       "same place in an unchanged file",
	ByLine:        "same line by git's diff",
	BySecret:      "same secret",
	ByCode:        "same code",
	ByTool:        "same tool fingerprint",
	ByMessage:     "same message in the same file",
	ByRename:      "same code in a renamed file",
	ByContext:     "same code between the same lines",
	ByCommit:      "same code in the same commit",
	ByHistory:     "same code in history",
	ByEdit:        "same expression in an edited line",
	ByAlert:       "same alert at the commit that it left from",
	ByKeeping:     "earlier scan: its file was not searched",
}

// Meaning says the evidence for people; it is empty where there is none.
func (e Evidence) Meaning() string { return meanings[e] }

// Evidences lists all kinds, in the order of the alphabet.
func Evidences() []Evidence { return slices.Sorted(maps.Keys(meanings)) }
