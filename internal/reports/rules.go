package reports

import (
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// rule is what findings take from a rule's description.
type rule struct {
	id, guid, name    string
	title, text, help string
	cve, cwe          string
	severity          core.Severity // of its level; empty where it has none
	score             float64       // its security-severity
	scored            bool
	messages          map[string]wireMessage
}

// component is a driver or an extension of a tool (3.19).
type component struct {
	name, guid string
	rules      []rule
	messages   map[string]wireMessage
}

func (r *run) readTool() error {
	return r.object(members{
		"driver": func() error { return r.readComponent(&r.driver) },
		"extensions": func() error {
			return r.array(func() error {
				r.extensions = append(r.extensions, component{})
				return r.readComponent(&r.extensions[len(r.extensions)-1])
			})
		},
	})
}

func (r *run) readComponent(into *component) error {
	return r.object(members{
		"name":                 func() error { return r.decode(&into.name) },
		"guid":                 func() error { return r.decode(&into.guid) },
		"globalMessageStrings": func() error { return r.decode(&into.messages) },
		"rules": func() error {
			return r.array(func() error {
				rule, err := r.readRule()
				into.rules = append(into.rules, rule)
				return err
			})
		},
	})
}

func (r *run) readRule() (rule, error) {
	var wire wireRule
	if err := r.decode(&wire); err != nil {
		return rule{}, err
	}
	severity, err := r.level(wire.DefaultConfiguration.Level, "defaultConfiguration.level")
	bag := wire.Properties.value
	tags := words(bag.Tags)
	score, scored := scoreOf(bag.SecuritySeverity)
	title := strings.TrimSpace(first(wire.ShortDescription.Text, wire.Name))
	text := first(wire.ShortDescription.Text, wire.FullDescription.Text, wire.ShortDescription.Markdown, wire.Name)
	return rule{
		id:       clean(wire.ID, r.limits.name()),
		guid:     clip(wire.GUID, r.limits.name()),
		name:     clean(wire.Name, r.limits.name()),
		title:    clean(title, r.limits.name()),
		text:     clean(strings.TrimSpace(text), r.limits.message()),
		help:     webAddress(wire.HelpURI, r.limits.name()),
		cve:      first(cveIn(wire.ID, wire.Name), cveIn(tags...), cveIn(words(bag.CVE)...)),
		cwe:      first(cweOfRule(wire), cweIn(tags...), cweNamed(words(bag.CWE)...), cweIn(wire.ID, wire.Name), cweOfSecret(tags)),
		severity: severity,
		score:    score,
		scored:   scored,
		messages: wire.MessageStrings,
	}, err
}

func cweOfRule(wire wireRule) string {
	targets := make([]wireReference, 0, len(wire.Relationships))
	for _, relationship := range wire.Relationships {
		targets = append(targets, relationship.Target)
	}
	return cweOfTaxa(targets)
}

// cweOfSecret is the weakness of what is tagged as a secret, as Trivy does it.
func cweOfSecret(tags []string) string {
	for _, tag := range tags {
		switch strings.ToLower(tag) {
		case "secret", "secrets", "hardcoded-secret", "hardcoded-credentials":
			return secretInCode
		}
	}
	return ""
}

// cweOfTaxa finds a CWE id among taxa; those of the taxonomy CWE may be bare numbers.
func cweOfTaxa(taxa []wireReference) string {
	for _, taxon := range taxa {
		id := cweIn(taxon.ID)
		if strings.EqualFold(taxon.ToolComponent.Name, "CWE") {
			id = cweNamed(taxon.ID)
		}
		if id != "" {
			return id
		}
	}
	return ""
}

// webAddress lets only links pass that are safe to click on.
func webAddress(address string, limit int) string {
	parsed, err := url.Parse(strings.TrimSpace(address))
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || len(address) > limit {
		return ""
	}
	return parsed.String()
}

// describeBy fills in what the finding's rule says about all its findings.
func describeBy(finding *core.Finding, by *rule) {
	finding.RuleID = first(finding.RuleID, by.id)
	finding.Title = by.title
	finding.HelpURI = by.help
	finding.Message = first(finding.Message, by.text)
	finding.CVEID = first(cveIn(finding.RuleID), by.cve, finding.CVEID, cveIn(finding.Message))
	finding.CWE = first(finding.CWE, by.cwe, cweIn(finding.RuleID))
}
