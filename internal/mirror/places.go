package mirror

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// Place is where a file was.
type Place struct {
	Commit string
	Path   string // as core.Printable makes it, perhaps with "!" and the path of a member of an archive behind it
}

const (
	maxListed = 20   // commits that are listed as a whole to find what cannot be asked for by name
	maxAsked  = 1000 // places that git is asked for at once
	maxCuts   = 8    // of a path before a "!" that git is asked for: each costs as much as the path is long
)

// Find returns the files at places, in their order; without contents where the mirror does not have the commit, or the commit
// no such file.
func (m *Mirror) Find(ctx context.Context, places []Place) ([]File, error) {
	at := &lookup{mirror: m, answers: make(map[Place]answer)}
	// A commit's own directory tells whether the mirror has it.
	if err := at.ask(ctx, places, func(p Place) []Place { return []Place{p, {p.Commit, ""}} }); err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(places), func(p Place) bool { return at.answers[p].kind == kindBlob || !at.hasCommit(p) })
	if err := at.ask(ctx, left, cuts); err != nil {
		return nil, err
	}
	found := make([]File, len(places))
	for n, place := range places {
		found[n] = at.file(place)
	}
	return found, m.findInLists(ctx, places, found, at.hasCommit)
}

// findInLists finds what was not found by its name: contents that were not fetched, and names that are not printable, are seen
// in lists only. In a commit with more paths than may be listed nothing is.
func (m *Mirror) findInLists(ctx context.Context, places []Place, found []File, known func(Place) bool) error {
	unseen := make(map[string][]int)
	for n, place := range places {
		if commit := place.Commit; found[n].Blob == "" && known(place) && (unseen[commit] != nil || len(unseen) < maxListed) {
			unseen[commit] = append(unseen[commit], n)
		}
	}
	for commit, numbers := range unseen {
		listed := make(map[string]File)
		_, err := m.Files(ctx, commit, func(f File) { listed[core.Printable(f.Path)] = f })
		if errors.As(err, new(sandbox.LimitExceeded)) { // an earlier scan came to an end with it, by other limits
			continue
		}
		if err != nil {
			return err
		}
		seen := make(map[string]File) // by the path of a place, which may have thousands of readings
		for _, n := range numbers {
			path := places[n].Path
			file, again := seen[path]
			for whole := range readings(path) {
				if again || file.Blob != "" {
					break
				}
				file = listed[whole]
			}
			seen[path], found[n] = file, file
		}
	}
	return nil
}

// readings are the paths of files that the path of a place can mean: the whole, and then what stands before a "!", the longest
// first.
func readings(whole string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := len(whole); at > 0 && yield(whole[:at]); {
			at = strings.LastIndexByte(whole[:at], '!')
		}
	}
}

// cuts are the places of the archives in which the file at a place may be: two of them at most, but names may have a "!" too.
func cuts(p Place) (all []Place) {
	for path := range readings(p.Path) {
		if len(all) > maxCuts {
			break
		}
		all = append(all, Place{p.Commit, path})
	}
	return all
}

// lookup asks git for what is at places, once for each.
type lookup struct {
	mirror  *Mirror
	answers map[Place]answer
}

func (l *lookup) hasCommit(p Place) bool { return l.answers[Place{p.Commit, ""}].kind == "tree" }

// file is the file that the path of a place means.
func (l *lookup) file(p Place) File {
	for _, cut := range cuts(p) {
		if a := l.answers[cut]; a.kind == kindBlob {
			return File{cut.Path, a.id}
		}
	}
	return File{}
}

// ask asks for what each place may mean.
func (l *lookup) ask(ctx context.Context, places []Place, meanings func(Place) []Place) error {
	var some []Place
	for _, place := range places {
		for _, p := range meanings(place) {
			if _, asked := l.answers[p]; asked || !p.canBeAsked() {
				continue
			}
			l.answers[p] = answer{}
			if some = append(some, p); len(some) == maxAsked {
				if err := l.askFor(ctx, some); err != nil {
					return err
				}
				some = some[:0]
			}
		}
	}
	return l.askFor(ctx, some)
}

// canBeAsked tells whether git understands the name of a place as that: it takes a line, and "./" for a place in a checkout.
func (p Place) canBeAsked() bool {
	return core.IsCommitSHA(p.Commit) && !strings.Contains(p.Path, "\n") && !strings.HasPrefix(p.Path, "./") &&
		!strings.HasPrefix(p.Path, "../")
}

func (l *lookup) askFor(ctx context.Context, places []Place) error {
	if len(places) == 0 {
		return nil
	}
	objects, err := l.mirror.reader(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(places))
	for n, p := range places {
		names[n] = p.Commit + ":" + p.Path
	}
	return objects.askAll(ctx, askInfo, names, 0, func(n int, a answer) error {
		l.answers[places[n]] = a
		return nil
	})
}
