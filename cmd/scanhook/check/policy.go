package check

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/internal/config"
)

// used reports whether any repository uses a scanner. One that lists none takes all reports that are uploaded.
func (c Check) used(scanner string) bool {
	return slices.ContainsFunc(c.Repositories, func(r config.Repository) bool {
		return slices.Contains(r.Scanners, scanner) || len(r.Scanners) == 0 && c.Scanners[scanner].Upload
	})
}

func (c Check) scanner(name string) Line {
	subject, s := "scanner "+name, c.Scanners[name]
	switch {
	case !c.used(name):
		return Line{Off, subject, "no repository uses it"}
	case s.Builtin != "":
		return Line{OK, subject, "built in"}
	case s.Upload && !c.mayUpload():
		return Line{Warn, subject, "no report can be uploaded; set api.tokens with the role scanner"}
	case s.Upload:
		return Line{OK, subject, "reports are uploaded, with scanhook upload or the API"}
	}
	program, err := exec.LookPath(s.Command[0])
	if err != nil {
		return Line{Fail, subject, fmt.Sprintf("%v; install it where Scanhook runs, or correct scanners.%s.command",
			err, name)}
	}
	return Line{OK, subject, program}
}

func (c Check) mayUpload() bool {
	return slices.ContainsFunc(c.API.Tokens, func(t config.Token) bool { return t.Role != config.RoleViewer })
}

func (c Check) repositories() []Line {
	if len(c.Repositories) == 0 {
		return []Line{{Warn, "repositories", `none: every push is ignored; write - match: "**" to scan all`}}
	}
	lines := make([]Line, len(c.Repositories))
	for n, r := range c.Repositories {
		lines[n] = Line{OK, "repository " + r.Match, describe(r.Policy)}
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
