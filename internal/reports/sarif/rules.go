package sarif

import (
	"cmp"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/jsonscan"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// tool is the tool of a run: a driver and its extensions (3.18).
type tool struct {
	driver     component
	extensions []component
}

// component is a driver or an extension of a tool (3.19).
type component struct {
	name, guid string
	rules      []rule
	messages   map[string]Message
}

// rule is what findings take from a rule's description.
type rule struct {
	id, guid, name    string
	title, text, help string
	cve, cwe, former  string
	severity          core.Severity // of its level; empty where it has none
	security          core.Severity // of its security-severity, likewise
	about             details.Help
	messages          map[string]Message
}

func (t *tool) read(c *collect.Collector) error {
	return c.Object(jsonscan.Members{
		"driver": func() error { return t.driver.read(c) },
		"extensions": func() error {
			return c.Array(func() error {
				t.extensions = append(t.extensions, component{})
				return t.extensions[len(t.extensions)-1].read(c)
			})
		},
	})
}

func (part *component) read(c *collect.Collector) error {
	return c.Object(jsonscan.Members{
		"name":                 func() error { return c.Decode(&part.name) },
		"guid":                 func() error { return c.Decode(&part.guid) },
		"globalMessageStrings": func() error { return c.Decode(&part.messages) },
		"rules": func() error {
			return c.Array(func() error {
				rule, err := readRule(c)
				part.rules = append(part.rules, rule)
				return err
			})
		},
	})
}

func readRule(c *collect.Collector) (rule, error) {
	var wire ReportingDescriptor
	if err := c.Decode(&wire); err != nil {
		return rule{}, err
	}
	severity, err := severityOf(c, wire.DefaultConfiguration.Level, "defaultConfiguration.level")
	bag, name := wire.Properties.Value, c.Limits.Name()
	security, _ := bag.Severity()
	title := strings.TrimSpace(cmp.Or(wire.ShortDescription.Text, wire.Name))
	text := cmp.Or(wire.ShortDescription.Text, wire.FullDescription.Text, wire.ShortDescription.Markdown, wire.Name)
	return rule{
		id:       collect.Clean(wire.ID, name),
		guid:     core.Clip(wire.GUID, name),
		name:     collect.Clean(wire.Name, name),
		title:    collect.Clean(title, name),
		text:     collect.Clean(strings.TrimSpace(text), c.Limits.Message()),
		help:     collect.WebAddress(wire.HelpURI, name),
		cve:      cveOfRule(wire, bag),
		cwe:      cweOfRule(wire, bag),
		former:   collect.Clean(strings.Join(wire.DeprecatedIDs.Value, " "), name),
		severity: severity,
		security: security,
		about:    helpOf(&wire, title),
		messages: wire.MessageStrings,
	}, err
}

// helpOf is what a rule is about, where that is more than its title.
func helpOf(wire *ReportingDescriptor, title string) details.Help {
	text := wire.Help.Value
	if text.anyText() == "" {
		text = wire.FullDescription
	}
	if markdown := storable(text.Markdown, details.MaxHelp); markdown != "" {
		return details.Help{Markdown: markdown}
	}
	if plain := storable(text.Text, details.MaxHelp); plain != title {
		return details.Help{Text: plain}
	}
	return details.Help{}
}

func cveOfRule(wire ReportingDescriptor, bag PropertyBag) string {
	return cmp.Or(
		collect.CVE(wire.ID, wire.Name),
		collect.CVE(collect.Texts(bag.Tags)...),
		collect.CVE(collect.Texts(bag.CVE)...),
	)
}

func cweOfRule(wire ReportingDescriptor, bag PropertyBag) string {
	targets := make([]ReportingDescriptorReference, 0, len(wire.Relationships))
	for _, relationship := range wire.Relationships {
		targets = append(targets, relationship.Target)
	}
	tags := collect.Texts(bag.Tags)
	return cmp.Or(
		cweOfTaxa(targets),
		collect.CWE(tags...),
		collect.CWENamed(collect.Texts(bag.CWE)...),
		collect.CWE(wire.ID, wire.Name),
		cweOfSecret(tags),
	)
}

// cweOfTaxa finds a CWE id among taxa; those of the taxonomy CWE may be bare numbers.
func cweOfTaxa(taxa []ReportingDescriptorReference) string {
	for _, taxon := range taxa {
		id := collect.CWE(taxon.ID)
		if strings.EqualFold(taxon.ToolComponent.Name, "CWE") {
			id = collect.CWENamed(taxon.ID)
		}
		if id != "" {
			return id
		}
	}
	return ""
}

// cweOfSecret is the weakness of what is tagged as a secret, as Trivy does it.
func cweOfSecret(tags []string) string {
	for _, tag := range tags {
		switch strings.ToLower(tag) {
		case "secret", "secrets", "hardcoded-secret", "hardcoded-credentials":
			return collect.SecretInCode
		}
	}
	return ""
}

// lookUp finds the text of a message in the rule, then in the tool (3.11.7).
func (t *tool) lookUp(wanted *Message, by *rule) string {
	candidates := []map[string]Message{by.messages, t.driver.messages}
	for _, extension := range t.extensions {
		candidates = append(candidates, extension.messages)
	}
	for _, messages := range candidates {
		found := messages[wanted.ID]
		if text := found.anyText(); text != "" {
			return text
		}
	}
	return wanted.Markdown
}

// reference is how a result names its rule: by any of index, id and guid, in a component of the tool.
type reference struct {
	id, guid      string
	index         int32 // in the component's rules; -1 is none
	component     int32 // index of the extension; -1 is none
	componentName string
	componentGUID string
}

func referenceTo(wire ReportingDescriptorReference) reference {
	return reference{
		id:            wire.ID,
		guid:          wire.GUID,
		index:         toIndex(wire.Index),
		component:     toIndex(wire.ToolComponent.Index),
		componentName: wire.ToolComponent.Name,
		componentGUID: wire.ToolComponent.GUID,
	}
}

// ruleBook finds the rules of a run.
type ruleBook struct {
	tool
	byName map[string]*rule // by id and by guid
	found  map[reference]*rule
}

func newRuleBook(t tool) *ruleBook {
	book := &ruleBook{tool: t, byName: make(map[string]*rule), found: make(map[reference]*rule)}
	book.register(t.driver)
	for _, extension := range t.extensions {
		book.register(extension)
	}
	return book
}

// register keeps the first rule of a name, so that the driver's come before those of extensions.
func (b *ruleBook) register(c component) {
	for i := range c.rules {
		for _, name := range []string{c.rules[i].id, c.rules[i].guid} {
			if name != "" && b.byName[name] == nil {
				b.byName[name] = &c.rules[i]
			}
		}
	}
}

// find returns the rule, an empty one where the report does not describe it. It is the same pointer for the same rule.
func (b *ruleBook) find(wanted *reference) *rule {
	found := b.found[*wanted]
	if found == nil {
		found = b.search(wanted)
		b.found[*wanted] = found
	}
	return found
}

// search trusts an index unless the id belongs to another rule, because some tools count wrongly.
func (b *ruleBook) search(wanted *reference) *rule {
	var indexed *rule
	if rules := b.component(wanted).rules; wanted.index >= 0 && int(wanted.index) < len(rules) {
		indexed = &rules[wanted.index]
	}
	if indexed != nil && (wanted.id == "" || wanted.id == indexed.id) {
		return indexed
	}
	if named := b.named(wanted.id); named != nil && (indexed == nil || !isBelow(wanted.id, indexed.id)) {
		return named
	}
	if indexed != nil {
		return indexed
	}
	if rule := b.byName[wanted.guid]; rule != nil {
		return rule
	}
	return &rule{}
}

func (b *ruleBook) component(wanted *reference) component {
	if wanted.component >= 0 && int(wanted.component) < len(b.extensions) {
		return b.extensions[wanted.component]
	}
	for _, extension := range b.extensions {
		sameGUID := wanted.componentGUID != "" && wanted.componentGUID == extension.guid
		if sameGUID || wanted.componentName != "" && wanted.componentName == extension.name {
			return extension
		}
	}
	return b.driver
}

// named looks a rule up by its id; A/b/c is a variant of A/b and that of A (3.5.4).
func (b *ruleBook) named(id string) *rule {
	for id != "" {
		if rule := b.byName[id]; rule != nil {
			return rule
		}
		id = id[:max(strings.LastIndexByte(id, '/'), 0)]
	}
	return nil
}

func isBelow(id, parent string) bool { return parent != "" && strings.HasPrefix(id, parent+"/") }
