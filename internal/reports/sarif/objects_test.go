package sarif_test

import (
	"testing"

	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestParseFingerprints(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ result, want string }{
		"none":          {``, ""},
		"sorted":        {`"partialFingerprints":{"b":"2","a":"1"}`, "a=1\nb=2"},
		"both kinds":    {`"partialFingerprints":{"a":"1"},"fingerprints":{"0":"x"}`, "0=x\na=1"},
		"escapes":       {`"partialFingerprints":{"a\"b":"1\n2","c":"d"}`, "a\"b=1\n2\nc=d"},
		"not strings":   {`"partialFingerprints":{"a":{"value":"x"},"b":"2","c":3,"d":["e","f"]}`, "b=2"},
		"value after":   {`"partialFingerprints":{"a":"1","b":{"c":"d"}}`, "a=1"},
		"not an object": {`"partialFingerprints":["a","b"]`, ""},
		"empty array":   {`"partialFingerprints":[]`, ""},
		"null":          {`"partialFingerprints":null`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := reportstest.Only(t, result(test.result)).PartialFingerprint; got != test.want {
				t.Errorf("want %q, got %q", test.want, got)
			}
		})
	}
}
