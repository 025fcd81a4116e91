package check

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/config"
)

func (c Check) scanner(name string) Line {
	subject, s := "scanner "+name, c.Scanners[name]
	switch {
	case !c.Uses(name):
		return Line{Off, subject, "no repository uses it"}
	case s.Upload && !c.Parts.Has(cli.API), !s.Upload && !c.Parts.Has(cli.Runner):
		return Line{Off, subject, "is for other processes"}
	case s.Builtin != "" && c.RulesFault != nil:
		return Line{Fail, subject, "its rules have mistakes, see above"}
	case s.Builtin != "":
		return Line{OK, subject, "built in, " + describeRules(c.Rules(name).General, s.SecretRules, s.Archives)}
	case s.Upload && !c.mayUpload():
		return Line{Warn, subject, "no report can be uploaded; set api.tokens with the role uploader"}
	case s.Upload:
		return Line{OK, subject, "reports are uploaded, with scanhook upload or the API" + awaited(s.Categories)}
	}
	program, err := exec.LookPath(s.Command[0])
	if err != nil {
		return Line{Fail, subject, fmt.Sprintf("%v; install it where Scanhook runs, or correct scanners.%s.command",
			err, name)}
	}
	return Line{OK, subject, program}
}

// awaited says for which reports of a scanner a scan waits, where that is not just one.
func awaited(categories []string) string {
	if len(categories) == 0 {
		return ""
	}
	return "; scans wait for those of " + strings.Join(categories, ", ")
}

// rules tells of the mistakes in the rules of built-in scanners.
func (c Check) rules() (lines []Line) {
	if c.RulesFault == nil {
		return nil
	}
	for mistake := range strings.SplitSeq(c.RulesFault.Error(), "\n") {
		lines = append(lines, Line{Fail, "rules", mistake})
	}
	return lines
}

// describeRules says by how many rules secrets are searched, and what the configuration has to do with it.
func describeRules(n int, own config.SecretRules, archives bool) string {
	parts := []string{fmt.Sprintf("%d rules", n)}
	if own.Rules != "" {
		parts[0] += " with those of " + own.Rules
	}
	for _, list := range []struct {
		n   int
		key string
	}{{len(own.Allow.Paths), "allow.paths"}, {len(own.Allow.Regexes), "allow.regexes"}, {len(own.Allow.Rules), "allow.rules"}} {
		if list.n > 0 { // what they say may be a secret
			parts = append(parts, fmt.Sprintf("%d in %s", list.n, list.key))
		}
	}
	if archives {
		parts = append(parts, "looks into archives")
	}
	return strings.Join(parts, ", ")
}

func (c Check) mayUpload() bool {
	return slices.ContainsFunc(c.API.Tokens, func(t config.Token) bool {
		return slices.Contains(access.RolesFor(access.Bring), access.Role(t.Role))
	})
}

func (c Check) repositories() []Line {
	if len(c.Repositories) == 0 {
		return []Line{{Warn, "repositories", `none: every push is ignored; write - match: "**" to scan all`}}
	}
	lines := make([]Line, len(c.Repositories))
	for n, r := range c.Repositories {
		lines[n] = Line{OK, "repository " + r.Match, describe(r.Policy) + c.ownRules(n)}
	}
	return lines
}

// ownRules says by what an entry of the repositories is searched, where that is not as for all.
func (c Check) ownRules(entry int) (text string) {
	r := c.Repositories[entry]
	for _, name := range r.Scanners {
		rules := c.Rules(name)
		if c.RulesFault == nil && c.Scanners[name].Builtin != "" && (rules.Entries[entry] != rules.General || r.Archives || !r.Gitleaks.IsEmpty()) {
			text += fmt.Sprintf("; %s: %s", name, describeRules(rules.Entries[entry], r.Gitleaks, r.Archives))
		}
	}
	return text
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
	unsearched := gate.Coverage == "fail"
	if gate.FailOn == config.Never {
		if unsearched {
			return "red where code was not searched"
		}
		return "never red"
	}
	findings := "finding"
	if gate.NewOnly {
		findings = "new finding"
	}
	red := "red for a " + findings + " that is " + gate.FailOn + " or worse"
	if unsearched {
		red += ", and where code was not searched"
	}
	if gate.Unresolved == "fail" {
		red += ", and on the default branch until that is resolved"
	}
	return red
}
