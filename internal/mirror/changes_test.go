package mirror

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

func TestBetweenListsWhatCommitsBring(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p, dir := f.project("p"), f.dir("p")
	base := f.commit(t, "p", gittest.Files{"old": "1\n", "gone": "1\n"})
	added := f.commit(t, "p", gittest.Files{"secret": "s3cret\n", "copy/secret": "s3cret\n"})
	f.commit(t, "p", gittest.Files{"secret": "", "gone": ""})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f.commit(t, "p", gittest.Files{"secret": "s3cret\n"}) // again, which is nothing new
	head := f.commit(t, "p", gittest.Files{"old": "2\n"})
	h := between(t, c, p, base, head, 100)
	if diff := cmp.Diff([]string{"copy/secret", "link", "old", "secret"}, paths(h)); diff != "" || len(h.Commits) != 4 || h.Beyond != 0 || h.Open {
		t.Errorf("changes (-want +got):\n%s%+v", diff, h)
	}
	if first := h.Changes[0]; first.Commit != added || first.Path != "copy/secret" || h.Commits[0] != added || h.Commits[3] != head {
		t.Errorf("want the commit that brought the secret first, got %+v", h)
	}
	if h := between(t, c, p, head, head, 100); len(h.Commits) != 0 || len(h.Changes) != 0 {
		t.Errorf("want nothing between a commit and itself, got %+v", h)
	}
	bounded := between(t, c, p, base, head, 2)
	if diff := cmp.Diff([]string{"link", "old", "secret"}, paths(bounded)); diff != "" || bounded.Beyond != 2 || len(bounded.Commits) != 2 {
		t.Errorf("changes of two commits (-want +got):\n%s%+v", diff, bounded)
	}
}

// What stands in a merge alone is found; what comes from its branches is found in their commits.
func TestBetweenLooksIntoMerges(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p, dir := f.project("p"), f.dir("p")
	base := f.commit(t, "p", gittest.Files{"both": "1\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "-b", "side")
	side := f.commit(t, "p", gittest.Files{"side": "1\n", "both": "side\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "main")
	f.commit(t, "p", gittest.Files{"main": "1\n"})
	gittest.Git(t, dir, "merge", "--quiet", "--no-ff", "--no-commit", "side")
	merge := f.commit(t, "p", gittest.Files{"evil": "in the merge\n", "both": "both\n", "d/evil": "too\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "--orphan", "other")
	gittest.Git(t, dir, "rm", "-rfq", ".")
	root := f.commit(t, "p", gittest.Files{"root": "1\n"})

	h := between(t, c, p, base, merge, 100)
	if diff := cmp.Diff([]string{"both", "both", "d/evil", "evil", "main", "side"}, paths(h)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	for _, change := range h.Changes {
		if strings.HasSuffix(change.Path, "evil") && change.Commit != merge || change.Path == "side" && change.Commit != side {
			t.Errorf("want it in its commit, got %+v", change)
		}
	}
	if h := between(t, c, p, base, root, 100); !slices.Equal(paths(h), []string{"root"}) {
		t.Errorf("want the first commit's files, got %+v", h)
	}
}

// A push that replaces commits brings those that the old ones did not have.
func TestBetweenAfterAForcePush(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p := f.project("p")
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	lost := f.commit(t, "p", gittest.Files{"lost": "1\n"})
	read(t, c, p, lost)
	gittest.Git(t, f.dir("p"), "reset", "--quiet", "--hard", base)
	f.commit(t, "p", gittest.Files{"b": "1\n"})
	head := f.commit(t, "p", gittest.Files{"c": "1\n"})
	if h := between(t, c, p, lost, head, 100); !slices.Equal(paths(h), []string{"b", "c"}) || len(h.Commits) != 2 {
		t.Errorf("got %+v", h)
	}
	c2 := newCache(t) // in which nothing of the old commits is left, though the server still has them
	if h := between(t, c2, p, lost, head, 100); !slices.Equal(paths(h), []string{"b", "c"}) {
		t.Errorf("got %+v", h)
	}
	err := c.Use(t.Context(), p, head, func(ctx context.Context, m *Mirror) error {
		if known, err := m.Reach(ctx, strings.Repeat("a", 40)); known || err != nil {
			t.Errorf("want a commit that there is not unknown, got %t, %v", known, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// History that was not fetched is told of.
func TestBetweenTellsWhereHistoryEnds(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	c := newCache(t)
	c.Depth = 3
	p, dir := f.project("p"), f.dir("p")
	f.commit(t, "p", gittest.Files{"a": "1\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "-b", "side")
	side := f.commit(t, "p", gittest.Files{"side": "1\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "main")
	head := ""
	for n := range 6 {
		head = f.commit(t, "p", gittest.Files{fmt.Sprint(n): "1\n"})
	}
	h := between(t, c, p, side, head, 3)
	if !h.Open || h.Beyond == 0 || len(h.Commits) != 3 || !slices.Equal(paths(h), []string{"3", "4", "5"}) {
		t.Errorf("want three commits and word of more, got %+v", h)
	}
}

// grow makes a tree with ten entries to each level, of which only one object a level is stored, and commits it.
func (f *forge) grow(t *testing.T, project, parent string, levels int, leaf string) (sha string) {
	t.Helper()
	dir := f.dir(project)
	object := func(mode, kind, id string, names ...string) string {
		var entries strings.Builder
		for _, name := range names {
			fmt.Fprintf(&entries, "%s %s %s\t%s\n", mode, kind, id, name)
		}
		gittest.Write(t, dir, gittest.Files{".git/entries": entries.String()})
		return gittest.Git(t, dir, "-c", "alias.maketree=!git mktree <.git/entries", "maketree")
	}
	names := make([]string, 10)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", leaf, i)
	}
	id := object("", "", "") // no file at all: what is below the lowest directories is an empty tree
	if leaf != "" {
		id = object("100644", "blob", gittest.Git(t, dir, "rev-parse", parent+":a"), names...)
	}
	for range levels {
		id = object("040000", "tree", id, names...)
	}
	return gittest.Git(t, dir, "commit-tree", "-p", parent, "-m", "bomb", id)
}

// A few objects that name more files than a commit may have are refused, also where all their directories are empty: a dozen
// of them make more paths than anything could list.
func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	for name, test := range map[string]struct {
		levels int
		leaf   string
		most   int64
		want   string
	}{
		"files":             {9, "f", 100_000, "more than 100,000 paths"},
		"empty directories": {9, "", 100_000, "more than 100,000 paths"},
		"few objects":       {5, "f", 1000, "more than 1,000 paths"},
		"long names":        {3, strings.Repeat("n", 200), 1000, "names of its paths"},
		"as many as may be": {2, "f", 1110, ""},
		"one more":          {2, "f", 1109, "more than 1,109 paths"},
	} {
		bomb := f.grow(t, "p", base, test.levels, test.leaf)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			c.MaxPaths = test.most
			err := c.Use(t.Context(), f.project("p"), bomb, func(ctx context.Context, m *Mirror) error {
				for n, list := range []func() error{
					func() error { _, err := m.Files(ctx, bomb, func(File) {}); return err },
					func() error {
						_, err := m.Between(ctx, Range{Heads: []string{bomb}, Bases: []string{base}}, 10)
						return err
					},
					func() error { _, _, err := m.Changed(ctx, base, bomb); return err },
				} {
					err := list()
					if test.want == "" && err != nil {
						t.Errorf("%d: %v", n, err)
					}
					if test.want != "" && (!errors.As(err, new(sandbox.LimitExceeded)) || !strings.Contains(err.Error(), test.want) ||
						!strings.Contains(err.Error(), "runner.max_paths")) {
						t.Errorf("%d: want ...%s..., got %v", n, test.want, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What a few objects unfold to is refused without unfolding it: in less time than counting it takes, and in little memory. So are
// directories that are too deep, and one that is too wide.
func TestBombsTakeNoMemory(t *testing.T) { // alone, as it measures the memory of the process
	f := newForge(t)
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	dir := f.dir("p")
	blob := gittest.Git(t, dir, "rev-parse", base+":a")
	maketree := func(entries string) string {
		gittest.Write(t, dir, gittest.Files{".git/entries": entries})
		return gittest.Git(t, dir, "-c", "alias.maketree=!git mktree --missing <.git/entries", "maketree")
	}
	commit := func(tree string) string { return gittest.Git(t, dir, "commit-tree", "-p", base, "-m", "bomb", tree) }
	many := func(n int, format string) string {
		var entries strings.Builder
		for i := range n {
			fmt.Fprintf(&entries, format, i)
		}
		return maketree(entries.String())
	}
	wide := many(5000, "100644 blob "+blob+"\tfile-%d\n")
	refused, bombs := map[string]time.Duration{}, map[string]struct{ bomb, want string }{
		"files":             {f.grow(t, "p", base, 9, "f"), "more than 2,000,000 paths"},
		"empty directories": {f.grow(t, "p", base, 9, ""), "more than 2,000,000 paths"},
		"long names":        {f.grow(t, "p", base, 6, strings.Repeat("n", 250)), "paths"},
		"submodules": {
			commit(many(2000, "040000 tree "+many(2000, "160000 commit "+base+"\tm-%d\n")+"\td-%d\n")), "more than 2,000,000 paths",
		},
		"wide in wide": {commit(many(1000, "040000 tree "+wide+"\tdir-%d\n")), "more than 2,000,000 paths"},
		"deep":         {f.dig(t, "p", base, blob, 5000), "more than 4,096 deep"},
	}
	for name, test := range bombs {
		c := newCache(t)
		err := c.Use(t.Context(), f.project("p"), test.bomb, func(ctx context.Context, m *Mirror) error {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			var kept []File
			_, err := m.Files(ctx, test.bomb, func(f File) { kept = append(kept, f) })
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if !errors.As(err, new(sandbox.LimitExceeded)) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: want ...%s..., got %v", name, test.want, err)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 50 || len(kept) > 0 {
				t.Errorf("%s: it took %d MiB, and %d files were kept", name, used, len(kept))
			}
			t.Logf("%-17s  %8d KiB allocated", name, (after.TotalAlloc-before.TotalAlloc)>>10)
			refused[name] = took
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if *countBombs {
		for name, took := range refused {
			counting := countPaths(t, dir, bombs[name].bomb)
			t.Logf("%-17s  refused in %6.1f ms; git counts its paths, up to 2,000,000, in %7.1f ms: %.2f of that", name,
				milliseconds(took), milliseconds(counting), took.Seconds()/counting.Seconds())
		}
	}
}

var countBombs = flag.Bool("bombs.count", false, "compare the refusals with how long git takes to count the paths")

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// countPaths is how long git takes to list as many paths of a commit as one may have, or all where it has fewer.
func countPaths(t *testing.T, dir, sha string) time.Duration {
	t.Helper()
	began := time.Now()
	counting := exec.CommandContext(t.Context(), "sh", "-c", "git ls-tree -r -t --name-only "+sha+" | head -n 2000000 | wc -l")
	counting.Dir = dir
	if out, err := counting.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return time.Since(began)
}

// dig makes a commit with so many directories in each other.
func (f *forge) dig(t *testing.T, project, parent, blob string, depth int) (sha string) {
	t.Helper()
	dir := f.dir(project)
	var stream strings.Builder
	fmt.Fprintf(&stream, "commit refs/heads/deep\ncommitter a <a@b> 1 +0000\ndata 4\ndeep\nfrom %s\nM 100644 %s %sf\n",
		parent, blob, strings.Repeat("d/", depth))
	gittest.Write(t, dir, gittest.Files{".git/stream": stream.String()})
	gittest.Git(t, dir, "-c", "alias.import=!git fast-import --quiet <.git/stream", "import")
	return gittest.Git(t, dir, "rev-parse", "refs/heads/deep")
}

// Commits that bring more paths together than one may have are listed as far as that goes, the newest first.
func TestBetweenBoundsWhatIsListed(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	c.MaxPaths = 50
	p := f.project("p")
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	var commits []string
	for n := range 6 {
		files := gittest.Files{}
		for i := range 20 {
			files[fmt.Sprint(i)] = fmt.Sprintln(n, i)
		}
		commits = append(commits, f.commit(t, "p", files))
	}
	h := between(t, c, p, base, commits[5], 100)
	if !slices.Equal(h.Commits, commits[4:]) || len(h.Changes) != 40 || h.Beyond != 4 || h.Changes[0].Commit != commits[4] {
		t.Errorf("want the two newest commits and word of the others, got %d changes, %d beyond, of %q", len(h.Changes), h.Beyond, h.Commits)
	}
	if h := between(t, c, p, commits[3], commits[5], 100); len(h.Commits) != 2 || h.Beyond != 0 {
		t.Errorf("want all of two commits, got %d and %d beyond", len(h.Commits), h.Beyond)
	}
}

// A message of any size hides neither its commit nor those around it.
func TestBetweenBesideALongMessage(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p, dir := f.project("p"), f.dir("p")
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	before := f.commit(t, "p", gittest.Files{"b": "1\n"})
	gittest.Write(t, dir, gittest.Files{".git/message": strings.Repeat("a line of a message\n", maxCommit/20+1), "c": "1\n"})
	gittest.Git(t, dir, "add", "c")
	gittest.Git(t, dir, "commit", "--quiet", "--file", ".git/message")
	long := gittest.Git(t, dir, "rev-parse", "HEAD")
	head := f.commit(t, "p", gittest.Files{"d": "1\n"})
	if h := between(t, c, p, base, head, 10); !slices.Equal(paths(h), []string{"b", "c", "d"}) || !slices.Equal(h.Commits, []string{before, long, head}) {
		t.Errorf("want all that the commits bring, got %q of %q", paths(h), h.Commits)
	}
	if h := between(t, c, p, long, head, 10); !slices.Equal(paths(h), []string{"d"}) || len(h.Commits) != 1 {
		t.Errorf("want what came after the message, got %q of %q", paths(h), h.Commits)
	}
}

// A mirror compares two commits line by line, whatever attributes they set.
func TestDiff(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	long := strings.Repeat("a line of some length\n", 50)
	base := f.commit(t, "p", gittest.Files{"a": "1\n2\n3\n", "old": long, "gone": "x\n", "bin": "\x00\x01", "src/b": "1\n"})
	head := f.commit(t, "p", gittest.Files{
		"a": "1\n2.5\n3\n4\n", "old": "", "new": "first\n" + long, "gone": "", "bin": "\x00\x02", ".gitattributes": "* -diff\n",
	})
	var got *core.Changes
	err := c.Use(t.Context(), f.project("p"), head, func(ctx context.Context, m *Mirror) (err error) {
		if err := os.Remove(m.repo.Space.Temp); err != nil { // a killed process would leave what it writes there
			return err
		}
		for _, path := range []string{"src/b", "src", "a/b"} {
			none, err := m.Diff(ctx, base, head, func(differs string) bool { return differs == path })
			if diff := cmp.Diff(&core.Changes{Base: base}, none); err != nil || diff != "" {
				t.Errorf("%v, changes where %s matters (-want +got):\n%s", err, path, diff)
			}
		}
		got, err = m.Diff(ctx, base, head, func(differs string) bool { return differs == "gone" })
		return err
	})
	want := &core.Changes{Base: base, Files: []core.FileChange{
		{New: ".gitattributes", Hunks: []core.Hunk{{OldLine: 0, OldCount: 0, NewLine: 1, NewCount: 1}}},
		{Old: "a", New: "a", Hunks: []core.Hunk{{OldLine: 2, OldCount: 1, NewLine: 2, NewCount: 1}, {OldLine: 3, OldCount: 0, NewLine: 4, NewCount: 1}}},
		{Old: "bin", New: "bin", Opaque: true},
		{Old: "gone", Hunks: []core.Hunk{{OldLine: 1, OldCount: 1, NewLine: 0, NewCount: 0}}},
		{Old: "old", New: "new", Hunks: []core.Hunk{{OldLine: 0, OldCount: 0, NewLine: 1, NewCount: 1}}},
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
}

// repository is one with random history, which a mirror reads where it is.
type repository struct {
	dir     string
	commits []string
}

// names are parts of paths: some of them stand elsewhere in git's order if they are directories.
var names = []string{"a", "a.b", "a-b", "a0", "d", "with space", "\xff\xfe", "new\nline", "\"q\"", "ü"}

func randomPath(r *rand.Rand) string {
	parts := make([]string, 1+r.IntN(3))
	for n := range parts {
		parts[n] = names[r.IntN(len(names))]
	}
	return strings.Join(parts, "/")
}

func quoted(path string) string {
	var text strings.Builder
	for _, b := range []byte(path) {
		if b == '/' {
			text.WriteByte(b)
			continue
		}
		fmt.Fprintf(&text, "\\%03o", b)
	}
	return `"` + text.String() + `"`
}

// newRandom makes commits of files, links and submodules, some of them merges and roots, whose clocks differ.
func newRandom(t *testing.T, r *rand.Rand, commits int) repository {
	t.Helper()
	dir := t.TempDir()
	gittest.Git(t, dir, "init", "--quiet", "--bare", ".")
	var in strings.Builder
	for n := 1; n <= commits; n++ {
		fmt.Fprintf(&in, "commit refs/heads/c%d\nmark :%d\ncommitter A <a> %d +0000\ndata 0\n", n, n, 1_700_000_000+20*n+r.IntN(90))
		if n > 1 && r.IntN(12) > 0 {
			fmt.Fprintf(&in, "from :%d\n", max(1, n-1-r.IntN(4)))
			for range max(0, r.IntN(5)-2) {
				fmt.Fprintf(&in, "merge :%d\n", 1+r.IntN(n-1))
			}
		}
		for range r.IntN(6) {
			path := quoted(randomPath(r))
			switch r.IntN(12) {
			case 0, 1:
				fmt.Fprintf(&in, "D %s\n", path)
			case 2:
				fmt.Fprintf(&in, "M 160000 %040x %s\n", 1+r.IntN(3), path)
			default:
				mode, text := []string{"100644", "100644", "100755", "120000"}[r.IntN(4)], fmt.Sprint("text ", r.IntN(8))
				fmt.Fprintf(&in, "M %s inline %s\ndata %d\n%s\n", mode, path, len(text), text)
			}
		}
	}
	input := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(input, []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	gittest.Git(t, dir, "-c", "alias.take=!git fast-import --quiet <"+input, "take")
	made := repository{dir: dir}
	for n := range commits {
		made.commits = append(made.commits, gittest.Git(t, dir, "rev-parse", fmt.Sprint("refs/heads/c", n+1)))
	}
	return made
}

// files are what git tells of, split at zero bytes, as "PATH BLOB" without directories, submodules and what was deleted; and how
// many submodules there are.
func (r repository) files(t *testing.T, args ...string) (list []string, submodules int) {
	t.Helper()
	records := strings.Split(gittest.Git(t, r.dir, args...), "\x00")
	for _, record := range records {
		head, path, _ := strings.Cut(record, "\t")
		switch fields := strings.Fields(head); {
		case len(fields) == 3 && fields[0] == "160000":
			submodules++
		case len(fields) == 3:
			list = append(list, path+" "+fields[2])
		}
	}
	return list, submodules
}

// brought is what git's log tells of commits, the newest first, and of their files.
func (r repository) brought(t *testing.T, args ...string) (commits []string, changes [][]Change) {
	t.Helper()
	args = append([]string{"log", "--date-order", "--format=tformat:%H", "-z", "--raw", "--no-abbrev", "-r", "-c", "--root", "--no-renames"}, args...)
	records := strings.Split(gittest.Git(t, r.dir, args...), "\x00")
	for n := 0; n < len(records); n++ {
		record := strings.TrimPrefix(records[n], "\n")
		parents := len(record) - len(strings.TrimLeft(record, ":"))
		if parents == 0 && record != "" {
			commits, changes = append(commits, record), append(changes, nil)
		}
		if parents == 0 {
			continue
		}
		n++
		fields, last := strings.Fields(record[parents:]), len(changes)-1
		if mode, id := fields[parents], fields[2*parents+1]; mode != "160000" && mode != "000000" {
			changes[last] = append(changes[last], Change{commits[last], File{records[n], id}})
		}
	}
	return commits, changes
}

// What is read object by object is what git's own commands tell: of merges, roots, clocks that differ, and odd names.
func TestWalksAreThoseOfGit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 3))
			made := newRandom(t, r, 60)
			space := sandbox.Workspace{Root: made.dir, Source: made.dir, Home: made.dir, Temp: made.dir, Limit: 1 << 30}
			m := &Mirror{cache: New(Config{}), repo: git.Repo{Space: space}}
			defer m.close()
			any := func() string { return made.commits[r.IntN(len(made.commits))] }
			for range 25 {
				some := func(most int) (list []string) {
					for range r.IntN(most + 1) {
						list = append(list, any())
					}
					return list
				}
				from := Range{Heads: append(some(1), any()), Bases: some(2), Done: some(1)}
				wantOfHistory(t, made, m, from, 1+r.IntN(60))
				wantOfTree(t, made, m, from.Heads[0])
				wantOfChanged(t, made, m, any(), from.Heads[0])
			}
		})
	}
}

// without is an argument of git for the commits that some do not reach.
func without(heads []string, lists ...[]string) []string {
	args := slices.Clone(heads)
	for _, sha := range slices.Concat(lists...) {
		args = append(args, "^"+sha)
	}
	return append(args, "--")
}

func wantOfHistory(t *testing.T, made repository, m *Mirror, r Range, most int) {
	t.Helper()
	all, changes := made.brought(t, without(r.Heads, r.Bases)...)
	listed := all[:min(most, len(all))]
	want := History{Commits: slices.Clone(listed), Changes: firstOf(changes[:len(listed)])}
	slices.Reverse(want.Commits)
	if len(listed) < len(all) {
		next := slices.Concat(r.Heads, strings.Fields(gittest.Git(t, made.dir, append([]string{"log", "--no-walk", "--format=%P"}, listed...)...)))
		for _, sha := range strings.Fields(gittest.Git(t, made.dir, append([]string{"rev-list"}, without(r.Heads, r.Bases, r.Done)...)...)) {
			if slices.Contains(listed, sha) {
				continue
			}
			want.Beyond++
			if slices.Contains(next, sha) {
				want.Tips = append(want.Tips, sha)
			}
		}
	}
	if len(r.Done) > 0 {
		want.Done = map[string]bool{}
		for _, sha := range strings.Fields(gittest.Git(t, made.dir, append([]string{"rev-list"}, without(r.Done, r.Bases)...)...)) {
			want.Done[sha] = true
		}
	}
	got, err := m.Between(t.Context(), r, most)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Fatalf("%v, %d of %v (-git +mirror):\n%s", err, most, r, diff)
	}
}

func wantOfTree(t *testing.T, made repository, m *Mirror, sha string) {
	t.Helper()
	want, submodules := made.files(t, "ls-tree", "-r", "-z", "--full-tree", sha)
	var got []string
	n, err := m.Files(t.Context(), sha, func(f File) { got = append(got, f.Path+" "+f.Blob) })
	if diff := cmp.Diff(want, got); err != nil || diff != "" || n != submodules {
		t.Fatalf("%v, files of %s and %d submodules, want %d (-git +mirror):\n%s", err, sha, n, submodules, diff)
	}
}

func wantOfChanged(t *testing.T, made repository, m *Mirror, base, head string) {
	t.Helper()
	names := func(filter string) []string {
		text := gittest.Git(t, made.dir, "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter="+filter, base, head)
		return slices.DeleteFunc(strings.Split(text, "\x00"), func(name string) bool { return name == "" })
	}
	submodules := map[string]bool{}
	for record := range strings.SplitSeq(gittest.Git(t, made.dir, "ls-tree", "-r", "-z", head), "\x00") {
		if about, path, _ := strings.Cut(record, "\t"); strings.HasPrefix(about, "160000") {
			submodules[path] = true
		}
	}
	want := slices.DeleteFunc(names("AMT"), func(name string) bool { return submodules[name] })
	changed, gone, err := m.Changed(t.Context(), base, head)
	if diff := cmp.Diff(want, changed, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Fatalf("%v, changed (-git +mirror):\n%s", err, diff)
	}
	for _, name := range names("D") {
		if !slices.Contains(gone, name) {
			t.Fatalf("%q is gone, not in %q", name, gone)
		}
	}
}
