package reports

import (
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// run reads one run of a SARIF log. Its results may stand before the rules, artifacts and directories that they refer
// to, so every result becomes a finding with loose ends (a draft), which finish ties up.
type run struct {
	*sarif
	drafts      pile[draft]
	driver      component
	extensions  []component
	artifacts   []wireArtifact
	bases       map[string]wireArtifact
	invocations []invocation
	result      wireResult // the one being read
	quick       quickResult
	scratch     core.Finding // the packed one being completed
	texts       arena
	references  map[reference]*reference // one copy of each: thousands of results refer to the same rule
}

func newRun(s *sarif) *run {
	r := &run{sarif: s, references: make(map[reference]*reference)}
	r.quick.texts = &r.texts
	return r
}

func (r *run) read() error {
	return r.object(members{
		"tool":                           r.readTool,
		"results":                        r.readResults,
		"artifacts":                      r.readArtifacts,
		"invocations":                    r.readInvocations,
		"originalUriBaseIds":             r.readBases,
		"externalPropertyFileReferences": r.readReferences,
	})
}

func (r *run) readResults() error {
	return r.array(func() error {
		r.report.Results++
		if r.report.Results > r.limits.MaxResults {
			return fmt.Errorf("%w: the report has more than %d results", core.ErrTooLarge, r.limits.MaxResults)
		}
		if err := r.readResult(); err != nil {
			return err
		}
		return r.add(&r.result)
	})
}

func (r *run) readResult() error {
	value, err := r.cursor.read()
	if err != nil || r.quick.read(value, &r.result) {
		return err
	}
	r.result = wireResult{}
	result := &r.result
	if err := r.unmarshal(value, &result); err != nil { // null makes result nil
		return err
	}
	if result == nil {
		return r.invalid("must be an object, not null")
	}
	return nil
}

func (r *run) readArtifacts() error {
	return r.array(func() error {
		var artifact struct {
			Location wireArtifact `json:"location"`
		}
		err := r.decode(&artifact)
		r.artifacts = append(r.artifacts, artifact.Location)
		return err
	})
}

func (r *run) readReferences() error {
	return r.object(members{"results": func() error {
		return r.array(func() error {
			r.fail("the results are in an external file, not in the report; let the scanner write a single file")
			return r.skip()
		})
	}})
}

// maxBases bounds what every file is compared with; tools write a handful.
const maxBases = 100

func (r *run) readBases() error {
	if err := r.decode(&r.bases); err != nil {
		return err
	}
	if len(r.bases) > maxBases {
		return fmt.Errorf("%w: %s: more than %d directories", core.ErrTooLarge, r.pointer(""), maxBases)
	}
	return nil
}

// finish ties up the loose ends of the run's findings.
func (r *run) finish() {
	r.judgeInvocations()
	rules := newRuleBook(r.driver, r.extensions)
	paths := r.newPaths()
	tool := clean(r.driver.name, r.limits.name())
	r.drafts.each(func(d *draft) {
		finding := d.finding
		if finding == nil {
			finding = &r.scratch
			r.report.Packed.Get(d.packed, finding)
		}
		finding.Tool = tool
		finding.File = paths.path(location{uri: finding.File, base: d.base, artifact: d.artifact})
		r.tie(finding, d, rules)
		if d.finding == nil {
			r.report.Packed.Put(d.packed, finding)
		}
	})
}

// tie fills in what a finding takes from its rule.
func (r *run) tie(finding *core.Finding, d *draft, rules *ruleBook) {
	rule := rules.find(d.rule)
	finding.Severity = r.severity(finding.Severity, d, rule, rules)
	if d.message != nil {
		finding.Message = r.message(d.message, rule)
	}
	describeBy(finding, rule)
	r.applyOwn(finding, d.own)
}

// applyOwn takes what our own exports say in addition.
func (r *run) applyOwn(finding *core.Finding, own *ownProperties) {
	if own == nil {
		return
	}
	if own.Title != nil {
		finding.Title = clean(*own.Title, r.limits.name())
	}
	if own.HelpURI != nil {
		finding.HelpURI = webAddress(*own.HelpURI, r.limits.name())
	}
	if own.CVEID != nil {
		finding.CVEID = cveIn(*own.CVEID)
	}
	if own.Snippet != nil {
		finding.Snippet = clean(*own.Snippet, r.limits.snippet())
	}
}
