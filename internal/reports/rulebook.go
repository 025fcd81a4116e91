package reports

import "strings"

// reference is how a result names its rule: by any of index, id and guid, in a component of the tool.
type reference struct {
	id, guid      string
	index         int32 // in the component's rules; -1 is none
	component     int32 // index of the extension; -1 is none
	componentName string
	componentGUID string
}

// reference returns the one copy of the result's reference. The properties ruleId and ruleIndex are shorthands for the
// same members of rule (3.27.5 to 3.27.7).
func (r *run) reference(result *wireResult) *reference {
	wanted := referenceTo(result.Rule)
	wanted.id = first(result.RuleID, wanted.id)
	if wanted.index < 0 {
		wanted.index = toIndex(result.RuleIndex)
	}
	if known := r.references[wanted]; known != nil {
		return known
	}
	first := wanted
	r.references[wanted] = &first
	return &first
}

func referenceTo(wire wireReference) reference {
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
	driver     component
	extensions []component
	byName     map[string]*rule // by id and by guid
	found      map[reference]*rule
}

func newRuleBook(driver component, extensions []component) *ruleBook {
	book := &ruleBook{
		driver:     driver,
		extensions: extensions,
		byName:     make(map[string]*rule),
		found:      make(map[reference]*rule),
	}
	book.register(driver)
	for _, extension := range extensions {
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

// search trusts an index unless the id belongs to another rule, for some tools count wrongly.
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
