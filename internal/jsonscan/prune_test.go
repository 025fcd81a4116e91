package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/jsonscan"
)

// pruned has a value of each kind that Prune tells apart.
type pruned struct {
	Ref     string
	Forced  bool `json:"forced"`
	Raw     json.RawMessage
	Any     any
	Numbers []int             `json:"numbers"`
	Words   map[string]string `json:"words"`
	Head    *struct {
		ID string `json:"id"`
		embedded
	} `json:"head_commit"`
	Commits list    `json:"commits"`
	Self    *pruned `json:"self"`
}

type embedded struct {
	Kind string `json:"kind"`
}

type list []struct {
	Added []string `json:"added"`
}

func (list) Shape() any {
	return []struct {
		Added []string `json:"added"`
	}(nil)
}

func (l *list) UnmarshalJSON(data []byte) error {
	type plain list
	return json.Unmarshal(data, (*plain)(l))
}

// What encoding/json reads of a pruned document must be what it reads of the whole one.
func FuzzPrune(f *testing.F) {
	for _, text := range []string{
		``, ` {"ref":"a", "b":[1,{}], "forced" : true } `, `{"REF":"a","ref":"b","Ref":"c"}`, `{"r\u0065f":"a"}`, "{\"\u017felf\":{\"ref\":\"x\"}}",
		`{"ref":1,"forced":"x","commits":{"added":["a"]},"head_commit":[1]}`, `{"commits":[{"added":["a"],"x":1},null,3,[]],"numbers":[1,2]}`,
		`{"head_commit":{"id":"1","kind":"k","no":{"id":2}},"any":{"a":1},"raw":[ 1 ],"words":{"a":"b"}}`, `{"self":{"ref":"a","no":1}}`,
		`{"a":1,}`, `{"ref" "a"}`, `{"ref":"a"} x`, `[]`, `null`, `{"ref":"\ud800\u0000"}`, "{\"ref\":\"\xff\"}", `{"":1}`, `{"` + strings.Repeat("n", 70) + `":1}`,
		`{"raw":` + strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000) + `}`, `{"no":` + strings.Repeat(`[`, 9_999) + strings.Repeat(`]`, 9_999) + `}`,
		strings.Repeat(`{"head_commit":`, 10_001), strings.Repeat(`{"self":`, 10_001),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		original := bytes.Clone(data)
		rest, ok := jsonscan.Prune(data, &pruned{})
		if ok != json.Valid(original) || !bytes.Equal(data, original) {
			t.Fatalf("valid: %t, changed: %t", ok, !bytes.Equal(data, original))
		}
		if !ok {
			return
		}
		var want, got pruned
		fault, faultOfRest := json.Unmarshal(original, &want), json.Unmarshal(rest, &got)
		if (fault == nil) != (faultOfRest == nil) {
			t.Fatalf("%v, of the rest %v: %s", fault, faultOfRest, rest)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(embedded{}, struct {
			ID string `json:"id"`
			embedded
		}{})); diff != "" {
			t.Errorf("of %s (-want +got):\n%s", rest, diff)
		}
	})
}

func TestPruneLeavesOutWhatIsNotRead(t *testing.T) {
	t.Parallel()
	rest, ok := jsonscan.Prune([]byte(`{"ref": "a", "no": [{}], "commits": [{"id": 1, "added": ["x"]}, {"id": 2}], "head_commit": {"x": 1}}`), &pruned{})
	if want := `{"ref":"a","commits":[{"added":["x"]},{}],"head_commit":{}}`; !ok || string(rest) != want {
		t.Errorf("got %s, want %s", rest, want)
	}
}
