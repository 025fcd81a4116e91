package sarif_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestParseSeverity(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		result string
		want   core.Severity
	}{
		"nothing stated":                 {``, core.Medium},
		"level":                          {`"level":"note"`, core.Low},
		"level before the rule's":        {`"level":"note","ruleId":"err"`, core.Low},
		"rule's level":                   {`"ruleId":"err"`, core.High},
		"rule's level, by index":         {`"ruleIndex":0`, core.High},
		"rule's level, of a variant":     {`"ruleId":"err/1/a"`, core.High},
		"rule's level, of an extension":  {`"rule":{"index":0,"toolComponent":{"index":0}}`, core.Low},
		"extension by name":              {`"rule":{"index":0,"toolComponent":{"name":"ext"}}`, core.Low},
		"extension by guid":              {`"rule":{"index":0,"toolComponent":{"guid":"g-ext"}}`, core.Low},
		"rule by guid":                   {`"rule":{"guid":"g-plug"}`, core.Low},
		"rule of an extension by its id": {`"ruleId":"plug"`, core.Low},
		"index out of range":             {`"ruleId":"err","ruleIndex":77`, core.High},
		"negative index":                 {`"ruleId":"err","ruleIndex":-1`, core.High},
		"index of another rule":          {`"ruleId":"err","ruleIndex":1`, core.High},
		"unknown rule":                   {`"ruleId":"what"`, core.Medium},
		"rule's score before level":      {`"ruleId":"scored","level":"note"`, core.Critical},
		"own score before all": {
			`"ruleId":"scored","level":"error","properties":{"security-severity":2}`,
			core.Low,
		},
		"own score as a string":         {`"properties":{"security-severity":" 7.0 "}`, core.High},
		"score that is no number":       {`"ruleId":"odd","level":"error"`, core.High},
		"score out of range":            {`"properties":{"security-severity":"11"}`, core.Medium},
		"score NaN":                     {`"properties":{"security-severity":"NaN"}`, core.Medium},
		"level of another tongue":       {`"level":"CRITICAL"`, core.Critical},
		"level none":                    {`"level":"none"`, core.Low},
		"not failed but with a level":   {`"kind":"review","level":"error"`, core.High},
		"properties as PHP writes them": {`"ruleId":"php","properties":[]`, core.Medium},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := reportstest.Only(t, result(test.result)).Severity; got != test.want {
				t.Errorf("want %s, got %s", test.want, got)
			}
		})
	}
}

func TestParseConfiguredLevel(t *testing.T) {
	t.Parallel()
	invocations := `"invocations":[{},{"ruleConfigurationOverrides":[
		{"descriptor":{"index":1},"configuration":{"level":"error"}},
		{"descriptor":{"id":"err"},"configuration":{"level":"note"}}]}]`
	report := reportstest.MustParse(t, reportstest.SARIF(`"results":[
		{"ruleId":"err","provenance":{"invocationIndex":1}},
		{"ruleId":"err","provenance":{"invocationIndex":0}},
		{"ruleId":"err","level":"warning","provenance":{"invocationIndex":1}},
		{"ruleId":"err","provenance":{"invocationIndex":9}}],`+invocations+`,`+rules))
	for i, want := range []core.Severity{core.Low, core.High, core.Medium, core.High} {
		if got := report.Findings[i].Severity; got != want {
			t.Errorf("result %d: want %s, got %s", i, want, got)
		}
	}
}
