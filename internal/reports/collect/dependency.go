package collect

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Dependency is a vulnerable package.
type Dependency struct{ Name, Version, URL string }

// maxIDs bounds how many ids of a vulnerability are kept, and maxID their bytes.
const (
	maxIDs = 8
	maxID  = 80
)

// About names the package, by its package URL where the report has that, and the ids that the vulnerability has in several lists.
func (d Dependency) About(ids ...string) core.About {
	return core.About{Package: cmp.Or(d.URL, d.Name), Aliases: Aliases(ids...)}
}

// Aliases joins the texts that are ids of known vulnerabilities.
func Aliases(texts ...string) string {
	var kept []string
	for _, text := range texts {
		if id := core.VulnerabilityID(strings.TrimSpace(text)); id != "" && len(id) <= maxID && len(kept) < maxIDs {
			kept = append(kept, id)
		}
	}
	return strings.Join(kept, " ")
}

// packages are the sentences in which tools name a vulnerable package: a package URL, and those of Trivy, Grype, OSV-Scanner and
// Snyk.
var packages = []*regexp.Regexp{
	regexp.MustCompile(`\b(pkg:[a-z]+/[^\s"'` + "`" + `)>,]+)`),
	regexp.MustCompile(`(?m)^Package: (\S+)$`),
	regexp.MustCompile(`\bpackage: (\S+), version\b`),
	regexp.MustCompile(`\b[Pp]ackage ['"` + "`" + `]([^\s'"` + "`" + `]+?)(?:@[^\s'"` + "`" + `@/]*)?['"` + "`" + `]`),
	regexp.MustCompile(`\bvulnerable (\S+) package\b`),
}

// PackageIn is the vulnerable package that a message names, or empty.
func PackageIn(message string) string {
	for _, sentence := range packages {
		if found := sentence.FindStringSubmatch(message); found != nil {
			return found[1]
		}
	}
	return ""
}

// String is the package as people write it: lodash@4.17.20.
func (d Dependency) String() string {
	if d.Version == "" {
		return d.Name
	}
	return d.Name + "@" + d.Version
}

// Title puts the package before what is wrong with it.
func (d Dependency) Title(what string) string {
	if d.Name == "" || strings.Contains(what, d.String()) {
		return what
	}
	return strings.TrimSuffix(d.String()+": "+what, ": ")
}

// FixedIn is the advice for a vulnerable package, empty where no fixed version is known.
func FixedIn(versions ...string) string {
	fixed := strings.Trim(strings.Join(versions, ", "), ", ")
	if fixed == "" {
		return ""
	}
	return "Fixed in " + fixed + "."
}
