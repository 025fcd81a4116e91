package web

import (
	"github.com/scanhook/scanhook/core"
)

// advices say what can be done about what was not searched.
var advices = map[core.LeftOut]string{
	core.LeftSize:      "Keep large data out of the repository, or let a scanner of your own read it (scanners in the configuration).",
	core.LeftArchive:   "archives: true in the configuration has the built-in scanner open them, as far as they are neither too large nor too deep.",
	core.LeftEncoding:  "Store them as UTF-8.",
	core.LeftPointer:   "Git LFS keeps their contents outside of git: let CI scan them and upload the report.",
	core.LeftError:     "The scanner's own report or log says why.",
	core.LeftTime:      "The next scan goes on from there; scanners.NAME.timeout in the configuration gives it more time.",
	core.LeftSecrets:   "Take generated files out of the repository, or let the scanner allow their paths (rules of the scanner).",
	core.LeftHistory:   "The next scans go on with them, scan_history (in the configuration) at a time; scanhook scan --history searches them at once.",
	core.LeftFork:      "They look at the commit when it is pushed to the project itself; forks: all in the configuration lets them look at strangers' code.",
	core.LeftSubmodule: "Let their own pushes be scanned (repositories in the configuration).",
	core.LeftAllowed:   "The rules of the scanner say so.",
	core.LeftSkipped:   "Its ignore files or its command line say so.",
	core.LeftOutside:   "Who brought it said that the scanner looked at a part of the files only.",
}

// omission is what was not searched for one reason.
type omission struct {
	core.Omission
	Advice string
}

// Omissions are what was not searched, first what can hold code.
func (p scanPage) Omissions() (list []omission) {
	for _, code := range []bool{true, false} {
		for _, left := range p.Coverage.Left {
			if left.Reason.MayHoldCode() == code {
				list = append(list, omission{left, advices[left.Reason]})
			}
		}
	}
	return list
}

// past is where a finding in history came from.
type past struct {
	Commit string
	Link   string // to the commit on the platform, or empty
}

// pastOf is nil for a finding without a commit, which is in the tree.
func (p Platforms) pastOf(scan core.Scan, sha string) *past {
	if sha == "" {
		return nil
	}
	return &past{sha, p.commitLink(scan, sha)}
}
