//go:build linux

package scanbench

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

// Shapes of the repositories.
const (
	fileSize     = 9200 // on average
	filesPerDir  = 30
	changedFiles = 3 // by a commit
	firstLeaks   = 5 // in the first commit
)

// repository is a bare one whose main branch grows.
type repository struct {
	dir    string
	random *rand.Rand
	names  []string
	texts  map[string]string // at the head of main, by name
	head   string
	n      int       // commits
	leaks  []finding // at the head of main
}

// newRepository makes a repository of so many files and commits. Each commit but the first changes a few files.
func newRepository(t testing.TB, files, commits int) *repository {
	t.Helper()
	r := &repository{dir: t.TempDir(), random: rand.New(rand.NewPCG(uint64(files), 1)), texts: map[string]string{}}
	forgetest.Git(t, "", "init", "--quiet", "--bare", "--initial-branch=main", r.dir)
	forgetest.Git(t, r.dir, "config", "uploadpack.allowFilter", "true") // as the real platforms do
	s := &stream{repository: r}
	all := map[string]string{}
	for n := range files {
		ending := endings[n%len(endings)]
		name := fmt.Sprintf("src/part%d/%s_%d.%s", n/filesPerDir, pick(r.random, nouns), n, ending)
		r.names = append(r.names, name)
		all[name] = textOf(r.random, ending, fileSize/2+r.random.IntN(fileSize))
	}
	for n := range firstLeaks {
		name := r.names[n*files/firstLeaks]
		all[name] = r.plant(name, all[name], n)
	}
	s.commit("main", "", all)
	for range commits - 1 {
		s.commit("main", "", r.change())
	}
	s.run(t)
	forgetest.Git(t, r.dir, "gc", "--quiet")
	r.head = r.tip(t, "main")
	return r
}

// plant adds a secret to a text, as the last line of a file of main, and remembers it.
func (r *repository) plant(name, text string, n int) string {
	leaky, leak := planted(r.random, name, text, n)
	r.leaks = append(r.leaks, leak)
	return leaky
}

// planted is a text with a secret as its last line.
func planted(random *rand.Rand, name, text string, n int) (leaky string, leak finding) {
	line, rule := secret(random, n)
	return text + line, finding{name, 1 + strings.Count(text, "\n"), rule}
}

// change is the next texts of a few files: other lines replace the first ones.
func (r *repository) change() map[string]string {
	changed := map[string]string{}
	for len(changed) < changedFiles {
		name := pick(r.random, r.names)
		lines := languages[strings.TrimPrefix(filepath.Ext(name), ".")](r.random)
		rest := strings.SplitAfterN(r.texts[name], "\n", 1+strings.Count(lines, "\n"))
		changed[name] = lines + rest[len(rest)-1]
	}
	return changed
}

// push commits so many times to main, with more files in the first commit, and returns where that was before.
func (r *repository) push(t testing.TB, commits int, more map[string]string) (before string) {
	t.Helper()
	s := &stream{repository: r}
	for n := range commits {
		texts := r.change()
		if n == 0 {
			maps.Copy(texts, more)
		}
		s.commit("main", r.head, texts)
	}
	s.run(t)
	before, r.head = r.head, r.tip(t, "main")
	return before
}

// branch commits once to a new branch, with more files, and returns its head. Main stays where it is.
func (r *repository) branch(t testing.TB, name string, more map[string]string) string {
	t.Helper()
	texts := r.change()
	maps.Copy(texts, more)
	s := &stream{repository: r}
	s.write(name, r.head, texts)
	s.run(t)
	return r.tip(t, name)
}

func (r *repository) tip(t testing.TB, branch string) string {
	t.Helper()
	return forgetest.Git(t, r.dir, "rev-parse", "refs/heads/"+branch)
}

// checkOut puts the files of main into a directory.
func (r *repository) checkOut(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	forgetest.Git(t, r.dir, "--work-tree="+dir, "checkout", "--quiet", "--force", "main", "--", ".")
	return dir
}

// size is that of all files at the head of main, in bytes.
func (r *repository) size() (bytes int) {
	for _, text := range r.texts {
		bytes += len(text)
	}
	return bytes
}

// stream is what git fast-import reads.
type stream struct {
	*repository
	bytes.Buffer
}

// commit adds one that becomes the head of a branch.
func (s *stream) commit(branch, from string, texts map[string]string) {
	s.write(branch, from, texts)
	maps.Copy(s.texts, texts)
}

// write adds one whose texts are forgotten. from is the commit before, unless the stream has it.
func (s *stream) write(branch, from string, texts map[string]string) {
	first := s.Len() == 0
	s.n++
	fmt.Fprintf(s, "commit refs/heads/%s\ncommitter Mira Holm <mira@example.com> %d +0000\n", branch, 1_767_225_600+s.n)
	message := fmt.Sprintf("Change %s %d\n", pick(s.random, nouns), s.n)
	fmt.Fprintf(s, "data %d\n%s", len(message), message)
	if from != "" && first {
		fmt.Fprintf(s, "from %s\n", from)
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(s, "M 100644 inline %s\ndata %d\n%s\n", name, len(texts[name]), texts[name])
	}
}

func (s *stream) run(t testing.TB) {
	t.Helper()
	forgetest.GitInput(t, s.dir, s.String(), "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet")
}
