package fakeforge

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/patch"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// The bounds of what a page shows.
const (
	maxListed     = 50   // commits
	maxTree       = 2000 // files
	maxTreeBytes  = 16 << 20
	maxPatchBytes = 256 << 10
	maxFileBytes  = 1 << 20
	maxRanged     = 1000 // lines of a file whose ranges can be linked to
	maxRange      = 12   // lines of such a range
)

//go:embed pages.html
var pagesHTML string

//go:embed pages.css
var pagesCSS string

var pages = template.Must(template.New("pages.html").Funcs(template.FuncMap{
	"path": func(file string) string { return (&url.URL{Path: file}).EscapedPath() },
}).Parse(pagesHTML))

// page is what the fake forge shows a person of a repository, with everything that its template may need.
type page struct {
	Title   string
	Style   template.CSS
	Home    string // address of the first page
	Project string // path, empty on the first page
	Root    string // address of the project
	Below   string // what the address of a commit begins with
	Blob    string // what the address of a file begins with

	Projects []string
	Commits  []gitrepo.Commit
	Files    []string
	Commit   *gitrepo.Commit
	Statuses []Status
	Patch    []patchLine
	File     string
	SHA      string
	Lines    []fileLine
	Note     string
}

type patchLine struct{ Kind, Text string }

// fileLine is a line with the anchors of the ranges that begin there, in the platform's own form.
type fileLine struct {
	Number int
	Text   string
	Ranges []string
}

// servePage shows repositories to people, at the addresses that the real platform has for commits, files and comparisons.
// Everything that comes from a repository is shown as text, and the pages have no script.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	base, err := url.Parse(s.Base())
	switch {
	case err != nil || r.Host != base.Host: // a foreign page may have given this address a name of its own
		http.Error(w, "this platform is at "+s.Base(), http.StatusMisdirectedRequest)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "pages can only be read", http.StatusMethodNotAllowed)
		return
	case s.cfg.MayBrowse != nil && !s.cfg.MayBrowse(r):
		http.Error(w, "Log in to Scanhook first: this platform shows its repositories to people who are logged in there.",
			http.StatusForbidden)
		return
	}
	shown, err := s.pageAt(r)
	switch {
	case errors.Is(err, core.ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		s.Crashed(r, err)
		http.Error(w, "git failed; the reason is in the log", http.StatusInternalServerError)
	default:
		s.writePage(w, shown)
	}
}

func (s *Server) writePage(w http.ResponseWriter, shown page) {
	shown.Home, shown.Style = s.Base()+"/", template.CSS(pagesCSS)
	var text bytes.Buffer
	if err := pages.Execute(&text, shown); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256([]byte(pagesCSS))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; "+
		"frame-ancestors 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = text.WriteTo(w)
}

// pageAt makes the page of an address.
func (s *Server) pageAt(r *http.Request) (page, error) {
	ctx, address := r.Context(), strings.Trim(r.URL.Path, "/")
	if address == "" {
		return page{Title: s.forge.Name, Projects: s.Projects()}, nil
	}
	project, rest := s.forge.Pages.split(address)
	repo, known := s.Repository(project)
	if !known {
		return page{}, fmt.Errorf("%w: no project %q here", core.ErrNotFound, project)
	}
	shown := page{Project: repo.Project, Root: s.Base() + "/" + repo.Project}
	shown.Below = shown.Root + "/" + s.forge.Pages.Below
	shown.Blob = shown.Below + s.forge.Pages.File
	if rest == "" {
		return shown, repo.fillProject(ctx, &shown)
	}
	if file, ok := strings.CutPrefix(rest, s.forge.Pages.File); ok {
		return shown, repo.fillFile(ctx, &shown, file, s.forge.Pages.Range)
	}
	switch kind, rest, _ := strings.Cut(rest, "/"); kind {
	case "commit":
		shown.Statuses = s.newest(repo.Project, rest)
		return shown, repo.fillCommit(ctx, &shown, rest)
	case "compare":
		return shown, repo.fillComparison(ctx, &shown, rest)
	}
	return page{}, fmt.Errorf("%w: there is nothing at this address", core.ErrNotFound)
}

// split takes an address apart into the project and what is below it. Without a separator between them, the project has
// two segments.
func (p Pages) split(address string) (project, rest string) {
	if p.Below != "" {
		project, rest, _ = strings.Cut(address, "/"+p.Below)
		return project, rest
	}
	segments := strings.SplitN(address, "/", 3)
	if len(segments) < 3 {
		return address, ""
	}
	return segments[0] + "/" + segments[1], segments[2]
}

// newest are the statuses that the forge shows for a commit, one of each context.
func (s *Server) newest(project, sha string) []Status {
	var shown []Status
	for _, status := range s.Statuses(project, sha) {
		shown = slices.DeleteFunc(shown, func(old Status) bool { return old.Context == status.Context && old.Ref == status.Ref })
		shown = append(shown, status)
	}
	return shown
}

func (r Repository) fillProject(ctx context.Context, shown *page) (err error) {
	shown.Title = r.Project
	if shown.SHA, err = r.Git().Resolve(ctx, r.DefaultBranch); err != nil {
		shown.SHA, err = r.Git().Resolve(ctx, "HEAD")
	}
	if err != nil {
		return err
	}
	if shown.Commits, err = r.Git().Log(ctx, fmt.Sprint("-", maxListed), "--end-of-options", shown.SHA, "--"); err != nil {
		return err
	}
	return r.fillTree(ctx, shown)
}

// fillTree lists the files of the commit that is shown.
func (r Repository) fillTree(ctx context.Context, shown *page) error {
	names, cut, err := r.Git().OutputUpTo(ctx, maxTreeBytes, "ls-tree", "-r", "-z", "--name-only", shown.SHA)
	shown.Files = strings.Split(strings.Trim(names, "\x00"), "\x00")
	switch total := len(shown.Files); {
	case cut:
		shown.Note = fmt.Sprintf("the first %d files", maxTree)
	case total > maxTree:
		shown.Note = fmt.Sprintf("%d of %d files", maxTree, total)
	}
	shown.Files = shown.Files[:min(maxTree, len(shown.Files))]
	return err
}

func (r Repository) fillCommit(ctx context.Context, shown *page, name string) error {
	sha, err := r.Git().Resolve(ctx, name)
	if err != nil {
		return err
	}
	c, err := r.Git().Commit(ctx, sha)
	if err != nil {
		return err
	}
	shown.Title, shown.SHA, shown.Commit = c.Title(), sha, &c
	text, cut, err := r.Git().OutputUpTo(ctx, maxPatchBytes, "show", "--format=", "--patch", "--no-color", "--no-ext-diff", "--no-textconv",
		"--first-parent", "--diff-merges=first-parent", sha, "--")
	if cut {
		shown.Note = "The rest of the patch is not shown."
	}
	for line := range strings.Lines(strings.ToValidUTF8(text, "\uFFFD")) {
		shown.Patch = append(shown.Patch, patchLine{patch.LineKind(line), strings.TrimSuffix(line, "\n")})
	}
	return err
}

// fillFile shows a file of a commit or branch. The name of a branch has one segment here.
func (r Repository) fillFile(ctx context.Context, shown *page, rest, rangeFormat string) error {
	name, file, _ := strings.Cut(rest, "/")
	sha, err := r.Git().Resolve(ctx, name)
	if err != nil {
		return err
	}
	if path.Clean("/"+file) != "/"+file {
		return fmt.Errorf("%w: %q is no path in a repository", core.ErrNotFound, file)
	}
	shown.Title, shown.SHA, shown.File = file, sha, file
	text, cut, err := r.Git().OutputUpTo(ctx, maxFileBytes, "cat-file", "blob", sha+":"+file)
	switch {
	case gitrepo.Failed(err):
		return fmt.Errorf("%w: commit %s has no file %q", core.ErrNotFound, core.ShortSHA(sha), file)
	case err != nil:
		return err
	case cut:
		shown.Note = fmt.Sprintf("A file of more than %d bytes, which is too large to show.", maxFileBytes)
	case strings.ContainsRune(text, 0) || !utf8.ValidString(text):
		shown.Note = fmt.Sprintf("A file of %d bytes that is not text.", len(text))
	default:
		shown.Lines = linesOf(strings.TrimSuffix(text, "\n"), rangeFormat)
	}
	return nil
}

func linesOf(text, rangeFormat string) []fileLine {
	texts := strings.Split(text, "\n")
	lines := make([]fileLine, len(texts))
	for i, text := range texts {
		lines[i] = fileLine{Number: i + 1, Text: strings.TrimSuffix(text, "\r")}
		if len(texts) > maxRanged {
			continue
		}
		for end := i + 2; end < i+1+maxRange && end <= len(texts); end++ {
			lines[i].Ranges = append(lines[i].Ranges, fmt.Sprintf(rangeFormat, i+1, end))
		}
	}
	return lines
}

// fillComparison shows what one commit or branch has beyond another; a single name is compared with the default branch.
func (r Repository) fillComparison(ctx context.Context, shown *page, names string) error {
	from, to, two := strings.Cut(names, "...")
	if !two {
		from, to = r.DefaultBranch, names
	}
	base, err := r.Git().Resolve(ctx, from)
	if err != nil {
		return err
	}
	head, err := r.Git().Resolve(ctx, to)
	if err != nil {
		return err
	}
	shown.Title = from + "..." + to
	shown.Commits, err = r.Git().Log(ctx, fmt.Sprint("-", maxListed), "--end-of-options", base+".."+head, "--")
	return err
}
