package reports

import (
	"strings"

	"github.com/scanhook/scanhook/core"
)

// trivy reads the JSON of Trivy: an object with Results (schema 2), the bare list of results that came before it, or
// the resources of a Kubernetes cluster with the results of each.
type trivy struct {
	*collector
	owner string // the cluster's resource that results belong to, or empty
}

// trivyTarget is what a result is about.
type trivyTarget struct {
	name, class string
	unplaced    []*core.Finding // their place hangs on name and class, which may come later
}

func looksLikeTrivy(seen shape) bool {
	switch {
	case seen.array:
		return seen.has("Target") && seen.hasAny("Vulnerabilities", "Type", "Class", "Misconfigurations")
	case seen.has("ClusterName"):
		return seen.hasAny("Resources", "Findings", "Vulnerabilities", "Misconfigurations") || len(seen.keys) == 1
	}
	return seen.has("SchemaVersion") && seen.hasAny("ArtifactName", "ArtifactType", "Results") ||
		seen.has("Results", "ArtifactName") || seen.member("Results").array && seen.member("Results").has("Target")
}

func parseTrivy(c *cursor) (core.Report, error) {
	t := &trivy{collector: &collector{cursor: c}}
	first, err := t.begins()
	resources := func() error { return t.array(t.readResource) }
	switch {
	case err != nil:
	case first == '[':
		t.at++
		err = t.elements(t.readResult)
	default:
		err = t.object(members{
			"Results":           func() error { return t.array(t.readResult) },
			"Resources":         resources,
			"Findings":          resources,
			"Vulnerabilities":   resources,
			"Misconfigurations": resources,
		})
	}
	return t.finish("trivy"), err
}

func (t *trivy) readResource() error {
	var namespace, kind, name, failure string
	t.owner = ""
	return t.object(members{
		"Namespace": t.text(&namespace),
		"Kind":      t.text(&kind),
		"Name":      t.text(&name),
		"Error": func() error {
			err := t.text(&failure)()
			t.fail("trivy: " + kind + " " + name + ": " + failure)
			return err
		},
		"Results": func() error {
			t.owner = strings.Trim(namespace+"/"+kind+"/"+name, "/")
			return t.array(t.readResult)
		},
	})
}

func (t *trivy) readResult() error {
	var target trivyTarget
	kind := func(toFinding func(*trivyFinding) core.Finding) func() error {
		return func() error {
			return results(t.collector, func(wire *trivyFinding) { t.keep(&target, wire, toFinding(wire)) })
		}
	}
	err := t.object(members{
		"Target":                       t.text(&target.name),
		"Class":                        t.text(&target.class),
		"Vulnerabilities":              kind(t.vulnerability),
		"Misconfigurations":            kind(t.misconfiguration),
		"Secrets":                      kind(t.secret),
		"Licenses":                     kind(t.license),
		"ExperimentalModifiedFindings": func() error { return t.readModified(&target) },
	})
	t.settle(target)
	return err
}

// readModified reads the findings that a VEX document or an ignore file takes out of the lists.
func (t *trivy) readModified(target *trivyTarget) error {
	kinds := map[string]func(*trivyFinding) core.Finding{
		"vulnerability":    t.vulnerability,
		"misconfiguration": t.misconfiguration,
		"secret":           t.secret,
		"license":          t.license,
	}
	return results(t.collector, func(wire *trivyModified) {
		toFinding := kinds[wire.Type]
		if toFinding == nil {
			t.leaveOut()
			return
		}
		f := toFinding(&wire.Finding)
		f.Suppressed = because(strings.Trim(wire.Status+": "+wire.Statement, ": "))
		t.keep(target, &wire.Finding, f)
	})
}

// keep leaves out the checks that passed. Vulnerabilities have a status too, but of their fix.
func (t *trivy) keep(target *trivyTarget, wire *trivyFinding, f core.Finding) {
	if wire.Status == "PASS" || wire.Status == "EXCEPTION" {
		t.leaveOut()
		return
	}
	if t.owner != "" {
		f.Message = t.withAdvice(f.Message, "In "+t.owner+".")
	}
	added := t.add(f)
	if added.File == "" {
		target.unplaced = append(target.unplaced, added)
	}
}

// settle places the findings that name no file themselves: in their target where that is one. An image goes into the
// title, because its name changes with every build and messages are a part of fingerprints.
func (t *trivy) settle(target trivyTarget) {
	image := target.class == "os-pkgs" || strings.Contains(target.name, " (")
	for _, f := range target.unplaced {
		switch {
		case image:
			f.Title = clean(f.Title+", in "+target.name, t.limits.name())
		case target.class != "license" && !isEcosystem(target.name):
			f.File = t.place(target.name)
		}
	}
}

// isEcosystem knows the names under which Trivy lists single packages that no lock file names.
func isEcosystem(target string) bool {
	switch target {
	case "Conda", "Java", "Kubernetes", "Node.js", "Python", "Ruby":
		return true
	}
	return false
}
