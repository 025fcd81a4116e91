package source

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/mirror"
)

// Places says where the files that a report names are in the repository. A scanner that ran in a directory of it, or in a container,
// names them in another way.
type Places struct {
	moved   map[string]string // what the report says, and what the repository does
	roots   []root            // by which the others would have moved
	strange []string          // that are not in the repository
	files   map[string]bool   // of the repository, that the report names
}

// root is a directory as a scanner names it, and in the repository; both may be empty.
type root struct{ named, is string }

// at is the place of a file below the root.
func (r root) at(name string) (file string, below bool) {
	rest := name
	if r.named != "" {
		if rest, below = strings.CutPrefix(name, r.named+"/"); !below {
			return "", false
		}
	}
	return path.Join(r.is, rest), true
}

const (
	maxLocated   = 5000 // files that are read for one report
	maxRoots     = 8    // directories in which the files of one report are
	maxEndsAlike = 50   // files with one name that are compared with one of a report; more tell nothing
)

// Searched are files that reports name, while they are looked for in the repository.
type Searched struct {
	byName map[string][]string // files of the repository by their last part, as far as a report names that
	tree   map[string]bool
}

// Search looks for files by the names that reports have for them.
func Search(reports ...[]string) *Searched {
	s := &Searched{byName: map[string][]string{}, tree: map[string]bool{}}
	for _, names := range reports {
		for _, name := range names {
			s.byName[path.Base(name)] = nil
		}
	}
	return s
}

// Locate finds the files that each of some reports names in a commit, and those of them all that can be read.
func Locate(
	ctx context.Context, m *mirror.Mirror, sha string, reports ...[]string,
) (places []Places, files []mirror.File, err error) {
	places = make([]Places, len(reports))
	search := Search(reports...)
	if len(search.byName) == 0 {
		return places, nil, nil
	}
	seen := map[string]mirror.File{}
	_, err = m.Files(ctx, sha, func(f mirror.File) {
		if path := core.Printable(f.Path); search.MayBe(path) {
			seen[path] = f
		}
	})
	if err != nil {
		return nil, nil, err
	}
	read := map[string]bool{}
	for i, names := range reports {
		places[i] = search.Places(names)
		located := places[i].Files()
		for _, name := range located[:min(len(located), maxLocated)] {
			if !read[name] {
				read[name], files = true, append(files, seen[name])
			}
		}
	}
	return places, files, nil
}

// MayBe notes a file of the repository, and tells whether it may be one that is looked for.
func (s *Searched) MayBe(file string) bool {
	name := path.Base(file)
	list, wanted := s.byName[name]
	if wanted {
		s.byName[name], s.tree[file] = append(list, file), true
	}
	return wanted
}

// Places tells where the files of one report are, once all of the repository were noted. Files that the repository has under their names
// stay there, unless all of them are below one directory of it and some only there.
func (s *Searched) Places(names []string) Places {
	p := Places{moved: map[string]string{}, files: map[string]bool{}}
	left := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return s.tree[name] })
	for len(left) > 0 && len(p.roots) < maxRoots {
		best, found := s.elect(left)
		if !found {
			break
		}
		p.roots = append(p.roots, best)
		named := left
		if best.named == "" && s.hasAll(names, best) {
			named = names
		}
		for _, name := range named {
			if file, below := best.at(name); below && s.tree[file] {
				p.moved[name] = file
			}
		}
		left = slices.DeleteFunc(left, func(name string) bool { return p.moved[name] != "" })
	}
	p.strange = left
	for _, name := range names {
		if file := cmp.Or(p.moved[name], name); s.tree[file] {
			p.files[file] = true
		}
	}
	return p
}

func (s *Searched) hasAll(names []string, below root) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		file, _ := below.at(name)
		return !s.tree[file]
	})
}

// elect finds the root below which most of the names are files. Those that nothing tells apart are none.
func (s *Searched) elect(names []string) (best root, found bool) {
	votes := map[root]int{}
	for _, name := range names {
		for _, r := range s.rootsOf(name) {
			votes[r]++
		}
	}
	most, tied := 0, false
	for r, n := range votes {
		switch {
		case n > most:
			best, most, tied = r, n, false
		case n == most:
			tied = true
		}
	}
	return best, most > 0 && !tied
}

// rootsOf are the roots by which a name may be a file: those with the longest end in common.
func (s *Searched) rootsOf(name string) (roots []root) {
	files := s.byName[path.Base(name)]
	if len(files) > maxEndsAlike {
		return nil
	}
	longest := 0
	for _, file := range files {
		named, is, parts := apart(name, file)
		if parts < longest || named != "" && is != "" && parts < 2 {
			continue
		}
		if parts > longest {
			roots, longest = nil, parts
		}
		roots = append(roots, root{named, is})
	}
	return roots
}

// apart are the directories in which two paths have their longest end in common, and how many parts that has.
func apart(name, file string) (named, is string, parts int) {
	a, b := strings.Split(name, "/"), strings.Split(file, "/")
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b, parts = a[:len(a)-1], b[:len(b)-1], parts+1
	}
	return strings.Join(a, "/"), strings.Join(b, "/"), parts
}

// Files are those of the repository that the report names, in the order of the alphabet.
func (p Places) Files() []string { return slices.Sorted(maps.Keys(p.files)) }

// Named are the files that a report names.
func Named(report core.Report) []string {
	names := map[string]bool{}
	var scratch core.Finding
	for i := range report.Len() {
		if f := report.At(i, &scratch); f.File != "" && f.Commit == "" {
			names[f.File] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// MoveIn has a report name its files as the repository does. Of files that are not there git's changes, which may be nil, tell
// nothing.
func (p Places) MoveIn(report *core.Report, changes *core.Changes) {
	report.Moved = p.moved
	if len(p.moved) > 0 {
		report.Each(func(f *core.Finding) (changed bool) {
			file, moved := p.moved[f.File]
			if moved = moved && f.Commit == ""; moved {
				f.File, f.About.Absolute = file, false
			}
			was := f.Details
			f.Details = details.Rename(was, p.besides)
			return moved || f.Details != was
		})
		report.Coverage.Rename(p.fileOf)
	}
	if changes == nil {
		return
	}
	for _, name := range p.strange {
		changes.Files = append(changes.Files, core.FileChange{Old: name, New: name, Opaque: true})
	}
}

// fileOf is the file that a name in a report means; any other name stays.
func (p Places) fileOf(name string) string {
	if file, known := p.moved[name]; known {
		return file
	}
	for _, r := range p.roots {
		if file, below := r.at(name); below && r.named != "" {
			return file
		}
	}
	return name
}

// besides is the file that a name in the details of a finding means. No verdict depends on it, so that these files are not looked for:
// what ran in a directory of the repository names them all as below that.
func (p Places) besides(name string) string {
	file := p.fileOf(name)
	if file == name && name != "" && !p.files[name] && len(p.roots) == 1 && p.roots[0].named == "" {
		return path.Join(p.roots[0].is, name)
	}
	return file
}

const describedAtOnce = 4096 // packed findings

// DescribeUpload is Describe for all findings of a report from outside. Its secrets keep the hashes that the report allows, or none: they
// are told apart by the same in the next commit, also where there is no checkout at hand.
func DescribeUpload(report *core.Report, key secrets.Key, dir string) {
	describe := func(some []core.Finding) {
		hashes := make([]string, len(some))
		for i, f := range some {
			hashes[i] = f.SecretHash
		}
		Describe(some, key, dir)
		for i, hash := range hashes {
			some[i].SecretHash = hash
		}
	}
	describe(report.Findings)
	n := report.Packed.Len()
	for begin := 0; begin < n; begin += describedAtOnce {
		some := make([]core.Finding, min(n-begin, describedAtOnce))
		for i := range some {
			report.Packed.Get(begin+i, &some[i])
		}
		describe(some)
		for i := range some {
			report.Packed.Put(begin+i, &some[i])
		}
	}
}
