package sarif

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core/intern"
)

const largeResult = `{"ruleId":"a","ruleIndex":3,"kind":"fail","level":"error","message":{"text":"a \"b\" \u00e4\n","id":null},
	"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go","uriBaseId":"%SRCROOT%","index":2},
	"region":{"startLine":1.0,"endLine":2e0,"startColumn":3,"snippet":{"text":"\tx"}},"contextRegion":null}},{}],
	"partialFingerprints":{"one":"1","two":"2"},"fingerprints":{},"rank":-1.5,"properties":{"tags":["a"]},"guid":null,
	"suppressions":[{"kind":"inSource"}],"taxa":[{"id":"79"}],"rule":{"id":"a"},"provenance":{"invocationIndex":0},
	"codeFlows":[{"threadFlows":[{"locations":[[1,"]"],{"}":"\""}]}]}],"baselineState":"new"}`

// What is read quickly must be what encoding/json reads.
func FuzzFastResult(f *testing.F) {
	for _, text := range []string{
		largeResult, `{}`, `{ }`, `null`, `[]`, `7`, `{"RULEID":"a"}`, `{"rule\u0049d":"a"}`, `{"ruleId":"a","ruleId":"b"}`,
		`{"ruleId":7}`, `{"ruleIndex":"7"}`, `{"message":[]}`, `{"message":null}`, `{"locations":{}}`, `{"locations":[null]}`,
		`{"locations":[{"physicalLocation":{"region":{"startLine":1e999}}}]}`, `{"partialFingerprints":{"a":1}}`,
		`{"partialFingerprints":[]}`, `{"message":{"text":"\ud83d\ude00"}}`, `{"message":{"text":"\ud83d"}}`, "{\"level\":\"\xff\"}",
		"{\"\u212aind\":\"x\"}", `{"properties":[]}`, `{"level" : "error" , "kind" : "fail" }`, `{"message":{"arguments":["a",1]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = bytes.TrimSpace(data)
		if !json.Valid(data) {
			return
		}
		quickly, slowly, possible, err := bothWays(data)
		if !possible {
			return
		}
		options := cmp.Options{
			cmpopts.SortSlices(func(a, b string) bool { return a < b }), cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true }),
		}
		if diff := cmp.Diff(slowly, quickly, options); diff != "" || err != nil {
			t.Errorf("%q: %v (-encoding/json +quickly):\n%s", data, err, diff)
		}
	})
}

func TestFastResultKnowsWhatReportsAreMadeOf(t *testing.T) {
	t.Parallel()
	if _, _, possible, _ := bothWays([]byte(largeResult)); !possible {
		t.Error("want a usual result to be read quickly")
	}
}

// bothWays reads a result quickly, if possible, and with encoding/json.
func bothWays(value []byte) (quickly, slowly any, possible bool, err error) {
	var fast, slow Result
	reader := fastResult{fastScanner: fastScanner{texts: new(intern.Texts)}}
	possible = reader.decode([]byte(`{"locations":[{"physicalLocation":{"region":{"startLine":7}}}]}`), &fast) &&
		reader.decode(value, &fast)
	err = json.Unmarshal(value, &slow)
	return fast, slow, possible, err
}
