package blobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

// Planted secrets, put together here so that no scanner takes this file for leaky.
var (
	githubToken  = "ghp_" + "1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R"
	githubToken2 = "ghp_" + "zY9xW8vU7tS6rQ5pO4nM3lK2jI1hG0fE9dC8"
	githubToken3 = "ghp_" + "mN3bV5cX7zL9kJ1hG2fD4sA6pO8iU0yT5rE4"
)

const project = "p"

// world is a project on a git server, and the mirrors of it.
type world struct {
	server *gittest.Server
	cache  *mirror.Cache
	rules  *gitleaks.Rules
}

func rulesOf(t testing.TB) *gitleaks.Rules {
	t.Helper()
	rules, err := gitleaks.LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{server: gittest.NewServer(t), cache: mirror.New(mirror.Config{Dir: filepath.Join(t.TempDir(), "mirrors")}), rules: rulesOf(t)}
	w.server.Commit(t, project, gittest.Files{"README": "read me\n"})
	gittest.Git(t, w.dir(), "config", "uploadpack.allowFilter", "true")
	return w
}

func (w *world) dir() string { return filepath.Join(w.server.Dir, project+".git") }

func (w *world) commit(t testing.TB, content gittest.Files) string {
	t.Helper()
	gittest.Write(t, w.dir(), content)
	return w.server.Amend(t, project, "more")
}

// refused adds a commit to the server that git does not take from it.
func (w *world) refused(t *testing.T) (sha string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "commit")
	text := "tree " + gittest.Git(t, w.dir(), "rev-parse", "HEAD^{tree}") + "\n\nwithout an author\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return gittest.Git(t, w.dir(), "hash-object", "-t", "commit", "--literally", "-w", file)
}

func (w *world) remove(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(w.dir(), name)); err != nil {
			t.Fatal(err)
		}
	}
	return w.server.Amend(t, project, "less")
}

// checkOut lays a commit out as the files of a workspace.
func (w *world) checkOut(t testing.TB, space sandbox.Workspace, sha string) {
	t.Helper()
	p := mirror.Project{Key: "test/1", Remote: w.server.Remote(project)}
	err := w.cache.Use(t.Context(), p, sha, func(ctx context.Context, m *mirror.Mirror) error { return m.LayOut(ctx, space) })
	if err != nil {
		t.Fatal(err)
	}
}

// scan searches a commit and adds what it found to what is known.
func (w *world) scan(t testing.TB, scan Scan, head string) (result Result) {
	t.Helper()
	scan.Rules = w.rules
	if scan.Base != "" && scan.Known != nil && scan.Trees == nil { // it was searched
		scan.Trees = []string{scan.Base}
	}
	p := mirror.Project{Key: "test/1", Remote: w.server.Remote(project)}
	err := w.cache.Use(t.Context(), p, head, func(ctx context.Context, m *mirror.Mirror) (err error) {
		result, err = scan.Run(ctx, m, head)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", result); strings.Contains(text, githubToken[4:]) || strings.Contains(text, githubToken2[4:]) {
		t.Errorf("a secret is in the result: %s", text)
	}
	if scan.Known != nil {
		maps.Copy(scan.Known, result.Fresh)
	}
	return result
}

// where are the files of findings.
func where(found []core.Finding) (all []string) {
	for _, f := range found {
		all = append(all, fmt.Sprintf("%s:%d", f.File, f.Line))
	}
	return all
}

// lines are the commits and places of the findings in history.
func (r Result) lines() (all []string) {
	for _, f := range r.History {
		all = append(all, fmt.Sprintf("%s %s:%d", f.Commit, f.File, f.Line))
	}
	return all
}

func leak(token string) string { return "token = '" + token + "'\n" }

// A commit has the findings that its checkout has.
func TestScanFindsWhatACheckoutHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := os.Symlink("ghp_"+githubToken2[4:], filepath.Join(w.dir(), "link")); err != nil {
		t.Fatal(err)
	}
	content := gittest.Files{
		"a.py": leak(githubToken), "copy/a.py": leak(githubToken), "deploy.yaml": "x: 1\n" + leak(githubToken2), "image.png": leak(githubToken),
		"node_modules/a.js": leak(githubToken), "clean.go": "package clean\n", "empty": "", "ä b/c": leak(githubToken2), "x.zip.d/a": leak(githubToken),
		"latin1": "gr\xfc\xdfe\n" + leak(githubToken), "main.tf": "password = \"xK92" + "vLq0PmZ7tRw4YcB8nDf6\"\n",
	}
	for n := range 60 {
		content[fmt.Sprintf("src/%d.go", n)] = fmt.Sprintf("package src // %d\n", n)
	}
	head := w.commit(t, content)
	space := sandboxtest.Open(t)
	w.checkOut(t, space, head)
	checkout, err := gitleaks.Search(t.Context(), space.Source)
	if err != nil {
		t.Fatal(err)
	}
	got := w.scan(t, Scan{}, head)
	inOrder := cmpopts.SortSlices(func(a, b core.Finding) bool { return a.File+a.RuleID < b.File+b.RuleID })
	if diff := cmp.Diff(checkout.Findings, got.Findings, inOrder); diff != "" || len(got.Findings) < 8 {
		t.Errorf("findings of %d (-checkout +objects):\n%s", len(checkout.Findings), diff)
	}
	want := core.Coverage{Searched: 69, Left: []core.Omission{{Reason: core.LeftAllowed, Count: 2, Names: []string{"image.png", "node_modules/a.js"}}}}
	if diff := cmp.Diff(want, got.Coverage); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
}

// Each contents is searched once; what is found later is what a scan of everything finds.
func TestScanReadsWhatIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(t, gittest.Files{"a": leak(githubToken), "b": "two\n", "large.so": "\x7fELF" + strings.Repeat("\x00\x01\x02", 999)})
	known := core.SearchedContents{}
	if got := w.scan(t, Scan{Known: known}, first); got.Coverage.Searched != 3 || !slices.Equal(where(got.Findings), []string{"a:1"}) {
		t.Fatalf("got %+v", got)
	}
	second := w.commit(t, gittest.Files{"b": "changed\n", "copy": leak(githubToken), "c": "x\n" + leak(githubToken2)})
	got := w.scan(t, Scan{Known: known, Base: first}, second)
	if !slices.Equal(where(got.Findings), []string{"a:1", "c:2", "copy:1"}) || got.Coverage.Searched != 2 || len(got.Fresh) != 1 {
		t.Errorf("want two contents searched and three findings, got %+v", got)
	}
	if left := got.Coverage.Left; len(left) != 1 || left[0].Reason != core.LeftBinary || !slices.Equal(left[0].Names, []string{"large.so"}) {
		t.Errorf("want it told again what is left out, got %+v", left)
	}
	moved := w.remove(t, "a", "copy")
	got = w.scan(t, Scan{Known: known, Base: second}, moved)
	if !slices.Equal(where(got.Findings), []string{"c:2"}) || got.Coverage.Searched != 0 {
		t.Errorf("want nothing searched, got %+v", got)
	}
	anew := w.scan(t, Scan{}, moved)
	if diff := cmp.Diff(anew.Findings, got.Findings); diff != "" {
		t.Errorf("findings (-anew +step by step):\n%s", diff)
	}
}

// What was added and removed within one push is found in the commit that brought it.
func TestScanSearchesHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.commit(t, gittest.Files{"old": leak(githubToken)})
	known := core.SearchedContents{}
	w.scan(t, Scan{Known: known}, base)
	bad := w.commit(t, gittest.Files{"secret": "key = '" + githubToken2 + "'\n", "moved": "m\n" + leak(githubToken3)})
	w.remove(t, "secret", "moved")
	head := w.commit(t, gittest.Files{"elsewhere": "n\n  other_" + leak(githubToken3)})
	got := w.scan(t, Scan{Known: known, Base: base}, head)
	if !slices.Equal(where(got.Findings), []string{"elsewhere:2", "old:1"}) {
		t.Errorf("in the tree: %v", where(got.Findings))
	}
	if len(got.History) != 1 || got.History[0].Commit != bad || got.History[0].File != "secret" || got.History[0].Line != 1 {
		t.Errorf("want the secret in %s, got %+v", bad, got.History)
	}
	short := w.scan(t, Scan{Known: core.SearchedContents{}, Base: base, History: 1}, head)
	if left := short.Coverage.Left; len(short.History) != 0 || len(left) != 1 || left[0].Reason != core.LeftHistory || left[0].Count != 2 {
		t.Errorf("want two commits left out and told, got %+v", short)
	}
	gone := w.scan(t, Scan{Known: known, Base: strings.Repeat("a", 40)}, head)
	if left := gone.Coverage.Left; len(gone.Findings) != 2 || len(left) != 1 || left[0].Reason != core.LeftHistory {
		t.Errorf("want the tree searched without a base, and told that the commits were not, got %+v", gone)
	}
	unsearched := w.scan(t, Scan{Base: base}, head)
	if len(unsearched.Findings) != 2 || len(unsearched.History) != 1 || unsearched.Coverage.Searched != 5 {
		t.Errorf("want all of the tree searched, and the commits after a base that was not, got %+v", unsearched)
	}
	whole := w.scan(t, Scan{Base: bad, Whole: true}, head)
	if len(whole.History) != 1 || whole.History[0].Commit != bad {
		t.Errorf("want what the first commit brought, got %+v", whole)
	}
}

// Every version of a file that is edited elsewhere holds the same secret: it is one finding, in the tree or in one commit.
func TestTheSameSecretIsOneFinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.commit(t, gittest.Files{"clean": "x\n"})
	var brought string
	for n := range 4 {
		sha := w.commit(t, gittest.Files{
			"stays": leak(githubToken) + strings.Repeat("# more\n", n), "goes": strings.Repeat("# more\n", n) + leak(githubToken2),
			"other": fmt.Sprintf("x = 1 # %d\nkey = '%s'\n", n, githubToken2),
		})
		if n == 0 {
			brought = sha
		}
	}
	head := w.remove(t, "goes", "other")
	got := w.scan(t, Scan{Base: base}, head)
	if !slices.Equal(where(got.Findings), []string{"stays:1"}) {
		t.Errorf("in the tree: %v", where(got.Findings))
	}
	if want := []string{brought + " goes:1"}; !slices.Equal(got.lines(), want) {
		t.Errorf("want each once, in %s, got %v", brought, got.lines())
	}
}

// What a baseline had stays in history, as far as today's rules find it; what the mirror does not have stays as it was.
func TestFindingsStayInHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older := w.commit(t, gittest.Files{"older": leak(githubToken)})
	w.remove(t, "older")
	base := w.commit(t, gittest.Files{"a": "a = '" + githubToken2 + "'\n", "b": "b = '" + githubToken3 + "'\n", "c": "c = '" + githubToken3 + "'\n"})
	known := core.SearchedContents{}
	w.scan(t, Scan{Known: known}, older)
	first := w.scan(t, Scan{Known: known}, base)
	past := append(first.Findings, core.Finding{RuleID: "github-pat", File: "older", Line: 1, Commit: older},
		core.Finding{RuleID: "x", File: "none", Line: 9, Snippet: "lost", Commit: strings.Repeat("b", 40)},
		core.Finding{RuleID: "x", File: "older/not", Line: 9, Snippet: "moved", Commit: older})
	for i := range first.Findings {
		past[i].Commit = base
	}
	w.remove(t, "a", "c")
	head := w.commit(t, gittest.Files{"b": "b = '" + githubToken3 + "'\n# more\n"})
	for _, known := range []core.SearchedContents{known, nil} { // the same rules, and other ones
		got := w.scan(t, Scan{Known: known, Base: base, Past: past}, head)
		want := []string{base + " a:1", older + " older:1", strings.Repeat("b", 40) + " none:9", older + " older/not:9"}
		if !slices.Equal(where(got.Findings), []string{"b:1"}) || !slices.Equal(got.lines(), want) {
			t.Errorf("want %v in history, got %v and %v", want, where(got.Findings), got.lines())
		}
	}
	none := []core.Finding{{RuleID: "github-pat", File: "README", Line: 1, Commit: base}}
	if got := w.scan(t, Scan{Known: known, Base: base, Past: none}, head); len(got.lines()) != 0 {
		t.Errorf("want what today's rules do not find ended, got %v", got.lines())
	}
}

// Coverage names a file by the path that it has now, and both files of equal contents.
func TestCoverageNamesWhatTheTreeHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	program, noise := "\x7fELF"+strings.Repeat("\x00\x01\x02", 999), "PK\x03\x04"+strings.Repeat("\x00\x01\x02\xfe\xff", 200)
	first := w.commit(t, gittest.Files{"old.so": program, "old.zip": noise})
	known := core.SearchedContents{}
	w.scan(t, Scan{Known: known}, first)
	w.remove(t, "old.so", "old.zip")
	second := w.commit(t, gittest.Files{"new.so": program, "copy/of.so": program, "new.zip": noise})
	got := w.scan(t, Scan{Known: known, Base: first}, second).Coverage
	want := core.Coverage{Left: []core.Omission{
		{Reason: core.LeftArchive, Count: 1, Names: []string{"new.zip"}},
		{Reason: core.LeftBinary, Count: 2, Names: []string{"copy/of.so", "new.so"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
}

// A file that a push adds is in the tree and in a commit, but it is one file.
func TestCoverageCountsAFileOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.commit(t, gittest.Files{"old.png": "1\n"})
	w.commit(t, gittest.Files{"gone.png": "2\n"})
	w.remove(t, "gone.png")
	head := w.commit(t, gittest.Files{"new.png": "3\n", "a": "1\n"})
	got := w.scan(t, Scan{Base: base, Known: core.SearchedContents{}}, head).Coverage
	want := core.Coverage{Searched: 1, Left: []core.Omission{{Reason: core.LeftAllowed, Count: 2, Names: []string{"new.png", "gone.png"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
}

// A commit cannot blind the search.
func TestScanIsNotBlinded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The author's own git must not encode what is committed.
	gittest.Write(t, w.dir(), gittest.Files{".git/info/attributes": "* !working-tree-encoding !filter !text\n"})
	head := w.commit(t, gittest.Files{
		".gitattributes": "* working-tree-encoding=UTF-16 export-ignore filter=lfs -diff binary\n", "a.txt": leak(githubToken),
		".gitignore": "*\n", ".gitleaksignore": "a.txt:github-pat:1\n", ".gitleaks.toml": "[allowlist]\npaths = ['.*']\n",
		"wide.txt":  "\xff\xfet\x00o\x00k\x00e\x00n\x00 \x00=\x00 \x00" + strings.Join(strings.Split(githubToken2, ""), "\x00") + "\x00\n\x00",
		"mz.py":     "MZ" + leak(githubToken),
		"deep/.env": leak(githubToken) + "# gitleaks:allow\n",
	})
	got := w.scan(t, Scan{}, head)
	if want := []string{"a.txt:1", "deep/.env:1", "mz.py:1", "wide.txt:1"}; !slices.Equal(slices.Compact(where(got.Findings)), want) {
		t.Errorf("want %v, got %v", want, where(got.Findings))
	}
}

// Files with findings are laid out as they are in git, also where a new mirror does not have them yet.
func TestLayOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := os.Symlink("t = '"+githubToken+"'", filepath.Join(w.dir(), "link")); err != nil {
		t.Fatal(err)
	}
	content := gittest.Files{"a": "one\r\n" + leak(githubToken), "deep/er/b": leak(githubToken2), "clean": "x\n", ".gitattributes": "* text eol=lf\n"}
	gittest.Write(t, w.dir(), gittest.Files{".git/info/attributes": "* -text\n"})
	head := w.commit(t, content)
	result := w.scan(t, Scan{}, head)
	w.cache = mirror.New(mirror.Config{Dir: filepath.Join(t.TempDir(), "other")})
	dir := t.TempDir()
	err := w.cache.Use(t.Context(), mirror.Project{Key: "test/1", Remote: w.server.Remote(project)}, head,
		func(ctx context.Context, m *mirror.Mirror) error {
			files := append(result.Files, mirror.File{Path: "../outside", Blob: result.Files[0].Blob}, mirror.File{Path: "a/b", Blob: result.Files[0].Blob})
			return LayOut(ctx, m, files, dir)
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "deep/er/b", "link"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: want a plain file, got %v, %v", name, info, err)
			continue
		}
		if text, _ := os.ReadFile(filepath.Join(dir, name)); content[name] != "" && string(text) != content[name] {
			t.Errorf("%s: got %q", name, text)
		}
	}
	for _, name := range []string{"clean", "../outside", ".gitattributes"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was laid out", name)
		}
	}
}

// A fault of the host is none of a path. It does not run beside other tests, because the whole process gets no more files.
func TestLayOutTellsFaultsOfTheHost(t *testing.T) { //nolint:paralleltest // see above
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if err := errors.Join(write(root, "a/b", []byte("x")), write(root, "../c", nil), write(root, "a", nil), write(root, strings.Repeat("n", 999), nil)); err != nil {
		t.Errorf("want what the system does not take left out, got %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a", "b")); string(text) != "x" {
		t.Errorf("got %q, %v", text, err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err = write(root, "d", []byte("x"))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.As(err, new(sandbox.HostFault)) {
		t.Errorf("want the fault told, got %v", err)
	}
}

func TestScanStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	head := w.commit(t, gittest.Files{"a": leak(githubToken)})
	why := errors.New("time is up")
	p := mirror.Project{Key: "test/1", Remote: w.server.Remote(project)}
	err := w.cache.Use(t.Context(), p, head, func(ctx context.Context, m *mirror.Mirror) error {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(why)
		_, err := Scan{Rules: w.rules}.Run(ctx, m, head)
		return err
	})
	if !errors.Is(err, why) {
		t.Errorf("want %v, got %v", why, err)
	}
}

// A search that stopped before its end keeps what it came to, tells what is left, and the next one goes on from there.
func TestScanGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.commit(t, gittest.Files{"clean": "x\n"})
	content := gittest.Files{}
	for n := range 30 {
		content[fmt.Sprintf("%d.py", n)] = fmt.Sprintf("# %d\n%s", n, leak(githubToken))
	}
	bad := w.commit(t, content)
	w.remove(t, "7.py")
	head := w.commit(t, gittest.Files{"more": "y\n"})
	known := core.SearchedContents{}
	got := w.scan(t, Scan{Known: known, Base: base, Time: time.Nanosecond}, head)
	left := got.Coverage.Left
	if got.Whole || len(left) != 2 || left[0].Reason != core.LeftHistory || left[0].Count != 3 || left[1].Reason != core.LeftTime || left[1].Count != 30 {
		t.Fatalf("want three commits and the files of the tree left, got %+v", got)
	}
	if want := []core.Stretch{{Tips: []string{head}, Bases: []string{base}, Commits: 3}}; cmp.Diff(want, got.Coverage.History) != "" {
		t.Errorf("want to begin with these commits again, got %+v", got.Coverage.History)
	}
	next := w.commit(t, gittest.Files{"next": "z\n"})
	got = w.scan(t, Scan{Known: known, Trees: []string{}, Base: head, Left: got.Coverage.History}, next)
	if !got.Whole || len(got.Coverage.Left) != 0 || len(got.Findings) != 29 || len(got.History) != 0 {
		t.Errorf("want all searched, and the secret once, got %+v", got)
	}
	if len(got.Fresh) != 30 {
		t.Errorf("want what has findings kept alone, got %d contents of %s", len(got.Fresh), bad)
	}
}

// A file that takes too long is left out and tried again; the others are searched.
func TestScanLeavesOutWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.commit(t, gittest.Files{"clean": "x\n"})
	head := w.commit(t, gittest.Files{"slow.txt": strings.Repeat("words of no meaning = 1\n", 60_000), "a.py": leak(githubToken)})
	known := core.SearchedContents{}
	got := w.scan(t, Scan{Known: known, Base: base, PerFile: 300 * time.Millisecond}, head)
	left := slices.IndexFunc(got.Coverage.Left, func(o core.Omission) bool { return o.Reason == core.LeftTime })
	if got.Whole || left < 0 || !slices.Equal(got.Coverage.Left[left].Names, []string{"slow.txt"}) || len(got.Findings) != 1 {
		t.Fatalf("want the slow file left out alone, got %+v", got)
	}
	got = w.scan(t, Scan{Known: known, Base: base, Left: got.Coverage.History, PerFile: time.Hour}, head)
	if !got.Whole || len(got.Coverage.Left) != 0 {
		t.Errorf("want it searched in the end, got %+v", got)
	}
}

// A search that found too much keeps what it found, and finds the rest step by step.
func TestScanStopsAtTooManySecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.commit(t, gittest.Files{"clean": "x\n"})
	head := w.commit(t, gittest.Files{"a": leak(githubToken), "b": leak(githubToken2), "clean": "y\n"})
	var result Result
	err := w.cache.Use(t.Context(), mirror.Project{Key: "test/1", Remote: w.server.Remote(project)}, head, func(ctx context.Context, m *mirror.Mirror) error {
		run := newSearch(Scan{Rules: w.rules, Base: base, Known: core.SearchedContents{}, Workers: 1, Time: time.Hour, PerFile: time.Hour, History: 9}, m)
		run.found.Store(gitleaks.MaxSecrets - 1)
		if err := errors.Join(run.list(ctx, head), run.searchInTime(ctx)); err != nil {
			return err
		}
		run.place()
		result = run.result
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	left := result.Coverage.Left
	if result.Whole || len(result.Findings) != 1 || len(left) != 2 || left[1].Reason != core.LeftSecrets || left[1].Count < 1 {
		t.Fatalf("want one found, and the other told, got %+v", result)
	}
	next := w.commit(t, gittest.Files{"clean": "z\n"})
	got := w.scan(t, Scan{Known: result.Fresh, Trees: []string{}, Base: head, Left: result.Coverage.History}, next)
	if !got.Whole || len(got.Findings) != 2 || len(got.Coverage.Left) != 0 {
		t.Errorf("want both found, got %+v", got)
	}
}

// Commits that were left out are told until they are searched, also where what is pushed meanwhile is an empty commit.
func TestScanGoesOnWithCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := w.commit(t, gittest.Files{"clean": "x\n"})
	known := core.SearchedContents{}
	w.scan(t, Scan{Known: known}, base)
	bad := w.commit(t, gittest.Files{"secret": leak(githubToken)})
	w.remove(t, "secret")
	for n := range 4 {
		w.commit(t, gittest.Files{"clean": fmt.Sprint(n)})
	}
	head := w.commit(t, gittest.Files{"clean": "last"})
	got := w.scan(t, Scan{Known: known, Base: base, History: 2}, head)
	for _, want := range []int{5, 4, 3, 2, 1, 0} {
		left := got.Coverage.NotSearched()
		if !got.Whole || left != want || len(got.History) != 0 {
			t.Fatalf("want %d commits left, got %+v", want, got)
		}
		if want == 0 {
			break
		}
		gittest.Git(t, w.dir(), "commit", "--quiet", "--allow-empty", "-m", "nothing")
		next := gittest.Git(t, w.dir(), "rev-parse", "HEAD")
		got = w.scan(t, Scan{Known: known, Base: head, Left: got.Coverage.History, History: 2}, next)
		head = next
		if want == 1 && !slices.Equal(got.lines(), []string{bad + " secret:1"}) {
			t.Errorf("want the secret in the last of them, got %v", got.lines())
		}
		got.History = nil
	}
	gone := []core.Stretch{{Tips: []string{strings.Repeat("a", 40)}, Commits: 7}}
	next := w.commit(t, gittest.Files{"clean": "again"})
	if got := w.scan(t, Scan{Known: known, Base: head, Left: gone}, next); got.Coverage.NotSearched() != 0 {
		t.Errorf("want no word of commits that the server does not have, got %+v", got.Coverage)
	}
	refused := []core.Stretch{{Tips: []string{w.refused(t), gone[0].Tips[0]}, Commits: 7}}
	if got := w.scan(t, Scan{Known: known, Base: head, Left: refused}, next); got.Coverage.NotSearched() != 7 {
		t.Errorf("want what cannot be fetched told on, got %+v", got.Coverage)
	}
	full := []core.Stretch{{Tips: []string{bad}, Bases: []string{base}, Commits: 7}}
	if got := w.scan(t, Scan{Known: known, Base: head, Left: full, History: 1}, next); got.Coverage.NotSearched() != 7 {
		t.Errorf("want the others told where there is no room for them, got %+v", got.Coverage)
	}
	side := w.scan(t, Scan{Known: known, Base: base, Done: []string{head}, History: 1}, next)
	if side.Coverage.NotSearched() != 0 {
		t.Errorf("want what was searched before not told, got %+v", side.Coverage)
	}
}

// A commit of history that brings more than can be listed ends no scan: it is told, and the tree is searched.
func TestScanLeavesOutWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cache.MaxPaths = 50
	base := w.commit(t, gittest.Files{"clean": "x\n"})
	head := w.commit(t, gittest.Files{"secret": leak(githubToken)})
	many := gittest.Files{}
	for n := range 60 {
		many[fmt.Sprint(n)] = "x\n"
	}
	replaced := w.commit(t, many)
	want := []core.Stretch{{Tips: []string{head, replaced}, Bases: []string{base}, Commits: 1}}
	for _, scan := range []Scan{
		{Base: base, Pushed: []string{replaced}, Trees: []string{replaced}},
		{Base: head, Left: want, Past: []core.Finding{{Commit: replaced, File: "gone", RuleID: "r"}}},
	} {
		got := w.scan(t, scan, head)
		if diff := cmp.Diff(want, got.Coverage.History); diff != "" || !slices.Equal(where(got.Findings), []string{"secret:1"}) {
			t.Errorf("%q, left out (-want +got):\n%s", where(got.Findings), diff)
		}
		if len(got.History) != len(scan.Past) {
			t.Errorf("want what was known to stay, got %+v", got.History)
		}
	}
	replacing := w.scan(t, Scan{Base: replaced, Whole: true, Pushed: []string{head}}, head)
	if first := replacing.Coverage.History; len(first) == 0 || first[0].Tips[0] != replaced {
		t.Errorf("want word of the base, got %+v", replacing.Coverage)
	}
}

// A branch of more commits than one scan searches goes on with those that it left out: what was searched before takes no room.
func TestScanGoesOnWithALongBranch(t *testing.T) {
	t.Parallel()
	w, known := newWorld(t), core.SearchedContents{}
	base := w.commit(t, gittest.Files{"clean": "x\n"})
	head := ""
	for n := range 5 {
		head = w.commit(t, gittest.Files{"clean": fmt.Sprint(n)})
	}
	got := w.scan(t, Scan{Known: known, Base: base, History: 2}, head)
	for _, want := range []int{3, 2, 1, 0} {
		if left := got.Coverage.NotSearched(); left != want {
			t.Fatalf("want %d commits left, got %+v", want, got.Coverage)
		}
		next := w.commit(t, gittest.Files{"clean": fmt.Sprint("next ", want)})
		got = w.scan(t, Scan{Known: known, Base: base, Done: []string{head}, Left: got.Coverage.History, History: 2}, next)
		head = next
	}
}

// What the commits of a scan bring is bounded together, whatever number of ranges they are in.
func TestScanBoundsWhatRangesBring(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cache.MaxPaths = 50
	var commits []string
	for n := range 4 {
		files := gittest.Files{}
		for i := range 40 {
			files[fmt.Sprint(i)] = fmt.Sprintln(n, i)
		}
		commits = append(commits, w.commit(t, files))
	}
	left := []core.Stretch{
		{Tips: commits[2:3], Bases: commits[1:2], Commits: 1},
		{Tips: commits[1:2], Bases: commits[:1], Commits: 1},
	}
	got := w.scan(t, Scan{Base: commits[2], Left: left}, commits[3])
	if diff := cmp.Diff(left[1:], got.Coverage.History); diff != "" || got.Coverage.Searched != 81 { // and the first file
		t.Errorf("%d searched, left out (-want +got):\n%s", got.Coverage.Searched, diff)
	}
}

// Few contents at many paths are not made into more findings than a scan may have, not even for a moment.
func TestFindingsAreBoundedWhereTheyArePlaced(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t)
	half, other := core.Contents{}, core.Contents{}
	for n := range gitleaks.MaxSecrets / 2 {
		half.Findings = append(half.Findings, core.Finding{Snippet: fmt.Sprint("half ", n)})
		other.Findings = append(other.Findings, core.Finding{Snippet: fmt.Sprint("other ", n)})
	}
	class := rules.ClassOf("a")
	for name, test := range map[string]struct {
		tree    []mirror.File
		changes []mirror.Change
		left    map[core.LeftOut]string
	}{
		"full": {[]mirror.File{{Path: "a", Blob: "1"}}, []mirror.Change{{Commit: "c", File: mirror.File{Path: "a", Blob: "2"}}}, nil},
		"in the tree": {
			[]mirror.File{{Path: "a", Blob: "1"}, {Path: "b", Blob: "1"}, {Path: "c", Blob: "1"}},
			[]mirror.Change{{Commit: "c", File: mirror.File{Path: "c", Blob: "1"}}}, map[core.LeftOut]string{core.LeftSecrets: "b"},
		},
		"in the commit": {
			[]mirror.File{{Path: "a", Blob: "1"}, {Path: "b", Blob: "1"}},
			[]mirror.Change{{Commit: "c", File: mirror.File{Path: "a", Blob: "2"}}}, map[core.LeftOut]string{core.LeftHistory: ""},
		},
	} {
		run := newSearch(Scan{Rules: rules, Known: core.SearchedContents{{Blob: "1", Class: class}: half, {Blob: "2", Class: class}: other}}, nil)
		run.tree, run.changes, run.ranges = test.tree, test.changes, []core.Stretch{{Tips: []string{"c"}, Commits: 1}}
		run.place()
		if placed := len(run.result.Findings) + len(run.result.History); placed != gitleaks.MaxSecrets {
			t.Errorf("%s: got %d findings", name, placed)
		}
		left := make(map[core.LeftOut]string)
		for _, o := range run.result.Coverage.Left {
			left[o.Reason] = strings.Join(o.Names, " ")
		}
		if diff := cmp.Diff(test.left, left, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: left out (-want +got):\n%s", name, diff)
		}
	}
}

// What was between the beginning of a branch and the push before is not read again, and what was found there stays; commits
// that were left out then are read.
func TestScanOfABranchReadsWhatIsNew(t *testing.T) {
	t.Parallel()
	w, known := newWorld(t), core.SearchedContents{}
	base := w.commit(t, gittest.Files{"a": "0\n"})
	w.scan(t, Scan{Known: known}, base)
	leaky := w.commit(t, gittest.Files{"a": leak(githubToken)})
	w.commit(t, gittest.Files{"a": "2\n", "b": "two\n"})
	before := w.commit(t, gittest.Files{"a": "3\n"})
	if first := w.scan(t, Scan{Known: known, Base: base}, before); first.Coverage.Searched != 4 || len(first.History) != 1 {
		t.Fatalf("want all versions searched, got %+v", first)
	}
	head := w.commit(t, gittest.Files{"c": "4\n"})
	scan := Scan{Known: known, Base: base, Done: []string{before}}
	got := w.scan(t, scan, head)
	if want := []string{leaky + " a:1"}; got.Coverage.Searched != 3 || !slices.Equal(got.lines(), want) {
		t.Errorf("want %q, and but for the tree nothing of the branch searched, got %q, %+v", want, got.lines(), got.Coverage)
	}
	scan.Left = []core.Stretch{{Tips: []string{leaky}, Bases: []string{base}, Commits: 1}}
	scan.Known = core.SearchedContents{}
	if got := w.scan(t, scan, head); !slices.Equal(got.lines(), []string{leaky + " a:1"}) {
		t.Errorf("want what was left out searched, got %q, %+v", got.lines(), got.Coverage)
	}
}

// A push of a few files starts two processes of git: one to fetch, and one to read commits, directories and files.
func TestPushStartsFewProcesses(t *testing.T) {
	w := newWorld(t)
	content := gittest.Files{"old": leak(githubToken2)}
	for n := range 100 {
		content[fmt.Sprintf("src/%d.go", n)] = fmt.Sprintf("package src // %d\n", n)
	}
	known := core.SearchedContents{}
	base := w.commit(t, content)
	past := w.scan(t, Scan{Known: known}, base).Findings
	past[0].Commit = base
	head := w.commit(t, gittest.Files{"src/1.go": "x\n", "src/2.go": leak(githubToken), "src/3.go": "z\n"})
	started := gittest.Record(t)
	scan := Scan{Rules: w.rules, Known: known, Trees: []string{base}, Base: base, Past: past}
	p := mirror.Project{Key: "test/1", Remote: w.server.Remote(project)}
	err := w.cache.Use(t.Context(), p, head, func(ctx context.Context, m *mirror.Mirror) error {
		result, err := scan.Run(ctx, m, head)
		if len(result.Findings) != 2 || result.Coverage.Searched != 3 {
			t.Errorf("want the secrets and three contents searched, got %+v", result)
		}
		if err == nil {
			err = LayOut(ctx, m, result.Files, t.TempDir())
		}
		if err == nil {
			_, err = m.Diff(ctx, base, head, func(path string) bool { return path == "old" })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, line := range started() {
		for _, command := range []string{"fetch", "ls-tree", "log", "rev-list", "diff-tree", "diff", "cat-file"} {
			if slices.Contains(strings.Fields(line), command) {
				commands = append(commands, command)
			}
		}
	}
	if diff := cmp.Diff([]string{"fetch", "cat-file"}, commands); diff != "" || len(started()) != len(commands) {
		t.Errorf("commands (-want +got):\n%s%s", diff, started())
	}
}

// cpu is the time that this process and its children have computed; those of the git server are among them.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	total := time.Duration(0)
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			b.Fatal(err)
		}
		total += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return total
}

// code is a file of a size that looks like a program.
func code(random *rand.Rand, size int) string {
	words := []string{"func", "return", "err", "config", "token", "request", "nil", "value", "password", "key", "range", "client", "if", "string"}
	var text strings.Builder
	for text.Len() < size {
		for range 4 + random.IntN(8) {
			text.WriteString(words[random.IntN(len(words))] + " ")
		}
		fmt.Fprintf(&text, "= %x(%q)\n", random.Uint32(), words[random.IntN(len(words))])
	}
	return text.String()
}

// BenchmarkScan prints what scans of a project of 1,000 files and 9 MB compute: the search of a checkout, the first scan of
// git's objects, and that of a push that changes 3 files. Run: go test -run - -bench Scan -benchtime 3x ./internal/runner/blobs
func BenchmarkScan(b *testing.B) {
	w, random, content := newWorld(b), rand.New(rand.NewPCG(1, 2)), gittest.Files{}
	for n := range 1000 {
		content[fmt.Sprintf("src/%d/file%d.go", n%30, n)] = code(random, 9000)
	}
	base := w.commit(b, content)
	measure := func(name string, prepare, work func()) {
		b.Run(name, func(b *testing.B) {
			computed := time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				prepare()
				before := cpu(b)
				b.StartTimer()
				work()
				computed += cpu(b) - before
			}
			b.ReportMetric(float64(computed.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
	nothing := func() {}
	measure("checkout", nothing, func() {
		space, err := sandbox.New(b.TempDir(), 2<<30)
		if err != nil {
			b.Fatal(err)
		}
		w.checkOut(b, space, base)
		if _, err = gitleaks.Search(b.Context(), space.Source); err != nil {
			b.Fatal(err)
		}
	})
	anew := func() { w.cache = mirror.New(mirror.Config{Dir: b.TempDir()}) }
	measure("first", anew, func() { w.scan(b, Scan{}, base) })

	known, head, next := core.SearchedContents{}, base, base
	anew()
	w.scan(b, Scan{Known: known}, base)
	measure("push", func() {
		change := gittest.Files{}
		for n := range 3 {
			change[fmt.Sprintf("src/%d/file%d.go", n, n)] = code(random, 9000)
		}
		head, next = next, w.commit(b, change)
	}, func() {
		if got := w.scan(b, Scan{Known: known, Base: head}, next); got.Coverage.Searched != 3 {
			b.Fatalf("want three contents searched, got %+v", got.Coverage)
		}
	})
}
