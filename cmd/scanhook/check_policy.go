package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/internal/config"
)

// used tells whether any repository uses a scanner. One that lists none takes all reports that are uploaded.
func (i inspection) used(scanner string) bool {
	return slices.ContainsFunc(i.Repositories, func(r config.Repository) bool {
		return slices.Contains(r.Scanners, scanner) || len(r.Scanners) == 0 && i.Scanners[scanner].Upload
	})
}

func (i inspection) scanner(name string) line {
	subject, s := "scanner "+name, i.Scanners[name]
	switch {
	case !i.used(name):
		return line{verdictOff, subject, "no repository uses it"}
	case s.Builtin != "":
		return line{verdictOK, subject, "built in"}
	case s.Upload && !i.mayUpload():
		return line{verdictWarn, subject, "no report can be uploaded; set api.tokens with the role scanner"}
	case s.Upload:
		return line{verdictOK, subject, "reports are uploaded, with scanhook upload or the API"}
	}
	program, err := exec.LookPath(s.Command[0])
	if err != nil {
		return line{verdictFail, subject, fmt.Sprintf("%v; install it where Scanhook runs, or mend scanners.%s.command",
			err, name)}
	}
	return line{verdictOK, subject, program}
}

func (i inspection) mayUpload() bool {
	return slices.ContainsFunc(i.API.Tokens, func(t config.Token) bool { return t.Role != config.RoleViewer })
}

func (i inspection) repositories() []line {
	if len(i.Repositories) == 0 {
		return []line{{verdictWarn, "repositories", `none: every push is ignored; write - match: "**" to scan all`}}
	}
	lines := make([]line, len(i.Repositories))
	for n, r := range i.Repositories {
		lines[n] = line{verdictOK, "repository " + r.Match, describe(r.Policy)}
	}
	return lines
}

// describe says in words what is done with a repository's pushes.
func describe(p config.Policy) string {
	parts := []string{"branches " + strings.Join(p.Branches, ", ")}
	if len(p.Tags) > 0 {
		parts = append(parts, "tags "+strings.Join(p.Tags, ", "))
	}
	scanners := "waits for uploads"
	if len(p.Scanners) > 0 {
		scanners = "scanned by " + strings.Join(p.Scanners, ", ")
	}
	return strings.Join(append(parts, scanners, describeGate(p.Gate), "status "+p.Context), "; ")
}

func describeGate(gate config.Gate) string {
	if gate.FailOn == config.Never {
		return "never red"
	}
	findings := "finding"
	if gate.NewOnly {
		findings = "new finding"
	}
	return "red for a " + findings + " that is " + gate.FailOn + " or worse"
}
