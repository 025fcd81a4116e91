package httpx_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/httpx"
)

func TestPack(t *testing.T) {
	t.Parallel()
	header := http.Header{"X-Github-Event": {"push"}, "Content-Type": {"application/json"}}
	for name, c := range map[string]struct {
		header http.Header
		body   []byte
	}{
		"a usual call":                 {header, []byte(`{"ref":"refs/heads/main"}`)},
		"no header":                    {http.Header{}, []byte("{}")},
		"no header, and a blank line":  {http.Header{}, []byte("a\r\n\r\nb")},
		"no body":                      {header, []byte{}},
		"a body that begins with one":  {header, []byte("\r\n\r\n\r\nx")},
		"bytes of all kinds":           {header, []byte{0, 255, '\r', '\n', 1}},
		"a large one":                  {header, bytes.Repeat([]byte("0123456789"), 1<<18)},
		"two values, one with a break": {http.Header{"A": {"x", "y"}}, []byte("b")},
	} {
		packed := httpx.Pack(c.header, c.body)
		if cap(packed) > 2*len(packed)+64 {
			t.Errorf("%s: %d bytes take %d", name, len(packed), cap(packed))
		}
		gotHeader, gotBody, err := httpx.Unpack(packed)
		if err != nil || !bytes.Equal(gotBody, c.body) {
			t.Errorf("%s: body of %d bytes, %v, want %d", name, len(gotBody), err, len(c.body))
		}
		if diff := cmp.Diff(c.header, gotHeader); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", name, diff)
		}
	}
	if _, _, err := httpx.Unpack([]byte("no pack")); err == nil {
		t.Error("nonsense was unpacked")
	}
}
