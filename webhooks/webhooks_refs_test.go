package webhooks_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// githubPush is a push of GitHub. "0" is no commit.
func githubPush(ref, before, after string) [3]string {
	id := func(commit string) string { return strings.Repeat(commit, 40) }
	commits, headCommit := `[]`, `null`
	if after != "0" {
		commits, headCommit = fmt.Sprintf(`[{"id":%q,"added":["a.txt"]}]`, id(after)), fmt.Sprintf(`{"id":%q}`, id(after))
	}
	return [3]string{"github", "push", fmt.Sprintf(`{"ref":%q,"before":%q,"after":%q,"created":%t,"deleted":%t,
		"head_commit":%s,"commits":%s,"repository":{"id":95,"full_name":"acme/queue","default_branch":"main"}}`,
		ref, id(before), id(after), before == "0", after == "0", headCommit, commits)}
}

// manyCommits is a push of GitLab, which lists the newest twenty of its commits.
func manyCommits(before, after string) [3]string {
	var listed []string
	for n := range 20 {
		listed = append(listed, fmt.Sprintf(`{"id":"%040d","added":["%d.txt"],"modified":[],"removed":[]}`, n, n))
	}
	id := func(commit string) string { return strings.Repeat(commit, 40) }
	return [3]string{"gitlab", "Push Hook", fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/main","before":%q,"after":%q,
		"checkout_sha":%q,"total_commits_count":25,"commits":[%s],
		"project":{"id":7,"path_with_namespace":"acme/queue","default_branch":"main"}}`,
		id(before), id(after), id(after), strings.Join(listed, ","))}
}

// A ref is where the calls say that it stands, whether or not its commit needs a scan of its own.
func TestCallsMoveRefs(t *testing.T) {
	t.Parallel()
	const queued = "refs/heads/gh-readonly-queue/main/pr-7-"
	queue := queued + strings.Repeat("1", 40)
	for name, test := range map[string]struct {
		calls [][3]string
		refs  []string // with the commits where they stand; a star where the commit has a scan
		scans int
	}{
		"main moves to what its merge queue has brought": {[][3]string{
			githubPush("refs/heads/main", "0", "1"), githubPush(queue, "0", "2"), githubPush("refs/heads/main", "1", "2"),
		}, []string{queue + " 2*", "refs/heads/main 2*"}, 2},
		"and the queue's branch is deleted": {[][3]string{
			githubPush("refs/heads/main", "0", "1"), githubPush(queue, "0", "2"), githubPush("refs/heads/main", "1", "2"),
			githubPush(queue, "2", "0"),
		}, []string{"refs/heads/main 2*"}, 2},
		"a queue's branch is deleted of which nothing is known": {[][3]string{githubPush(queue, "2", "0")}, nil, 0},
		"a tag is not the branch of its name":                   {[][3]string{githubPush("refs/tags/main", "0", "1")}, []string{"refs/tags/main 1*"}, 1},
		"a tag beside the branch of its name": {[][3]string{
			githubPush("refs/heads/main", "0", "1"), githubPush("refs/tags/main", "0", "2"),
		}, []string{"refs/heads/main 1*", "refs/tags/main 2*"}, 2},
		"a branch that nobody wants scanned": {[][3]string{githubPush("refs/heads/scratch", "0", "3")}, []string{"refs/heads/scratch 3"}, 0},
		"twenty-five commits":                {[][3]string{manyCommits("0", "1"), manyCommits("1", "2")}, []string{"refs/heads/main 2*"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := storetest.Policy
			policy.Branches, policy.Tags = []string{"main"}, []string{"**"}
			s := storetest.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
			handler := serve(t, s)
			for _, call := range test.calls {
				sealed := seal(t, call[0], call[1], call[2])
				if got := send(t, handler, "/webhooks/"+call[0], sealed.Header, sealed.Body); got.Status/100 != 2 {
					t.Fatalf("%s: %+v", call[2], got)
				}
			}
			wantRefs(t, s, test.calls[0][0], test.refs, test.scans)
		})
	}
}

func wantRefs(t *testing.T, s *store.Store, platform string, want []string, scans int) {
	t.Helper()
	refs, err := s.ListRefs(t.Context(), platform, "acme/queue", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ref := range refs {
		line := ref.Name + " " + ref.SHA[:1]
		if ref.Scan != nil {
			line += "*"
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
	list, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 100})
	if err != nil || len(list) != scans {
		t.Errorf("%d scans, %v, want %d", len(list), err, scans)
	}
}
