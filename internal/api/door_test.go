package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/store/storetest"
)

// pack compresses a head once, and a filling as often as it shall unpack.
func pack(t *testing.T, head, filling string, times int) string {
	t.Helper()
	member := func(text string) []byte {
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		if _, err := writer.Write([]byte(text)); err != nil || writer.Close() != nil {
			t.Fatal(err)
		}
		return packed.Bytes()
	}
	return string(slices.Concat(member(head), bytes.Repeat(member(filling), times)))
}

func TestBombsEndEarly(t *testing.T) {
	t.Parallel()
	const head = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"bomb"}},"results":[`
	const megabyte = 1 << 20
	tests := map[string]struct{ body, want string }{
		"blanks":      {pack(t, head, strings.Repeat(" ", megabyte), 1000), "800 times"},
		"one text":    {pack(t, head+`{"message":{"text":"`, strings.Repeat("x", megabyte), 1000), "800 times"},
		"empty":       {pack(t, head, strings.Repeat("{},\n", megabyte/4), 1000), "more than 250000 results"},
		"open arrays": {pack(t, head, strings.Repeat("[", megabyte), 1000), "max depth"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "trivy")
			answer := b.call(t, "scanner", http.MethodPut, "/api/v1/scans/"+b.push(t, 1)+"/results/trivy", test.body, nil,
				"Content-Encoding", "gzip")
			if text := detail(t, answer); answer.Code/100 != 4 || !strings.Contains(text, test.want) {
				t.Errorf("%d %q, want %q", answer.Code, text, test.want)
			}
		})
	}
}

// What a scanner writes can be dull: a long text again and again, with another line each time.
func TestDullReportsAreNoBombs(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	var results strings.Builder
	for line := range 5000 {
		fmt.Fprintf(&results, `{"ruleId":"r","message":{"text":%q},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go"},`+
			`"region":{"startLine":%d}}}]},`, strings.Repeat("advice ", 200), line+1)
	}
	head := `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"dull"}},"results":[`
	body := pack(t, head, strings.TrimSuffix(results.String(), ",")+`]}]}`, 1)
	answer := b.call(t, "scanner", http.MethodPut, "/api/v1/scans/"+b.push(t, 1)+"/results/trivy", body, nil,
		"Content-Encoding", "gzip")
	if answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// One large report is parsed at a time; another one is told to come again, while small ones pass.
func TestLargeUploadsGoOneAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy", "semgrep")
	path := "/api/v1/scans/" + b.push(t, 1) + "/results/"
	arriving, rest := io.Pipe()
	first := make(chan int)
	go func() { first <- b.deliver(t, path+"trivy", arriving).Code }()
	blanks := strings.Repeat(" ", 9<<20)
	if _, err := io.WriteString(rest, `{"version":"2.1.0","runs":[`+blanks); err != nil {
		t.Fatal(err)
	}
	if answer := b.deliver(t, path+"semgrep", strings.NewReader(`{"findings": []}`)); answer.Code != http.StatusOK {
		t.Errorf("a small one: %d %s", answer.Code, answer.Body)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	request := httptest.NewRequestWithContext(ctx, http.MethodPut, path+"semgrep", strings.NewReader(`{"findings": [`+blanks+`]}`))
	if answer := b.serve(request); answer.Code == http.StatusOK {
		t.Errorf("a second large one was taken meanwhile: %s", answer.Body)
	}
	if _, err := io.WriteString(rest, `]}`); err != nil || rest.Close() != nil || <-first != http.StatusOK {
		t.Error("the first large one was not taken")
	}
}

func (b *bench) deliver(t *testing.T, path string, body io.Reader) *httptest.ResponseRecorder {
	return b.serve(httptest.NewRequestWithContext(t.Context(), http.MethodPut, path, body))
}

func (b *bench) serve(request *http.Request) *httptest.ResponseRecorder {
	request.Header.Set("Authorization", "Bearer scanner-token")
	recorder := httptest.NewRecorder()
	b.handler.ServeHTTP(recorder, request)
	return recorder
}

// A report with text that could only be stored changed is refused with its place, on both engines, and stores nothing.
func TestUploadsAreTakenVerbatimOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		b := setupOn(t, e, "trivy")
		path := "/api/v1/scans/" + b.push(t, 1) + "/results/trivy"
		for _, template := range []string{
			`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[{"ruleId":"a","message":{"text":TEXT}}]}]}`,
			`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":TEXT}},"results":[]}]}`,
			`{"version":"2.1.0","runs":[{"results":[{"locations":[{"physicalLocation":{"artifactLocation":{"uri":TEXT}}}]}]}]}`,
			`{"findings":[{"rule_id":TEXT,"severity":"low"}]}`,
			`{"findings":[{"rule_id":"a","severity":"low","file":TEXT}]}`,
			`{"findings":[{"rule_id":"a","severity":"low","snippet":TEXT}]}`,
			`{"findings":[],"nobody":{TEXT:[]}}`,
		} {
			for what, text := range unstorable {
				answer := b.call(t, "scanner", "PUT", path, strings.ReplaceAll(template, "TEXT", text.quoted), nil)
				if answer.Code != http.StatusUnprocessableEntity || !strings.Contains(detail(t, answer), "line 1, column ") {
					t.Errorf("%s in %s: %d %s", what, template, answer.Code, answer.Body)
				}
			}
			for _, text := range odd() {
				quoted, _ := json.Marshal(text)
				if answer := b.call(t, "scanner", "PUT", path, strings.ReplaceAll(template, "TEXT", string(quoted)), nil); answer.Code >= 500 {
					t.Errorf("%.40q in %s: %d %s", text, template, answer.Code, answer.Body)
				}
			}
		}
		for _, number := range []string{"-1", "1e400", "2147483648", "9223372036854775808", "1.5", "1e9"} {
			body := `{"findings":[{"rule_id":"a","severity":"low","file":"x.go","line":` + number + `,"end_line":` + number + `}]}`
			if answer := b.call(t, "scanner", "PUT", path, body, nil); answer.Code >= 500 {
				t.Errorf("line %s: %d %s", number, answer.Code, answer.Body)
			}
		}
	})
}
