// Package rules adds to the built-in rules for secrets what an administrator wrote: rules and allow lists in gitleaks' own
// format, and the short lists of the configuration. All mistakes are told at once.
package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zricethezav/gitleaks/v8/config"

	"github.com/scanhook/scanhook/internal/suggest"
)

// The keys of an extension by which problems are placed.
const (
	keyRules   = "rules"
	keyPaths   = "allow.paths"
	keyRegexes = "allow.regexes"
	keyAllowed = "allow.rules"
)

// Extension is what is added to rules.
type Extension struct {
	Name  string // of the file, for messages
	File  []byte // rules and allow lists as gitleaks reads them from TOML; empty for none
	Allow Allow
}

// Allow is what is not reported.
type Allow struct {
	Paths   []string // regular expressions; files whose path has a match are not searched
	Regexes []string // regular expressions; secrets that have a match are not reported
	Rules   []string // ids of rules that are not used
}

// IsEmpty tells whether an extension changes nothing.
func (e Extension) IsEmpty() bool {
	return len(e.File)+len(e.Allow.Paths)+len(e.Allow.Regexes)+len(e.Allow.Rules) == 0
}

// Problem is a mistake in an extension.
type Problem struct {
	Key  string // where: rules, or allow.paths[0]
	Text string // a sentence that continues the key
}

func (p Problem) String() string {
	if p.Key == keyRules {
		return p.Key + ": " + p.Text
	}
	return p.Key + " " + p.Text
}

// Problems are all mistakes in an extension.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, problem := range p {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// extender collects what an extension makes of rules, and its mistakes.
type extender struct {
	config   config.Config
	added    []config.Rule // without the allow lists of the extension
	problems Problems
}

func (e *extender) errorf(key, format string, args ...any) {
	e.problems = append(e.problems, Problem{key, fmt.Sprintf(format, args...)})
}

// Extend returns rules with an extension, and the rules that the extension brought, without its allow lists. What it is given
// stays as it is. Errors are Problems.
func Extend(base config.Config, by Extension) (extended config.Config, added []config.Rule, err error) {
	base.Rules, base.Keywords = maps.Clone(base.Rules), maps.Clone(base.Keywords)
	base.Allowlists = slices.Clone(base.Allowlists)
	e := &extender{config: base}
	if len(by.File) > 0 {
		e.addFile(by)
	}
	e.allow(by.Allow)
	e.checkRequired()
	if len(e.problems) > 0 {
		return config.Config{}, nil, e.problems
	}
	return e.config, e.added, nil
}

// put adds a rule, in place of the one with its id.
func (e *extender) put(rule config.Rule) {
	e.config.Rules[rule.RuleID] = rule
	for _, word := range rule.Keywords {
		e.config.Keywords[word] = struct{}{}
	}
}

func (e *extender) allow(lists Allow) {
	for key, n := range map[string]int{keyPaths: len(lists.Paths), keyRegexes: len(lists.Regexes), keyAllowed: len(lists.Rules)} {
		if n > maxEntries {
			e.errorf(key, "has %d entries, more than %d: join them", n, maxEntries)
			return
		}
	}
	list := &config.Allowlist{Description: "allow"}
	for i, pattern := range lists.Paths {
		list.Paths = e.appendPattern(list.Paths, fmt.Sprintf("%s[%d]", keyPaths, i), "", pattern)
	}
	for i, pattern := range lists.Regexes {
		list.Regexes = e.appendPattern(list.Regexes, fmt.Sprintf("%s[%d]", keyRegexes, i), "", pattern)
	}
	if len(list.Paths)+len(list.Regexes) > 0 {
		e.addAllowlist(keyPaths, list)
	}
	for i, id := range lists.Rules {
		e.disable(fmt.Sprintf("%s[%d]", keyAllowed, i), "", id)
	}
}

// addAllowlist adds a list for all rules.
func (e *extender) addAllowlist(key string, list *config.Allowlist) {
	if err := list.Validate(); err != nil {
		e.errorf(key, "has an allow list that %s", err)
		return
	}
	e.config.Allowlists = append(e.config.Allowlists, list)
}

// disable takes a rule out.
func (e *extender) disable(key, where, id string) {
	if _, known := e.config.Rules[id]; !known {
		e.errorf(key, "%snames the unknown rule %q%s", where, id, e.nearest(id))
		return
	}
	delete(e.config.Rules, id)
}

// nearest says which rule may be meant.
func (e *extender) nearest(id string) string {
	if meant := suggest.DidYouMean(id, slices.Sorted(maps.Keys(e.config.Rules))); meant != "" {
		return meant
	}
	return ": each finding shows the id of its rule"
}

// checkRequired wants all rules that others ask for to be there.
func (e *extender) checkRequired() {
	for _, id := range slices.Sorted(maps.Keys(e.config.Rules)) {
		for _, required := range e.config.Rules[id].RequiredRules {
			if _, known := e.config.Rules[required.RuleID]; !known {
				e.errorf(keyRules, "the rule %q requires the unknown rule %q%s", id, required.RuleID, e.nearest(required.RuleID))
			}
		}
	}
}

// ForMasking returns rules with added ones beside them, for those who mask secrets: an added rule takes no built-in one's place
// there, and neither its path nor what else it requires keeps it from finding anything.
func ForMasking(builtin config.Config, added []config.Rule) (all config.Config, beside []config.Rule) {
	builtin.Rules, builtin.Keywords = maps.Clone(builtin.Rules), maps.Clone(builtin.Keywords)
	e := &extender{config: builtin}
	for i, rule := range added {
		if rule.Regex == nil {
			continue
		}
		rule.RuleID = fmt.Sprintf("%s (%d)", rule.RuleID, i)
		rule.Path, rule.RequiredRules, rule.SkipReport = nil, nil, false
		e.put(rule)
		beside = append(beside, rule)
	}
	return e.config, beside
}
