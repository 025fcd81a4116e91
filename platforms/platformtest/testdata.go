package platformtest

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

var update = flag.Bool("update", false, "write the goldens anew")

// Golden compares got, as JSON, with testdata/name; the flag -update writes it.
func Golden(t testing.TB, name string, got any) {
	t.Helper()
	path := filepath.Join("testdata", name)
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Payload is the body of a webhook call in testdata.
type Payload struct {
	Name  string // of the file
	Event string // the first part of that
	Body  []byte
}

// Payloads reads testdata/*.json.
func Payloads(t testing.TB) []Payload {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no payloads in testdata: %v", err)
	}
	list := make([]Payload, len(paths))
	for i, path := range paths {
		event, _, _ := strings.Cut(filepath.Base(path), ".")
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = Payload{filepath.Base(path), event, body}
	}
	return list
}

// ParseGoldens compares what an adapter makes of each payload with the golden beside it.
func ParseGoldens(t *testing.T, platform platforms.Platform, header func(event string) http.Header) {
	t.Helper()
	for _, payload := range Payloads(t) {
		t.Run(payload.Name, func(t *testing.T) {
			t.Parallel()
			delivery, err := platform.Parse(header(payload.Event), payload.Body)
			if err != nil {
				t.Fatal(err)
			}
			Golden(t, payload.Name+".golden", delivery)
		})
	}
}

// Recorded reads a file of the test data beside the repository. The test is skipped where there is none.
func Recorded(t testing.TB, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(RecordedPath(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// RecordedPath is where a file or folder of the test data is. The test is skipped where there is none.
func RecordedPath(t testing.TB, path string) string {
	t.Helper()
	found := filepath.Join(root(t), "..", "shared", "testdata", filepath.FromSlash(path))
	if _, err := os.Stat(found); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the recorded data is absent: %v", err)
	}
	return found
}

// root is the folder of go.mod.
func root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
	}
	t.Fatal("no go.mod above the test")
	return ""
}

// Vector is a published signature.
type Vector struct {
	ID       string            `json:"id"`
	Scheme   string            `json:"scheme"`
	Platform string            `json:"platform"`
	Secret   string            `json:"secret"`
	Body     string            `json:"body"`
	Headers  map[string]string `json:"headers"`
	Valid    bool              `json:"author_says_valid"`
}

// Vectors are the published signatures of a scheme, "hmac-hex" or "standard-webhooks-v1".
func Vectors(t testing.TB, scheme string) []Vector {
	t.Helper()
	var file struct {
		Vectors []Vector `json:"vectors"`
	}
	if err := json.Unmarshal(Recorded(t, "signatures/vectors.open.json"), &file); err != nil {
		t.Fatal(err)
	}
	var found []Vector
	for _, vector := range file.Vectors {
		if vector.Scheme == scheme {
			found = append(found, vector)
		}
	}
	return found
}

// IsInvalid tells whether err is core.ErrInvalid, the answer to a broken body.
func IsInvalid(err error) bool { return errors.Is(err, core.ErrInvalid) }
