package rules

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/zricethezav/gitleaks/v8/config"

	"github.com/scanhook/scanhook/core"
)

const (
	MaxFile = 1 << 20 // bytes of a file of rules

	maxRules   = 1000   // of a file
	maxEntries = 10_000 // of a list
	maxEntropy = 8      // bits a byte
)

// file is a file of rules. Keys that have no effect are read all the same: files of gitleaks have them.
type file struct {
	Title       string
	Description string
	MinVersion  string
	Extend      struct {
		UseDefault    bool
		Path, URL     string
		DisabledRules []string
	}
	Rules      []fileRule
	Allowlist  *fileAllowlist // how gitleaks wrote it before 8.25
	Allowlists []fileAllowlist
}

type fileRule struct {
	ID          string
	Description string
	Path        string
	Regex       string
	SecretGroup int
	Entropy     float64
	Keywords    []string
	Tags        []string
	Allowlist   *fileAllowlist
	Allowlists  []fileAllowlist
	Required    []fileRequired
	SkipReport  bool
}

// fileRequired is a rule that must find something near by.
type fileRequired struct {
	ID            string
	WithinLines   *int
	WithinColumns *int
}

type fileAllowlist struct {
	Description string
	TargetRules []string // in lists for all rules only
	Condition   string
	Commits     []string
	Paths       []string
	RegexTarget string
	Regexes     []string
	StopWords   []string
}

// addFile adds the rules and allow lists of a file.
func (e *extender) addFile(by Extension) {
	read, ok := e.parse(by)
	if !ok {
		return
	}
	if read.Extend.Path != "" || read.Extend.URL != "" {
		e.errorf(keyRules, "%s: extend.path and extend.url are not followed: write all rules into one file", by.Name)
	}
	if len(read.Rules) > maxRules {
		e.errorf(keyRules, "%s: has %d rules, more than %d", by.Name, len(read.Rules), maxRules)
		return
	}
	for _, id := range read.Extend.DisabledRules {
		e.disable(keyRules, by.Name+": extend.disabledRules ", id)
	}
	seen := map[string]bool{}
	for i, rule := range read.Rules {
		where := fmt.Sprintf("%s: rule %d (%q): ", by.Name, i+1, core.Clip(core.Printable(rule.ID), 50))
		if rule.ID != "" && seen[rule.ID] {
			e.errorf(keyRules, "%shas an id that another rule of the file has", where)
			continue
		}
		seen[rule.ID] = true
		e.addRule(where, rule)
	}
	for i, list := range withFormer(read.Allowlists, read.Allowlist) {
		e.addFileAllowlist(fmt.Sprintf("%s: allow list %d: ", by.Name, i+1), list)
	}
}

// parse reads a file strictly: what is written in a wrong place would be without effect.
func (e *extender) parse(by Extension) (read file, ok bool) {
	if len(by.File) > MaxFile {
		e.errorf(keyRules, "%s: is larger than %d MiB", by.Name, MaxFile>>20)
		return file{}, false
	}
	err := toml.NewDecoder(bytes.NewReader(by.File)).DisallowUnknownFields().Decode(&read)
	unknown, broken := new(toml.StrictMissingError), new(toml.DecodeError)
	switch {
	case errors.As(err, &unknown):
		for _, field := range unknown.Errors {
			line, _ := field.Position()
			e.errorf(keyRules, "%s:%d: %s is no key of gitleaks' rules", by.Name, line, strings.Join(field.Key(), "."))
		}
	case errors.As(err, &broken):
		line, column := broken.Position()
		e.errorf(keyRules, "%s:%d:%d: cannot be read as TOML: %s", by.Name, line, column, strings.TrimPrefix(broken.Error(), "toml: "))
	case err != nil:
		e.errorf(keyRules, "%s: cannot be read as TOML: %s", by.Name, strings.TrimPrefix(err.Error(), "toml: "))
	}
	return read, err == nil
}

// withFormer are all lists, the one that is written in the former way too.
func withFormer(lists []fileAllowlist, former *fileAllowlist) []fileAllowlist {
	if former == nil {
		return lists
	}
	return append(slices.Clip(lists), *former)
}

var ruleID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}$`)

// addRule adds a rule. One that finds nothing by itself amends the rule that has its id; any other takes its place.
func (e *extender) addRule(where string, from fileRule) {
	base, known := e.config.Rules[from.ID]
	if !ruleID.MatchString(from.ID) {
		e.errorf(keyRules, "%sneeds an id of up to 100 letters, digits, - and _", where)
		return
	}
	rule := config.Rule{
		RuleID: from.ID, Tags: from.Tags, SecretGroup: from.SecretGroup, Entropy: from.Entropy, SkipReport: from.SkipReport,
		Description: core.Clip(core.Printable(from.Description), 500),
	}
	switch {
	case from.Regex != "" || from.Path != "":
	case known:
		rule.Regex, rule.Path, rule.Keywords, rule.Allowlists = base.Regex, base.Path, base.Keywords, slices.Clip(base.Allowlists)
		rule.RequiredRules = base.RequiredRules
		inherit(&rule, base)
	default:
		e.errorf(keyRules, "%shas neither regex nor path, and there is no rule of that id to amend%s", where, e.nearest(from.ID))
		return
	}
	if rule.Description == "" {
		rule.Description = "Found a secret by the rule " + from.ID + "."
	}
	before := len(e.problems)
	e.fillRule(where, from, &rule)
	if len(e.problems) > before {
		return
	}
	if err := rule.Validate(); err != nil {
		e.errorf(keyRules, "%s%s", where, err)
		return
	}
	e.put(rule)
	rule.Allowlists = nil
	if from.Regex == "" && from.Path == "" {
		rule.Allowlists = base.Allowlists
	}
	e.added = append(e.added, rule)
}

// inherit gives a rule what it leaves open.
func inherit(rule *config.Rule, base config.Rule) {
	if rule.Description == "" {
		rule.Description = base.Description
	}
	if rule.Entropy == 0 {
		rule.Entropy = base.Entropy
	}
	if rule.SecretGroup == 0 {
		rule.SecretGroup = base.SecretGroup
	}
}

// fillRule sets what has to be checked.
func (e *extender) fillRule(where string, from fileRule, rule *config.Rule) {
	if from.Regex != "" {
		rule.Regex = e.pattern(keyRules, where+"regex ", from.Regex)
	}
	if from.Path != "" {
		rule.Path = e.pattern(keyRules, where+"path ", from.Path)
	}
	if from.Entropy < 0 || from.Entropy > maxEntropy {
		e.errorf(keyRules, "%sentropy must be from 0 to %d", where, maxEntropy)
	}
	if from.SecretGroup < 0 {
		e.errorf(keyRules, "%ssecretGroup must be 0 or the number of a group", where)
	}
	for _, word := range from.Keywords {
		if word == "" || len(word) > maxPattern {
			e.errorf(keyRules, "%skeywords must be words of 1 to %d bytes", where, maxPattern)
			continue
		}
		rule.Keywords = append(slices.Clip(rule.Keywords), strings.ToLower(word))
	}
	for _, required := range from.Required {
		rule.RequiredRules = append(slices.Clip(rule.RequiredRules),
			&config.Required{RuleID: required.ID, WithinLines: required.WithinLines, WithinColumns: required.WithinColumns})
	}
	for i, list := range withFormer(from.Allowlists, from.Allowlist) {
		at := fmt.Sprintf("%sallow list %d ", where, i+1)
		if len(list.TargetRules) > 0 {
			e.errorf(keyRules, "%shas targetRules, which are for the lists of the whole file", at)
		}
		if checked := e.allowlist(at, list); checked != nil {
			rule.Allowlists = append(rule.Allowlists, checked)
		}
	}
}

// addFileAllowlist adds a list for all rules, or for those that it names.
func (e *extender) addFileAllowlist(where string, from fileAllowlist) {
	list := e.allowlist(where, from)
	if list == nil {
		return
	}
	if len(from.TargetRules) == 0 {
		e.addAllowlist(keyRules, list)
	}
	for _, id := range from.TargetRules {
		rule, known := e.config.Rules[id]
		if !known {
			e.errorf(keyRules, "%stargetRules names the unknown rule %q%s", where, id, e.nearest(id))
			continue
		}
		rule.Allowlists = append(slices.Clip(rule.Allowlists), list)
		e.config.Rules[id] = rule
	}
}

// allowlist checks a list; nil if it has mistakes.
func (e *extender) allowlist(where string, from fileAllowlist) *config.Allowlist {
	before := len(e.problems)
	list := &config.Allowlist{Description: from.Description, StopWords: from.StopWords}
	switch strings.ToUpper(from.Condition) {
	case "", "OR", "||":
	case "AND", "&&":
		list.MatchCondition = config.AllowlistMatchAnd
	default:
		e.errorf(keyRules, `%scondition must be "or" or "and"`, where)
	}
	switch from.RegexTarget {
	case "", "secret":
	case "match", "line":
		list.RegexTarget = from.RegexTarget
	default:
		e.errorf(keyRules, `%sregexTarget must be "secret", "match" or "line"`, where)
	}
	if len(from.Commits) > 0 {
		e.errorf(keyRules, "%shas commits, which are not looked at: contents are searched once, whatever commit has them; "+
			"dismiss such findings, or allow paths or regexes", where)
	}
	if len(from.Paths)+len(from.Regexes)+len(from.StopWords) > maxEntries {
		e.errorf(keyRules, "%shas more than %d entries", where, maxEntries)
		return nil
	}
	for _, pattern := range from.Paths {
		list.Paths = e.appendPattern(list.Paths, keyRules, where+"paths ", pattern)
	}
	for _, pattern := range from.Regexes {
		list.Regexes = e.appendPattern(list.Regexes, keyRules, where+"regexes ", pattern)
	}
	if slices.Contains(from.StopWords, "") {
		e.errorf(keyRules, "%shas an empty stop word, which every secret holds", where)
	}
	if len(e.problems) > before {
		return nil
	}
	if err := list.Validate(); err != nil {
		e.errorf(keyRules, "%s%s", where, err)
		return nil
	}
	return list
}
