package gitleaks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/regexp"
	"github.com/zricethezav/gitleaks/v8/report"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/rules"
)

// revision changes whenever the same rules find something else in the same contents.
const revision = 3

const (
	maxConditions = 64 // on paths: all that a class tells apart
	maxLevels     = 2  // of archives inside of each other
)

// Rules are the built-in rules, or those with extensions.
type Rules struct {
	Version  func() string // the same as long as the same contents have the same findings
	detector *detect.Detector
	paths    []func(path string) bool // the conditions on paths of files
	exempt   []*config.Allowlist      // those that leave out files, whatever is in them
	added    []config.Rule            // by extensions
	extended bool
	unpacks  bool // archives are opened, two levels deep and up to 10 MiB
	key      secrets.Key
}

// LoadRules returns the rules, which are loaded once in a process.
var LoadRules = sync.OnceValues(func() (*Rules, error) {
	detector, err := reports.SecretRules()
	if err != nil {
		return nil, err
	}
	return newRules(detector)
})

// Extend returns the rules with an extension. Errors are rules.Problems.
func (r *Rules) Extend(by rules.Extension) (*Rules, error) {
	extended, added, err := rules.Extend(r.detector.Config, by)
	if err != nil {
		return nil, err
	}
	result, err := newRules(reports.NewDetector(extended))
	if err != nil {
		return nil, rules.Problems{{Key: "rules", Text: fmt.Sprint(err)}}
	}
	result.added, result.extended = append(slices.Clip(r.added), added...), true
	if r.unpacks {
		result = result.WithArchives()
	}
	return result, nil
}

// WithArchives returns the rules for those who want archives opened, two levels deep and up to 10 MiB.
func (r *Rules) WithArchives() *Rules {
	opening := *r
	opening.unpacks = true
	opening.Version = func() string { return r.Version() + "-archives" }
	return &opening
}

// WithKey returns the rules with the key by which secrets are masked and told apart.
func (r *Rules) WithKey(key secrets.Key) *Rules {
	keyed := *r
	keyed.key = key
	keyed.Version = func() string { return r.Version() + "-" + key.ID() }
	return &keyed
}

// Count is the number of rules.
func (r *Rules) Count() int { return len(r.detector.Config.Rules) }

// MaskBy makes the whole process mask what the rules that are added find too, in reports, logs and code. What is allowed is
// masked all the same: a secret that nobody has to change is still not for everybody.
func MaskBy(all ...*Rules) error {
	builtin, err := reports.SecretRules()
	if err != nil {
		return err
	}
	var added []config.Rule
	for _, r := range all {
		added = append(added, r.added...)
	}
	reports.MaskBy(rules.ForMasking(builtin.Config, added))
	return nil
}

func newRules(detector *detect.Detector) (*Rules, error) {
	r := &Rules{detector: detector, Version: sync.OnceValue(func() string { return versionOf(detector) })}
	conditions := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(detector.Config.Rules)) {
		r.addPaths(conditions, detector.Config.Rules[id].Path, detector.Config.Rules[id].Allowlists)
	}
	for _, list := range detector.Config.Allowlists {
		if exempts(list) {
			r.exempt = append(r.exempt, list)
		} else {
			r.addPaths(conditions, nil, []*config.Allowlist{list})
		}
	}
	if len(r.paths) > maxConditions {
		return nil, fmt.Errorf("the rules have %d conditions on paths, more than the %d that can be told apart", len(r.paths), maxConditions)
	}
	return r, nil
}

func versionOf(detector *detect.Detector) string {
	sum := sha256.New()
	_, _ = fmt.Fprintln(sum, revision, detector.MaxDecodeDepth, regexp.Version) // a hash takes everything
	describe := func(lists []*config.Allowlist) {
		for _, list := range lists {
			_, _ = fmt.Fprintf(sum, "%q %q %q %q %v\n", list.Paths, list.Regexes, slices.Sorted(slices.Values(list.StopWords)),
				list.RegexTarget, list.MatchCondition)
		}
	}
	describe(detector.Config.Allowlists)
	for _, id := range slices.Sorted(maps.Keys(detector.Config.Rules)) {
		rule := detector.Config.Rules[id]
		_, _ = fmt.Fprintf(sum, "%q %q %v %v %v %d %q %v\n", id, rule.Description, rule.Regex, rule.Path, rule.Entropy, rule.SecretGroup,
			rule.Keywords, rule.SkipReport)
		for _, r := range rule.RequiredRules {
			_, _ = fmt.Fprintln(sum, r.RuleID, orNone(r.WithinLines), orNone(r.WithinColumns))
		}
		describe(rule.Allowlists)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

func orNone(distance *int) int {
	if distance == nil {
		return -1
	}
	return *distance
}

// addPaths collects the conditions on paths of a rule and of its allow lists, equal ones once.
func (r *Rules) addPaths(known map[string]bool, path *regexp.Regexp, lists []*config.Allowlist) {
	note := func(condition func(string) bool, patterns ...*regexp.Regexp) {
		if key := fmt.Sprintf("%q", patterns); !known[key] {
			known[key] = true
			r.paths = append(r.paths, condition)
		}
	}
	if path != nil {
		note(path.MatchString, path)
	}
	for _, list := range lists {
		if len(list.Paths) > 0 {
			note(list.PathAllowed, list.Paths...)
		}
	}
}

// exempts tells whether a list for all rules allows files by their path alone.
func exempts(list *config.Allowlist) bool {
	return list.MatchCondition != config.AllowlistMatchAnd || len(list.Regexes)+len(list.StopWords) == 0
}

// Allowed tells whether the rules exempt a path from all searches: images, fonts, lock files, vendored packages, and what the
// administrator allows.
func (r *Rules) Allowed(path string) bool {
	return slices.ContainsFunc(r.exempt, func(list *config.Allowlist) bool { return list.PathAllowed(path) })
}

// ClassOf is what the rules make of a path: which of their conditions it meets. The same contents have the same findings at
// all paths of a class.
func (r *Rules) ClassOf(path string) string {
	class := r.conditionsOf(path)
	if !r.unpacks {
		return class
	}
	// What was compressed as a whole is judged by the name that it had before.
	for range maxLevels {
		inner := withoutCompression(path)
		if inner == path {
			break
		}
		path = inner
		if class += "." + r.conditionsOf(path); r.Allowed(path) {
			class += "!"
		}
	}
	return class
}

// withoutCompression is the name that a file has before it is compressed: the same for a file whose name does not tell.
func withoutCompression(name string) string {
	switch ext := path.Ext(name); strings.ToLower(ext) {
	case ".gz", ".bz2":
		return strings.TrimSuffix(name, ext)
	}
	return name
}

func (r *Rules) conditionsOf(path string) string {
	met := uint64(0)
	for i, condition := range r.paths {
		if condition(path) {
			met |= 1 << i
		}
	}
	return strconv.FormatUint(met, 36)
}

func (r *Rules) detect(ctx context.Context, fragment sources.Fragment) []report.Finding {
	return r.detector.DetectContext(ctx, detect.Fragment(fragment)) //nolint:staticcheck // the only type it takes until v9
}
