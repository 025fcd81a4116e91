package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/blobs"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/store/storetest"
)

// picker reports each line with eval( in it of the files that it is given, which it notes in a file.
func picker(notes string) Scanner {
	script := `printf '%s ' "$@" >>"$0"; echo >>"$0"; grep -rnH --include=*.js --exclude-dir=.git 'eval(' "$@" | awk -F: '
		BEGIN { printf "{\"findings\":[" }
		{ printf "%s{\"rule_id\":\"eval\",\"severity\":\"low\",\"message\":\"evil\",\"file\":\"%s\",\"line\":%s}", (NR > 1 ? "," : ""), $1, $2 }
		END { print "]}" }'`
	return Scanner{Command: []string{"sh", "-c", script, notes, "{changed}"}, Write: []string{filepath.Dir(notes)}}
}

// A command that looks at changed files only does not let the findings of others end.
func TestCommandsOverChangedFiles(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		notes := filepath.Join(t.TempDir(), "notes")
		b := newBenchOn(t, e, picker(notes))
		b.server.Commit(t, "p", gittest.Files{"a.js": function("a"), "b.js": function("b"), "gone.js": function("c"), "readme": "x\n"})
		dir := filepath.Join(b.server.Dir, "p.git")
		scan := func(message string) (core.Scan, []core.Finding) {
			t.Helper()
			reference := b.accept(t, "p", b.server.Amend(t, "p", message))
			b.mustWork(t, true)
			scan, job, findings := b.get(t, reference)
			if job.State != core.JobCompleted {
				t.Fatalf("%s: %s", message, job.Error)
			}
			return scan, findings
		}
		_, first := scan("first")
		gittest.Git(t, dir, "rm", "--quiet", "gone.js")
		gittest.Write(t, dir, gittest.Files{"a.js": "\n" + function("a"), "-x.js": function("x"), "{output}": "x\n", "d/a b.js": "x\n"})
		second, found := scan("second")
		third, same := scan("third")
		gittest.Write(t, dir, gittest.Files{"b.js": "x\n"})
		fourth, _ := scan("fourth")

		text, err := os.ReadFile(notes)
		want := ". \n./-x.js a.js d/a b.js {output} \nb.js \n"
		if diff := cmp.Diff(want, string(text)); diff != "" || err != nil {
			t.Errorf("arguments (-want +got):\n%s%v", diff, err)
		}
		for _, test := range []struct{ got, want string }{
			{second.Summary, "1 new (1 low), 2 known, 1 fixed"}, {third.Summary, "0 new, 3 known"}, {fourth.Summary, "0 new, 2 known, 1 fixed"},
		} {
			if !strings.HasPrefix(test.got, test.want) {
				t.Errorf("want %q, got %q", test.want, test.got)
			}
		}
		prints := func(findings []core.Finding) map[string]string {
			all := map[string]string{}
			for _, f := range findings {
				all[f.File] = f.Fingerprint + f.Snippet
			}
			return all
		}
		if was, is, still := prints(first), prints(found), prints(same); was["b.js"] != is["b.js"] || was["a.js"] != is["a.js"] ||
			!cmp.Equal(is, still) {
			t.Errorf("want the same findings, got %v, %v, %v", was, is, still)
		}
	})
}

// Without the platform's baseline, and with more files than a command line takes, a command looks at all of them.
func TestCommandsOverManyChangedFiles(t *testing.T) {
	t.Parallel()
	notes := filepath.Join(t.TempDir(), "notes")
	b := newBench(t, picker(notes))
	b.accept(t, "p", b.server.Commit(t, "p", gittest.Files{"a.js": function("a")}))
	b.mustWork(t, true)
	content := gittest.Files{}
	for n := range 600 {
		content[strings.Repeat("n", 150)+"/"+strings.Repeat("f", 20+n%200)+string(rune('a'+n/200))] = "x\n"
	}
	gittest.Write(t, filepath.Join(b.server.Dir, "p.git"), content)
	reference := b.accept(t, "p", b.server.Amend(t, "p", "many"))
	b.mustWork(t, true)
	text, _ := os.ReadFile(notes)
	if scan, _, _ := b.get(t, reference); string(text) != ". \n. \n" || scan.Summary != "0 new, 1 known" {
		t.Errorf("want everything looked at, got %.80q, %q", text, scan.Summary)
	}
}

// unparsing cannot parse the files that it is given with the word bad in them, and notes what it is given in a file.
func unparsing(notes string) Scanner {
	script := `printf '%s ' "$@" >>"$0"; echo >>"$0"; grep -rl --include=*.py --exclude-dir=.git bad "$@" | awk '
		BEGIN { printf "{\"errors\":[" }
		{ printf "%s{\"filename\":\"%s\",\"reason\":\"syntax error\"}", (NR > 1 ? "," : ""), $0 }
		END { print "],\"generated_at\":\"\",\"metrics\":{},\"results\":[]}" }'`
	return Scanner{Command: []string{"sh", "-c", script, notes, "{changed}"}, Write: []string{filepath.Dir(notes)}}
}

// notesOf returns what scanners noted since the last call.
func notesOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), " \n", "\n")
}

// What a command could not search is looked at again, though it did not change.
func TestCommandsOverFilesThatWereNotSearched(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		notes, head := filepath.Join(t.TempDir(), "notes"), noCommit
		p := pushes{newBenchOn(t, e, unparsing(notes)), t}
		many := gittest.Files{}
		for n := range 21 { // more than are kept by name
			many[fmt.Sprintf("d/%02d.py", n)] = "bad\n"
		}
		for _, step := range []struct {
			name    string
			content gittest.Files
			given   string
			left    int
		}{
			{"the first", gittest.Files{"x y.py": "bad\n", "z.py": "bad\n", "b": "1\n"}, ".\n", 2},
			{"another file", gittest.Files{"b": "2\n"}, "b x y.py z.py\n", 2},
			{"one is mended", gittest.Files{"x y.py": "good\n"}, "x y.py z.py\n", 1},
			{"the other one is removed", gittest.Files{"z.py": ""}, "", 0},
			{"nothing is left", gittest.Files{"b": "3\n"}, "b\n", 0},
			{"many are broken", many, strings.Join(slices.Sorted(maps.Keys(many)), " ") + "\n", 21},
			{"not all names are known", gittest.Files{"b": "4\n"}, ".\n", 21},
		} {
			before := head
			head = p.commit(step.content)
			job := p.wants(p.push("main", before, head), core.Pass)
			left := 0
			if c := job.Coverage(); c != nil {
				left = c.NotSearched()
			}
			if given := notesOf(t, notes); given != step.given || left != step.left {
				t.Errorf("%s: want %d not searched of %q, got %d of %q", step.name, step.left, step.given, left, given)
			}
		}
	})
}

// What one command found, or did not, says nothing of another one.
func TestChangedCommandsLookAtEverything(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		notes := filepath.Join(t.TempDir(), "notes")
		p := pushes{newBenchOn(t, e, unparsing(notes)), t}
		first := p.commit(gittest.Files{"a.js": function("a")})
		p.wants(p.push("main", noCommit, first), core.Pass)
		p.Scanners["gitleaks"] = picker(notes)
		second := p.commit(gittest.Files{"b": "1\n"})
		p.wants(p.push("main", first, second), core.Pass, "a.js:2")
		third := p.commit(gittest.Files{"b": "2\n"})
		p.wants(p.push("main", second, third), core.Pass, "a.js:2")
		if given := notesOf(t, notes); given != ".\n.\nb\n" {
			t.Errorf("want everything once for each command, got %q", given)
		}
	})
}

// Commands of one scan do not see what another one has written, and the repository that they see is that of the commit.
func TestCommandsSeeTheirCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t, Scanner{Command: sh(`test ! -e mark && touch mark && test "$(cat a)" = '$Id$' && test "$(git log --format=%s)" = second && ` + clean)})
	b.server.Commit(t, "p", gittest.Files{"a": "$Id: 1 $\n", ".gitattributes": "a ident\n"})
	for range 2 {
		reference := b.accept(t, "p", b.server.Amend(t, "p", "second"))
		b.mustWork(t, true)
		if _, job, _ := b.get(t, reference); job.State != core.JobCompleted {
			t.Errorf("want it done, got %s", job.Error)
		}
	}
}

// pushes are made to one project, "p".
type pushes struct {
	*bench
	t *testing.T
}

func newPushes(t *testing.T, e storetest.Engine) pushes {
	t.Helper()
	return pushes{newBenchOn(t, e, Scanner{Builtin: gitleaks.Name}), t}
}

func (p pushes) dir() string { return filepath.Join(p.server.Dir, "p.git") }

// commit adds a commit; an empty text removes the file.
func (p pushes) commit(content gittest.Files) string {
	p.t.Helper()
	if _, err := os.Stat(p.dir()); err != nil {
		sha := p.server.Commit(p.t, "p", content)
		gittest.Git(p.t, p.dir(), "config", "uploadpack.allowFilter", "true")
		return sha
	}
	for name, text := range content {
		if text != "" {
			gittest.Write(p.t, p.dir(), gittest.Files{name: text})
		} else if err := os.Remove(filepath.Join(p.dir(), name)); err != nil {
			p.t.Fatal(err)
		}
	}
	return p.server.Amend(p.t, "p", "more")
}

// push has a commit scanned that was pushed onto another one, and returns the scan's reference.
func (p pushes) push(branch, before, sha string) string {
	p.t.Helper()
	reference := p.announce(branch, before, sha)
	p.mustWork(p.t, true)
	if _, job, _ := p.get(p.t, reference); job.State == core.JobPending && job.Error == errBaseFirst.Error() {
		p.mustWork(p.t, true)
		p.pass(basePause)
		p.mustWork(p.t, true)
	}
	return reference
}

func (p pushes) announce(branch, before, sha string) string {
	p.t.Helper()
	receipt, err := p.Jobs.AcceptCommit(p.t.Context(), core.Scan{
		SourcePlatform: "github", ProjectName: "p", ProjectRef: "1", CommitSHA: sha, BeforeSHA: before, Branch: branch, DefaultBranch: "main",
	}, "")
	if err != nil {
		p.t.Fatal(err)
	}
	return receipt.Reference
}

// fail lets a scan fail that nothing else is wrong with.
func (p pushes) fail(branch, before, sha string) {
	p.t.Helper()
	working := p.Scanners["gitleaks"]
	p.Scanners["gitleaks"] = Scanner{Builtin: "other"}
	reference := p.push(branch, before, sha)
	p.Scanners["gitleaks"] = working
	if scan, _, _ := p.get(p.t, reference); scan.Status != core.ScanFailed {
		p.t.Fatalf("want it failed, got %s", scan.Status)
	}
}

// wants expects a completed scan with findings, as "file:line" or "file:line in commit", in any order.
func (p pushes) wants(reference string, verdict core.Verdict, want ...string) core.Job {
	p.t.Helper()
	scan, job, findings := p.get(p.t, reference)
	var got []string
	for _, f := range findings {
		place := fmt.Sprintf("%s:%d", f.File, f.Line)
		if f.Commit != "" {
			place += " in " + f.Commit
		}
		got = append(got, place)
	}
	slices.Sort(got)
	slices.Sort(want)
	if scan.Status != core.ScanCompleted || *scan.Verdict != verdict || !slices.Equal(got, want) {
		p.t.Errorf("want %s with %q, got %s, %s with %q", verdict, want, scan.Status, scan.Summary+scan.Error, got)
	}
	return job
}

const noCommit = "0000000000000000000000000000000000000000"

func secret(token string) string { return "token = '" + token + "'\n" }

// What was added and removed within one push fails the commit, and so does what a push brought that was not scanned itself.
// It stays in history from then on.
func TestPushIsSearchedWhole(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		base := p.commit(gittest.Files{"a": "1\n"})
		p.wants(p.push("main", noCommit, base), core.Pass)
		bad := p.commit(gittest.Files{"leak": secret(githubToken)})
		head := p.commit(gittest.Files{"leak": ""})
		job := p.wants(p.push("main", base, head), core.Fail, "leak:1 in "+bad)
		if c := job.Coverage(); c == nil || c.Searched != 1 || len(c.Left) != 0 {
			t.Errorf("want one file searched, got %+v", c)
		}
		worse := p.commit(gittest.Files{"other": secret(githubToken2)})
		p.fail("main", head, worse)
		next := p.commit(gittest.Files{"other": "", "b": "2\n"})
		p.wants(p.push("main", worse, next), core.Fail, "leak:1 in "+bad, "other:1 in "+worse)
		clean := p.commit(gittest.Files{"c": "3\n"})
		job = p.wants(p.push("main", next, clean), core.Pass, "leak:1 in "+bad, "other:1 in "+worse)
		if job.NumUnchanged != 2 || job.NumAbsent != 0 || job.Coverage().Searched != 1 {
			t.Errorf("want what is in history known, and one file searched, got %+v", job)
		}
		tree := p.commit(gittest.Files{"leak": secret(githubToken)})
		p.wants(p.push("main", clean, tree), core.Pass, "leak:1", "other:1 in "+worse)
		gone := p.commit(gittest.Files{"leak": ""})
		p.wants(p.push("main", tree, gone), core.Pass, "leak:1 in "+tree, "other:1 in "+worse)
	})
}

// Before anything of a project was searched, a push tells which commits it brings.
func TestFirstPushIsSearchedFromItsBeginning(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		old := p.commit(gittest.Files{"old": secret(githubToken)})
		base := p.commit(gittest.Files{"old": ""})
		bad := p.commit(gittest.Files{"leak": secret(githubToken)})
		p.fail("main", base, bad)
		head := p.commit(gittest.Files{"leak": ""})
		p.wants(p.push("main", bad, head), core.Fail, "leak:1 in "+bad)
		if got := gittest.Git(t, p.dir(), "rev-parse", head+"~3"); got != old {
			t.Fatalf("the first commit is %s", got)
		}

		q := newPushes(t, e)
		first := q.commit(gittest.Files{"leak": secret(githubToken)})
		q.fail("main", noCommit, first)
		q.wants(q.push("main", first, q.commit(gittest.Files{"leak": ""})), core.Fail, "leak:1 in "+first)
	})
}

// Commits beyond scan_history stay told, and fail the commit where coverage does, until they are searched: an empty commit
// does not hide them. The next pushes go on with them, also where the mirror did not have them.
func TestCommitsBeyondHistoryAreTold(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{3, 1000} {
		p := newPushes(t, storetest.SQLite)
		p.Mirrors.Depth = depth
		p.Policies = core.Policies{{Match: "**", Policy: core.Policy{ScanHistory: 3}}}
		base := p.commit(gittest.Files{"a": "1\n"})
		p.wants(p.push("main", noCommit, base), core.Pass)
		bad := p.commit(gittest.Files{"leak": secret(githubToken)})
		p.commit(gittest.Files{"leak": ""})
		for n := range 7 {
			p.commit(gittest.Files{"a": fmt.Sprint(n)})
		}
		before := base
		var told []int
		for {
			gittest.Git(t, p.dir(), "commit", "--quiet", "--allow-empty", "--message", "nothing")
			head := gittest.Git(t, p.dir(), "rev-parse", "HEAD")
			reference := p.push("main", before, head)
			scan, job, found := p.get(t, reference)
			told, before = append(told, job.Coverage().NotSearched()), head
			if told[len(told)-1] == 0 || len(told) > 9 {
				if len(found) != 1 || found[0].Commit != bad || *scan.Verdict != core.Fail {
					t.Errorf("depth %d: want the secret in %s, got %+v", depth, bad, found)
				}
				break
			}
			if len(found) > 0 || !strings.Contains(scan.Summary, " not searched") {
				t.Errorf("depth %d: want no findings yet, and word of the rest, got %+v, %q", depth, found, scan.Summary)
			}
		}
		if len(told) < 4 || depth == 1000 && !slices.Equal(told, []int{7, 5, 3, 1, 0}) {
			t.Errorf("depth %d: told %v", depth, told)
		}
	}
}

// On a branch, what its last scan left out counts, and what it searched does not.
func TestBranchTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	base := p.commit(gittest.Files{"a": "1\n"})
	p.push("main", noCommit, base)
	p.Platforms["github"] = mergeBases{platform: p.Platforms["github"].(platform), base: base}
	p.Policies = core.Policies{{Match: "**", Policy: core.Policy{ScanHistory: 2}}}
	gittest.Git(t, p.dir(), "checkout", "--quiet", "-b", "topic")
	before := noCommit
	for n := range 3 {
		head := p.commit(gittest.Files{"a": fmt.Sprint("b", n)})
		if job := p.wants(p.push("topic", before, head), core.Pass); job.Coverage().NotSearched() != 0 {
			t.Errorf("push %d: told %+v", n, job.Coverage())
		}
		before = head
	}
	var head string
	for n := range 5 {
		head = p.commit(gittest.Files{"a": fmt.Sprint("c", n)})
	}
	for n, want := range []int{3, 2, 1, 0} { // each push brings one, and leaves room for another
		if job := p.wants(p.push("topic", before, head), core.Pass); job.Coverage().NotSearched() != want {
			t.Errorf("want %d told, got %+v", want, job.Coverage())
		}
		before, head = head, p.commit(gittest.Files{"a": fmt.Sprint("d", n)})
	}
}

// A search that has too little time is no failure: pushes are judged, and go on with it.
func TestSearchGoesOnWhereTimeWasUp(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		base := p.commit(gittest.Files{"a": "1\n"})
		p.push("main", noCommit, base)
		bad := p.commit(gittest.Files{"leak": secret(githubToken), "stays": secret(githubToken2)})
		head := p.commit(gittest.Files{"leak": ""})
		p.Scanners["gitleaks"] = Scanner{Builtin: gitleaks.Name, Timeout: 1}
		job := p.wants(p.push("main", base, head), core.Pass)
		if c := job.Coverage(); c.NotSearched() != 3 {
			t.Errorf("want two commits and a file told, got %+v", c)
		}
		next := p.commit(gittest.Files{"b": "1\n"})
		p.push("main", head, next)
		p.Scanners["gitleaks"] = Scanner{Builtin: gitleaks.Name}
		last := p.commit(gittest.Files{"b": "2\n"})
		job = p.wants(p.push("main", next, last), core.Fail, "leak:1 in "+bad, "stays:1")
		if c := job.Coverage(); c.NotSearched() != 0 {
			t.Errorf("want nothing left, got %+v", c)
		}
	})
}

// What was found and never reported is found by the next push: a commit counts as searched when its report is there.
func TestLostReportIsSearchedAgain(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	base := p.commit(gittest.Files{"a": "1\n"})
	bad := p.commit(gittest.Files{"leak": secret(githubToken)})
	head := p.commit(gittest.Files{"leak": ""})
	p.announce("main", base, head)
	lost, err := p.claim(t.Context(), "here")
	if err != nil {
		t.Fatal(err)
	}
	if end, err := p.work(t.Context(), lost); err != nil || len(end.report.Findings) != 1 {
		t.Fatalf("want it found, got %+v, %v", end.report, err)
	}
	if err := p.settle(t.Context(), lost, outcome{report: core.Report{Failure: "the report was lost"}}); err != nil {
		t.Fatal(err)
	}
	p.done(t.Context(), lost)
	next := p.commit(gittest.Files{"b": "2\n"})
	p.wants(p.push("main", head, next), core.Fail, "leak:1 in "+bad)
}

// What a push brought whose scan failed is searched with the next one, also where a forced push took it away.
func TestForcedPushHidesNothing(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		base := p.commit(gittest.Files{"a": "1\n"})
		p.wants(p.push("main", noCommit, base), core.Pass)
		bad := p.commit(gittest.Files{"leak": secret(githubToken)})
		p.fail("main", base, bad)
		gittest.Git(t, p.dir(), "reset", "--quiet", "--hard", base)
		next := p.commit(gittest.Files{"b": "2\n"})
		p.wants(p.push("main", bad, next), core.Fail, "leak:1 in "+bad)
	})
}

// Where a branch begins is not known either when a scan of it was asked for; of the default branch, that is no fault.
func TestBranchWhoseScanWasAskedForTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	for branch, want := range map[string]int{"topic": 1, "main": 0} {
		p := newPushes(t, storetest.SQLite)
		p.commit(gittest.Files{"leak": secret(githubToken)})
		head := p.commit(gittest.Files{"leak": ""})
		if job := p.wants(p.push(branch, "", head), core.Pass); job.Coverage().NotSearched() != want {
			t.Errorf("%s: want %d told, got %+v", branch, want, job.Coverage())
		}
	}
}

// Forced pushes that are more than are looked at are told.
func TestManyForcedPushesAreTold(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	base := p.commit(gittest.Files{"a": "1\n"})
	p.push("main", noCommit, base)
	before := base
	for n := range maxPushed + 3 {
		gittest.Git(t, p.dir(), "reset", "--quiet", "--hard", base)
		lost := p.commit(gittest.Files{"b": fmt.Sprint(n)})
		p.fail("main", before, lost)
		before = lost
	}
	gittest.Git(t, p.dir(), "reset", "--quiet", "--hard", base)
	job := p.wants(p.push("main", before, p.commit(gittest.Files{"c": "1\n"})), core.Pass)
	if n := job.Coverage().NotSearched(); n != 3 {
		t.Errorf("want three told, got %+v", job.Coverage())
	}
}

// A secret cannot be moved out of sight: to a path that the rules exempt.
func TestExemptPathHidesNoHistory(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	base := p.commit(gittest.Files{"a": "1\n"})
	p.wants(p.push("main", noCommit, base), core.Pass)
	bad := p.commit(gittest.Files{"app.env": secret(githubToken)})
	head := p.commit(gittest.Files{"app.env": "", "node_modules/x.js": secret(githubToken)})
	p.wants(p.push("main", base, head), core.Fail, "app.env:1 in "+bad)
}

// The push that begins a project brings all of its commits.
func TestFirstPushOfAProjectIsSearchedFromItsRoot(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	bad := p.commit(gittest.Files{"leak": secret(githubToken)})
	head := p.commit(gittest.Files{"leak": ""})
	p.wants(p.push("main", noCommit, head), core.Fail, "leak:1 in "+bad)
}

// A branch is searched from where it left the default branch, also where that was not searched.
func TestBranchIsSearchedFromItsMergeBase(t *testing.T) {
	t.Parallel()
	for _, searched := range []bool{true, false} {
		p := newPushes(t, storetest.SQLite)
		before := p.commit(gittest.Files{"main": secret(githubToken)})
		base := p.commit(gittest.Files{"main": "x\n"})
		if searched {
			p.push("main", noCommit, before)
			p.push("main", before, base)
		}
		p.Platforms["github"] = mergeBases{platform: p.Platforms["github"].(platform), base: base}
		gittest.Git(t, p.dir(), "checkout", "--quiet", "-b", "topic")
		bad := p.commit(gittest.Files{"leak": "key = '" + githubToken2 + "'\n"})
		head := p.commit(gittest.Files{"leak": ""})
		want := []string{"leak:1 in " + bad}
		if searched {
			want = append(want, "main:1 in "+before)
		}
		p.wants(p.push("topic", noCommit, head), core.Fail, want...)
		// A push that rewrites the branch leaves only what a branch still has.
		gittest.Git(t, p.dir(), "reset", "--quiet", "--hard", base)
		p.wants(p.push("topic", head, p.commit(gittest.Files{"b": "2\n"})), core.Pass, want[1:]...)
	}
}

// A branch that is scanned before main waits for the scan of the commit where it left main: what that has is not new.
func TestBaseIsScannedFirst(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		base := p.commit(gittest.Files{"main": secret(githubToken)})
		p.Platforms["github"] = mergeBases{platform: p.Platforms["github"].(platform), base: base}
		head := p.commit(gittest.Files{"topic": "x\n"})
		reference := p.announce("topic", noCommit, head)
		p.mustWork(t, true)
		p.waits(t, reference, errBaseFirst.Error())
		p.mustWork(t, true) // the base
		p.pass(basePause)
		p.mustWork(t, true)
		if job := p.wants(reference, core.Pass, "main:1"); job.NumUnchanged != 1 {
			t.Errorf("want the secret known, got %+v", job)
		}
		next := p.announce("other", noCommit, p.commit(gittest.Files{"other": "y\n"}))
		p.mustWork(t, true)
		p.wants(next, core.Pass, "main:1")
		p.mustWork(t, false)
	})
}

// A job waits while the platform cannot say what its branch is to be compared with, but not for ever.
func TestMergeBaseIsAwaited(t *testing.T) {
	t.Parallel()
	for _, fails := range []int{1, math.MaxInt} {
		p := newPushes(t, storetest.SQLite)
		base := p.commit(gittest.Files{"main": "x\n"})
		p.Platforms["github"] = mergeBases{platform: p.Platforms["github"].(platform), base: base, fails: &fails}
		reference := p.announce("topic", noCommit, p.commit(gittest.Files{"topic": "x\n"}))
		p.mustWork(t, true)
		p.waits(t, reference, "it is not known what the branch is to be compared with: 502")
		p.mustWork(t, false)
		if fails > 0 {
			p.pass(31 * time.Minute)
		} else {
			p.pass(longestRetryPause)
			p.mustWork(t, true)
			p.waits(t, reference, errBaseFirst.Error())
			p.mustWork(t, true) // the base
			p.pass(basePause)
		}
		p.mustWork(t, true)
		p.wants(reference, core.Pass)
	}
}

// A project keeps its mirror when it is renamed, and gets another one when that is lost.
func TestProjectKeepsItsMirror(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	first := p.commit(gittest.Files{"a": secret(githubToken)})
	p.push("main", noCommit, first)
	mirrors := glob(p.Mirrors.Dir, "*/git")
	if err := os.Rename(p.dir(), filepath.Join(p.server.Dir, "renamed.git")); err != nil {
		t.Fatal(err)
	}
	renamed := filepath.Join(p.server.Dir, "renamed.git")
	p.Platforms["github"] = movedTo{p.Platforms["github"].(platform), "renamed"}
	gittest.Write(t, renamed, gittest.Files{"b": secret(githubToken2)})
	second := p.server.Amend(t, "renamed", "second")
	p.wants(p.push("main", first, second), core.Fail, "a:1", "b:1")
	if got := glob(p.Mirrors.Dir, "*/git"); len(got) != 1 || !slices.Equal(got, mirrors) {
		t.Errorf("want the mirror %v, got %v", mirrors, got)
	}
	for _, damage := range []func(dir string) error{
		os.RemoveAll, func(dir string) error { return os.RemoveAll(filepath.Join(dir, "objects")) },
		func(dir string) error { return os.Truncate(filepath.Join(dir, "HEAD"), 0) },
	} {
		if err := damage(glob(p.Mirrors.Dir, "*/git")[0]); err != nil {
			t.Fatal(err)
		}
		gittest.Write(t, renamed, gittest.Files{"more": "x" + second})
		third := p.server.Amend(t, "renamed", "more")
		job := p.wants(p.push("main", second, third), core.Pass, "a:1", "b:1")
		if job.NumUnchanged != 2 {
			t.Errorf("want both known, got %+v", job)
		}
		second = third
	}
}

// A commit has no hold on the search, and what is not searched is told.
func TestSearchIsNotEvaded(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	gittest.Git(t, p.server.Dir, "init", "--quiet", "p.git")
	gittest.Write(t, p.dir(), gittest.Files{".git/info/attributes": "* !working-tree-encoding !filter !text\n"})
	gittest.Git(t, p.dir(), "config", "uploadpack.allowAnySHA1InWant", "true")
	gittest.Git(t, p.dir(), "commit", "--quiet", "--allow-empty", "--message", "empty")
	gittest.Git(t, p.dir(), "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("a", 40)+",sub/module")
	gittest.Write(t, p.dir(), gittest.Files{
		".gitattributes": "* working-tree-encoding=UTF-16 export-ignore filter=lfs -diff binary\n", "a.txt": secret(githubToken),
		".gitleaks.toml": "[allowlist]\npaths = ['.*']\n", ".gitleaksignore": "a.txt:github-pat:1\n", "b.so": "\x7fELF" + strings.Repeat("\x00\x01\x02", 999),
	})
	gittest.Git(t, p.dir(), "add", "--force", ".gitattributes", "a.txt", ".gitleaks.toml", ".gitleaksignore", "b.so")
	gittest.Git(t, p.dir(), "commit", "--quiet", "--message", "evades")
	head := gittest.Git(t, p.dir(), "rev-parse", "HEAD")
	reference := p.push("main", noCommit, head)
	job := p.wants(reference, core.Fail, "a.txt:1")
	want := []core.Omission{{Reason: core.LeftAllowed, Count: 1, Names: []string{".gitleaks.toml"}}, {Reason: core.LeftBinary, Count: 1, Names: []string{"b.so"}}, {Reason: core.LeftSubmodule, Count: 1}}
	if c := job.Coverage(); c == nil || c.Searched != 3 || fmt.Sprint(c.Left) != fmt.Sprint(want) {
		t.Errorf("coverage: %+v", c)
	}
	if _, _, found := p.get(t, reference); found[0].Code == "" || found[0].CodeLine != 1 {
		t.Errorf("want the code around it, got %+v", found[0])
	}
}

// searchHistory searches all commits of the project.
func (p pushes) searchHistory(ctx context.Context, report func(blobs.Progress)) (HistoryResult, error) {
	p.t.Helper()
	project, err := p.Jobs.FindProject(ctx, "github", "p")
	if err != nil {
		p.t.Fatal(err)
	}
	return p.SearchHistory(ctx, project, report)
}

func (p pushes) mustSearchHistory() HistoryResult {
	p.t.Helper()
	result, err := p.searchHistory(p.t.Context(), func(blobs.Progress) {})
	if err != nil {
		p.t.Fatal(err)
	}
	return result
}

// All commits that any ref reaches are searched once, however deep the mirror is; what they have is known, in the commit that brought
// it, and stays in later scans. Nothing of it fails a commit.
func TestHistoryIsSearchedWhole(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		p.Mirrors.Depth = 4
		p.Policies = core.Policies{{Match: "**", Policy: core.Policy{Scanners: []string{"gitleaks"}, ScanHistory: 3}}}
		old := p.commit(gittest.Files{"old": secret(githubToken), "stays": "x\n" + secret(githubToken2)})
		p.commit(gittest.Files{"old": ""})
		for n := range 12 {
			p.commit(gittest.Files{"a": fmt.Sprint(n)})
		}
		gittest.Git(t, p.dir(), "checkout", "--quiet", "-b", "side")
		side := p.commit(gittest.Files{"side": "key = 'ghp_" + "Q7wE5rT3yU1iO9pA2sD4fG6hJ8kL0zX1cV5b" + "'\n"})
		gittest.Git(t, p.dir(), "checkout", "--quiet", "main")
		before := gittest.Git(t, p.dir(), "rev-parse", "HEAD")
		head := p.commit(gittest.Files{"a": "last"})
		p.wants(p.push("main", before, head), core.Fail, "stays:2")
		reference := p.push("topic", noCommit, gittest.Git(t, p.dir(), "rev-parse", "HEAD~1"))
		if _, job, _ := p.get(t, reference); job.Coverage() == nil {
			t.Fatal("want the branch searched")
		}

		result := p.mustSearchHistory()
		if result.Searched != 16 || result.Left != 0 || result.Added != 2 || result.Scan.CommitSHA != head {
			t.Errorf("got %+v", result)
		}
		want := []string{"old:1 in " + old, "side:1 in " + side, "stays:2"}
		job := p.wants(result.Scan.ReferenceID, core.Fail, want...) // of the secret in the tree, which is new
		if job.NumFindings != 3 || job.NumUnchanged != 2 || job.Coverage().NotSearched() != 0 {
			t.Errorf("want two known and nothing left, got %+v", job)
		}
		next := p.commit(gittest.Files{"a": "next"})
		job = p.wants(p.push("main", head, next), core.Pass, want...)
		if job.NumUnchanged != 3 || job.NumAbsent != 0 {
			t.Errorf("want all known, got %+v", job)
		}
		if again := p.mustSearchHistory(); again.Added != 0 || again.Searched != 17 || again.Scan.CommitSHA != next {
			t.Errorf("want nothing added twice, got %+v", again)
		}
	})
}

// A secret in the tree of a branch that no scan has looked at stays found when the branch is pushed to afterwards.
func TestHistoryKnowsWhatTreesHave(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPushes(t, e)
		p.Policies = core.Policies{{Match: "**", Policy: core.Policy{Scanners: []string{"gitleaks"}}}}
		base := p.commit(gittest.Files{"a": "1\n"})
		gittest.Git(t, p.dir(), "checkout", "--quiet", "-b", "side")
		side := p.commit(gittest.Files{"leak": secret(githubToken)})
		gittest.Git(t, p.dir(), "checkout", "--quiet", "main")
		p.push("main", noCommit, base)
		if result := p.mustSearchHistory(); result.Added != 1 {
			t.Errorf("want it found, got %+v", result)
		}
		p.Platforms["github"] = mergeBases{platform: p.Platforms["github"].(platform), base: base}
		gittest.Git(t, p.dir(), "checkout", "--quiet", "side")
		next := p.push("side", side, p.commit(gittest.Files{"b": "1\n"}))
		if _, _, found := p.get(t, next); len(found) != 1 || found[0].File != "leak" || found[0].BaselineState == core.Absent {
			t.Errorf("want it found in the tree, got %+v", found)
		}
	})
}

// What earlier scans left out of the commits is no longer told once all are searched, also on branches.
func TestHistoryEndsWhatIsTold(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	p.Policies = core.Policies{{Match: "**", Policy: core.Policy{Scanners: []string{"gitleaks"}, ScanHistory: 1}}}
	base := p.commit(gittest.Files{"a": "1\n"})
	p.push("main", noCommit, base)
	p.Platforms["github"] = mergeBases{platform: p.Platforms["github"].(platform), base: base}
	gittest.Git(t, p.dir(), "checkout", "--quiet", "-b", "topic")
	p.commit(gittest.Files{"b": "1\n"})
	topic := p.commit(gittest.Files{"b": "2\n"})
	left := func(reference string) int {
		t.Helper()
		_, job, _ := p.get(t, reference)
		return job.Coverage().NotSearched()
	}
	reference := p.push("topic", noCommit, topic)
	if left(reference) != 1 {
		t.Fatalf("want a commit left, got %d", left(reference))
	}
	p.mustSearchHistory()
	if left(reference) != 0 {
		t.Errorf("want none left, got %d", left(reference))
	}
	if next := p.push("topic", topic, p.commit(gittest.Files{"b": "3\n"})); left(next) != 0 {
		t.Errorf("want none told again, got %d", left(next))
	}
}

// A head that cannot be fetched does not count as searched, and is told. Files that tags name are no commits.
func TestHistoryTellsWhatItCannotReach(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	p.Policies = core.Policies{{Match: "**", Policy: core.Policy{Scanners: []string{"gitleaks"}}}}
	head := p.commit(gittest.Files{"a": "1\n"})
	p.push("main", noCommit, head)
	gittest.Git(t, p.dir(), "tag", "file", "HEAD:a")
	file := filepath.Join(t.TempDir(), "commit")
	text := "tree " + gittest.Git(t, p.dir(), "rev-parse", "HEAD^{tree}") + "\n\nwithout an author\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := gittest.Git(t, p.dir(), "hash-object", "-t", "commit", "--literally", "-w", file)
	gittest.Git(t, p.dir(), "update-ref", "refs/heads/refused", refused)
	result := p.mustSearchHistory()
	_, job, _ := p.get(t, result.Scan.ReferenceID)
	if left := job.Coverage().Unread(); result.Refused != 1 || result.Left != 0 || len(left) != 1 || !slices.Equal(left[0].Tips, []string{refused}) {
		t.Errorf("want the head told, got %+v, %+v", result, left)
	}
	rules, err := gitleaks.LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	searched, err := p.Jobs.FindSearched(t.Context(), result.Scan.ProjectID, rules.WithKey(p.key).Version(), head, refused)
	if err != nil || !slices.Equal(searched, []string{head}) {
		t.Errorf("want only main searched, got %v, %v", searched, err)
	}
}

// Commits that cannot be listed are told, and the search ends.
func TestHistoryEndsBeforeWhatCannotBeListed(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	p.Policies = core.Policies{{Match: "**", Policy: core.Policy{Scanners: []string{"gitleaks"}}}}
	p.commit(gittest.Files{"a": "1\n"})
	many, none := gittest.Files{}, gittest.Files{}
	for n := range 30 {
		many[fmt.Sprint(n)], none[fmt.Sprint(n)] = "1\n", ""
	}
	p.commit(many)
	before := p.commit(none)
	head := p.commit(gittest.Files{"a": "2\n"})
	p.Mirrors.MaxPaths = 20
	p.wants(p.push("main", before, head), core.Pass)
	rounds := 0
	project, err := p.Jobs.FindProject(t.Context(), "github", "p")
	if err != nil {
		t.Fatal(err)
	}
	result, err := p.SearchHistory(t.Context(), project, func(blobs.Progress) { rounds++ })
	_, job, _ := p.get(t, result.Scan.ReferenceID)
	if err != nil || result.Left == 0 || result.Searched != 2 || rounds > 5 || len(job.Coverage().Unread()) == 0 {
		t.Errorf("want it to end after two commits, got %+v after %d rounds, %v", result, rounds, err)
	}
}

// A search that was interrupted reads nothing again.
func TestHistoryGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	p.Policies = core.Policies{{Match: "**", Policy: core.Policy{Scanners: []string{"gitleaks"}}}}
	bad := p.commit(gittest.Files{"leak": secret(githubToken)})
	p.commit(gittest.Files{"leak": ""})
	head := p.commit(gittest.Files{"a": "1\n"})
	p.push("main", gittest.Git(t, p.dir(), "rev-parse", "HEAD~1"), head)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := p.searchHistory(ctx, func(blobs.Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("want it interrupted, got %v", err)
	}
	project, err := p.Jobs.FindProject(t.Context(), "github", "p")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := gitleaks.LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	rules = rules.WithKey(p.key)
	searched, _, err := p.Jobs.LoadProgress(t.Context(), project.ID, rules.Version())
	if err != nil || len(searched) != 3 || !searched[bad] {
		t.Errorf("want three commits kept, got %v, %v", searched, err)
	}
	result := p.mustSearchHistory()
	p.wants(result.Scan.ReferenceID, core.Pass, "leak:1 in "+bad)
	searched, known, err := p.Jobs.LoadProgress(t.Context(), project.ID, rules.Version())
	if err != nil || len(searched)+len(known) != 0 {
		t.Errorf("want nothing kept in the end, got %v, %v, %v", searched, known, err)
	}
}

// Without a scan of the default branch's head there is nothing to which findings could be added.
func TestHistoryNeedsAScan(t *testing.T) {
	t.Parallel()
	p := newPushes(t, storetest.SQLite)
	base := p.commit(gittest.Files{"a": "1\n"})
	if _, err := p.Jobs.FindProject(t.Context(), "github", "p"); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("want it unknown, got %v", err)
	}
	p.fail("main", noCommit, base)
	if _, err := p.searchHistory(t.Context(), func(blobs.Progress) {}); err == nil {
		t.Error("want no search without a scanner that searches commits")
	}
	p.Policies = core.Policies{{Match: "**", Policy: core.Policy{Scanners: []string{"semgrep", "gitleaks"}}}}
	if _, err := p.searchHistory(t.Context(), func(blobs.Progress) {}); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("want %v, got %v", core.ErrNotFound, err)
	}
	next := p.commit(gittest.Files{"a": "2\n"})
	p.push("main", base, next)
	p.Scanners["gitleaks"] = Scanner{Builtin: gitleaks.Name, Timeout: 1}
	result := p.mustSearchHistory()
	if _, job, _ := p.get(t, result.Scan.ReferenceID); result.Left == 0 || !slices.ContainsFunc(job.Coverage().Left, func(o core.Omission) bool { return o.Reason == core.LeftHistory }) {
		t.Errorf("want what is left told, got %+v, %+v", result, job.Coverage())
	}
}
