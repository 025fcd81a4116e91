package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git"
)

const (
	fetchTimeout = 10 * time.Minute

	maxPacks = 50   // each fetch adds one or two; with more, git looks for objects in too many places
	maxRefs  = 2000 // each commit that was asked for has one; with more, they are all begun anew
)

// promisor are the settings of a fetch that leaves the contents of files for later. The mirror's own configuration does not
// have them: git would fetch missing contents one by one, without a credential, wherever it reads some.
func (m *Mirror) promisor() []string {
	return []string{
		"-c", "remote.origin.url=" + m.repo.Remote.URL,
		"-c", "remote.origin.promisor=true",
		"-c", "remote.origin.partialclonefilter=blob:none",
	}
}

var fetchOptions = []string{
	"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance",
}

// What a fetch leaves for later, where the server can leave anything out.
const (
	leaveContents = "--filter=blob:none"
	leaveLarge    = "--filter=blob:limit=128k"
)

// fetch gets a commit and its history, with the contents of files that the filter does not leave out. A ref keeps the commit:
// git tells the server only of what refs reach.
//
// The head of a request is asked for by its ref first: servers that hand out no commit that nothing of theirs reaches hand out that.
// By its id then, where the request has another head by now.
func (m *Mirror) fetch(ctx context.Context, sha, filter string) error {
	if sha == m.head && core.IsRequestRef(m.at) {
		err := m.fetchAs(ctx, m.at, sha, filter)
		if err == nil && m.Has(sha) || err != nil && !errors.As(err, new(git.FetchError)) {
			return err
		}
	}
	return m.fetchAs(ctx, sha, sha, filter)
}

func (m *Mirror) fetchAs(ctx context.Context, name, sha, filter string) error {
	args := append(m.promisor(), fetchOptions...)
	args = append(args, filter, fmt.Sprintf("--depth=%d", m.depth()+1), "origin", "+"+name+":"+m.ref(sha))
	return m.bounded(ctx, func(ctx context.Context) error { return m.repo.Fetch(ctx, sha, nil, args...) })
}

// fetchBlobs gets contents of files in one request.
func (m *Mirror) fetchBlobs(ctx context.Context, ids []string) error {
	args := append(m.promisor(), "-c", "fetch.negotiationAlgorithm=noop")
	args = append(append(args, fetchOptions...), leaveContents, "--stdin", "origin")
	wanted := strings.NewReader(strings.Join(ids, "\n") + "\n")
	return m.bounded(ctx, func(ctx context.Context) error { return m.repo.Fetch(ctx, m.head, wanted, args...) })
}

func (m *Mirror) bounded(ctx context.Context, fetch func(context.Context) error) error {
	ctx, cancel := m.repo.Space.Bound(ctx, fetchTimeout, fmt.Errorf("the commit could not be fetched within %s: "+
		"the platform is too slow or the repository too large", fetchTimeout))
	defer cancel(nil)
	return fetch(ctx)
}

// ref is the ref of a commit. It tells how much of the history came with it.
func (m *Mirror) ref(sha string) string { return fmt.Sprintf("refs/scan/%d/%s", m.depth(), sha) }

// Has tells whether a commit was fetched with its history.
func (m *Mirror) Has(sha string) bool {
	text, err := os.ReadFile(filepath.Join(m.repo.Space.Source, filepath.FromSlash(m.ref(strings.ToLower(sha)))))
	return err == nil && strings.TrimSpace(string(text)) == strings.ToLower(sha)
}

// Fetch gets a further commit and its history, for example that of the baseline. Errors are those of git.Fetch.
func (m *Mirror) Fetch(ctx context.Context, sha string) error {
	if !core.IsCommitSHA(sha) {
		return fmt.Errorf("%.80q is not a full commit id", sha)
	}
	return m.change(ctx, func() error {
		if m.Has(sha) {
			return nil
		}
		return m.fetch(ctx, strings.ToLower(sha), leaveContents)
	})
}

// Ensure fetches the contents of those files that the mirror does not have, together. Errors are those of git.Fetch, and
// Damaged.
func (m *Mirror) Ensure(ctx context.Context, blobs []string) error {
	objects, err := m.reader(ctx)
	if err != nil {
		return err
	}
	packs := m.packs()
	missing, err := objects.missing(ctx, blobs)
	if err != nil || len(missing) == 0 {
		return err
	}
	return m.change(ctx, func() error {
		if !slices.Equal(m.packs(), packs) { // another job may have fetched them meanwhile
			if missing, err = objects.missing(ctx, missing); err != nil || len(missing) == 0 {
				return err
			}
		}
		err = m.fetchBlobs(ctx, missing)
		if errors.As(err, new(git.FetchError)) {
			err = cmp.Or(m.prove(ctx), err)
		}
		return err
	})
}

// prove fails where the mirror is damaged: what git says of a fetch is the same for that and for what a server refuses, and a
// process that reads since before the damage does not notice it.
func (m *Mirror) prove(ctx context.Context) error {
	return m.judge(ctx, m.repo.Run(ctx, nil, nil, "cat-file", "-e", m.head+"^{tree}"))
}

// packs are the names of the files that hold objects.
func (m *Mirror) packs() []string {
	names, _ := filepath.Glob(filepath.Join(m.repo.Space.Source, "objects", "pack", "*.pack"))
	return names
}

// change holds the fetch lock while the mirror is changed. It fails with Damaged where another mirror has taken its place.
func (m *Mirror) change(ctx context.Context, work func() error) error {
	lock, err := m.holdLock(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if m.replaced() {
		return Damaged{errors.New("another one took its place")}
	}
	m.tidy()
	return work()
}

// tidy removes what processes left behind that were killed while they changed the mirror. The caller holds the fetch lock.
func (m *Mirror) tidy() {
	_ = filepath.WalkDir(m.repo.Space.Source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() == "git" {
			return nil
		}
		if strings.HasSuffix(entry.Name(), ".lock") || strings.HasPrefix(entry.Name(), "tmp_") {
			_ = os.RemoveAll(path) //nolint:gosec // nobody else writes to the directory, and links are removed themselves
			if entry.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
}

// worn tells whether a mirror has grown so much that it is made anew.
func (m *Mirror) worn() bool {
	refs, _ := os.ReadDir(filepath.Join(m.repo.Space.Source, "refs", "scan", fmt.Sprint(m.depth())))
	return len(refs) > maxRefs || m.repo.Space.Fits() != nil
}

// repack makes one pack of many, beside those who read them. It is an aid: without it, reading is slower.
func (m *Mirror) repack(ctx context.Context) {
	if len(m.packs()) <= maxPacks {
		return
	}
	err := m.bounded(ctx, func(ctx context.Context) error {
		return m.repo.Run(ctx, nil, nil, append(m.promisor(), "repack", "-a", "-d", "-q")...)
	})
	if err != nil {
		m.log().Info("mirror not repacked", "project", m.repo.Remote.URL, "error", err)
	}
}
