package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// threads waits until merge request 7 shows these, as FILE:LINE and whether they are resolved.
func (f *forked) threads(t *testing.T, when string, want ...string) {
	t.Helper()
	eventually(t, "threads "+when, func() (got []string, ok bool) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			f.platform.Base()+"/api/v4/projects/acme%2Fshop/merge_requests/7/discussions", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Private-Token", f.platform.AccessToken())
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var found []struct {
			Notes []struct {
				Resolved bool
				Position struct {
					File string `json:"new_path"`
					Line int    `json:"new_line"`
				}
			}
		}
		if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
			t.Fatal(err)
		}
		for _, one := range found {
			note := one.Notes[0]
			got = append(got, fmt.Sprintf("%s:%d %v", note.Position.File, note.Position.Line, note.Resolved))
		}
		return got, fmt.Sprint(got) == fmt.Sprint(want)
	})
}

// On GitLab, a new finding has a thread on its line until somebody dismisses it.
func TestNewFindingsHaveThreads(t *testing.T) {
	t.Parallel()
	const on = `
defaults: {comment: threads}
repositories: [{match: "**"}]`
	onForks(t, on, func(t *testing.T, f *forked, sample gitrepo.Checkout) {
		if f.kind != "gitlab" {
			t.Skip("it has no threads that can be resolved")
		}
		pushTo(t, f.sandbox, "main", "", sample.Head)
		finalOf(t, f.sandbox, sample.Head)
		head := f.open(t, "key.txt", secretText)
		f.threads(t, "of the new finding", "key.txt:1 false")
		for _, finding := range newFindings(t, f, head) {
			mark(t, f.sandbox, finding, "FP")
		}
		f.threads(t, "after it was dismissed", "key.txt:1 true")
	})
}

// newFindings are those of a commit's scan.
func newFindings(t *testing.T, f *forked, sha string) (ids []int64) {
	t.Helper()
	var findings struct {
		Items []struct {
			ID int64
		}
	}
	ask(t, f.sandbox, http.MethodGet, "/api/v1/scans/"+scansOf(t, f.sandbox, sha)[0].Ref+"/findings?baseline_state=new", "", &findings)
	for _, finding := range findings.Items {
		ids = append(ids, finding.ID)
	}
	return ids
}
