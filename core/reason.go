package core

import (
	"encoding/json"
	"strings"
)

// MaxDeciding is how many of the findings that decided a verdict are listed with it.
const MaxDeciding = 50

// DecidedBy names the rules of the gate that failed a scan, or all that it passed, in the configuration's words:
// "fail_on: high, new findings only".
func (g Gate) DecidedBy(tallies []Tally) string {
	var all, failed []string
	add := func(name string, alone Gate) {
		alone.NewOnly = g.NewOnly
		all = append(all, name)
		if alone.Judge(tallies) == Fail {
			failed = append(failed, name)
		}
	}
	add("fail_on: "+strings.ToLower(string(g.FailOn)), Gate{FailOn: g.FailOn})
	if g.EPSS > 0 {
		add("epss: "+short(g.EPSS), Gate{FailOn: Never, EPSS: g.EPSS})
	}
	if g.KEV {
		add("kev: true", Gate{FailOn: Never, KEV: true})
	}
	if len(failed) > 0 {
		all = failed
	}
	if g.NewOnly {
		all = append(all, "new findings only")
	}
	return strings.Join(all, ", ")
}

// PutDeciding keeps with the scan which of its findings decided the verdict, and how many there are in all.
func (s *Scan) PutDeciding(ids []int64, total int) {
	s.NumDeciding, s.Deciding = total, ""
	if len(ids) > 0 {
		list, _ := json.Marshal(ids) // numbers always have a JSON form
		s.Deciding = string(list)
	}
}

// DecidingIDs are the findings that decided the verdict, the gravest first, at most MaxDeciding.
func (s Scan) DecidingIDs() []int64 {
	ids := []int64{}
	_ = json.Unmarshal([]byte(s.Deciding), &ids) // as PutDeciding wrote it; empty for a verdict without
	return ids
}
