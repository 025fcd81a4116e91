package sarif

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/collect"
)

// maxURI bounds the bytes of a URI before it is decoded; what is stored of it is shorter.
const maxURI = 64 << 10

var (
	scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+://`)
	drive  = regexp.MustCompile(`^/?[A-Za-z]:(/|$)`)

	// rootName matches the names that tools give to the root of the repository: %SRCROOT%, PROJECTROOT, REPO_ROOT…
	rootName = regexp.MustCompile(`(?i)(src|source|repo|project).*root`)
)

// paths translates locations to paths below the repository's root.
type paths struct {
	bases       map[string]ArtifactLocation // by uriBaseId, as the report has them
	artifacts   []ArtifactLocation
	maxPath     int                // bytes
	directories map[string]base    // by uriBaseId
	tops        []base             // the absolute ones that are stated relative to no other
	ran         []base             // where the tool ran
	known       map[location]place // also makes a million findings share the names of a few thousand files
}

// location is a file as results name it.
type location struct {
	uri      string
	base     string // uriBaseId
	artifact int32  // where the file is described when uri is empty; -1 is none
}

// at is how results name the file.
func (a ArtifactLocation) at() location {
	return location{uri: core.Clip(a.URI, maxURI), base: a.URIBaseID, artifact: toIndex(a.Index)}
}

// place is a path below the repository's root, or one of which it is not known where that is.
type place struct {
	path     string
	absolute bool
}

// base is a directory that files may be stated relative to.
type base struct {
	path     string
	absolute bool // path is clean and has a leading slash
	root     bool // its name says that it is the repository's root
	below    bool // it is stated relative to another base
}

// contains tells whether an absolute path is the directory or below it.
func (b base) contains(file string) bool {
	rest, found := strings.CutPrefix(file, strings.TrimRight(b.path, "/"))
	return found && (rest == "" || rest[0] == '/')
}

// newPaths takes the bases and artifacts of a run, and the directories in which the tool ran.
func newPaths(bases map[string]ArtifactLocation, artifacts []ArtifactLocation, directories []string, maxPath int) *paths {
	p := &paths{
		bases: bases, artifacts: artifacts, maxPath: maxPath,
		directories: make(map[string]base), known: make(map[location]place),
	}
	for id := range bases {
		directory := p.resolve(id)
		p.directories[id] = directory
		if directory.absolute && !directory.below {
			p.tops = append(p.tops, directory)
		}
	}
	for _, uri := range directories {
		if directory, absolute := toPath(uri); absolute {
			p.ran = append(p.ran, base{path: path.Clean(directory), absolute: true})
		}
	}
	return p
}

// path is the location's path relative to the repository's root, or empty where the report names no file.
// It never leaves the root, whatever the report says. An absolute one is below no directory that the report names.
func (p *paths) path(l location) (relative string, isAbsolute bool) {
	if found, ok := p.known[l]; ok {
		return found.path, found.absolute
	}
	uri, uriBase := l.uri, l.base
	if uri == "" && l.artifact >= 0 && int(l.artifact) < len(p.artifacts) {
		artifact := p.artifacts[l.artifact]
		uri, uriBase = core.Clip(artifact.URI, maxURI), artifact.URIBaseID
	}
	file, absolute := toPath(uri)
	if directory := p.directories[uriBase]; !absolute && file != "" {
		file, absolute = path.Join(directory.path, file), directory.absolute
	}
	file = path.Clean("/" + file)
	if absolute {
		stripped := p.strip(file)
		file, absolute = stripped, stripped == file
	}
	file = collect.Clean(strings.TrimLeft(file, "/"), p.maxPath)
	p.known[l] = place{file, absolute}
	return file, absolute
}

// strip makes an absolute path relative to the base named as the repository's root, else to the outermost base: those inside are
// its directories. Where no base contains the file, the nearest directory in which the tool ran counts.
func (p *paths) strip(file string) string {
	best := nearest(p.ran, file)
	found := false
	for _, candidate := range p.tops {
		if candidate.path == "/" || !candidate.contains(file) { // the root of the machine is no repository
			continue
		}
		outer := candidate.root == best.root && len(candidate.path) < len(best.path)
		if !found || outer || candidate.root && !best.root {
			best, found = candidate, true
		}
	}
	return strings.TrimPrefix(file, best.path)
}

// nearest is the longest of the directories that contain a file; an empty one where there is none.
func nearest(directories []base, file string) (best base) {
	for _, candidate := range directories {
		if candidate.contains(file) && len(candidate.path) > len(best.path) {
			best = candidate
		}
	}
	return best
}

// resolve follows a uriBaseId through originalUriBaseIds up to an absolute directory, or as far as it is known.
func (p *paths) resolve(id string) base {
	const longest = 16
	directory := base{root: rootName.MatchString(id)}
	for step := range longest {
		next, known := p.bases[id]
		if !known {
			return directory
		}
		parent, absolute := toPath(core.Clip(next.URI, p.maxPath))
		directory.path = path.Join(parent, directory.path)
		if absolute {
			directory.path, directory.absolute, directory.below = path.Clean("/"+directory.path), true, step > 0
			return directory
		}
		id = next.URIBaseID
	}
	return base{} // a circle
}

// toPath reads a URI, or the bare path that many tools write instead, as a path with forward slashes.
func toPath(uri string) (file string, absolute bool) {
	uri = strings.TrimSpace(uri)
	rest, isURL := uri, false
	if prefix := scheme.FindString(uri); prefix != "" {
		rest, isURL = uri[len(prefix):], true
	} else if len(uri) > 5 && strings.EqualFold(uri[:5], "file:") {
		rest, isURL = uri[5:], true
	}
	if decoded, err := url.PathUnescape(rest); err == nil {
		rest = decoded
	}
	rest = strings.ReplaceAll(rest, `\`, "/")
	if strings.HasPrefix(strings.ToLower(uri), "file://") && !drive.MatchString(rest) {
		rest = rest[max(strings.IndexByte(rest, '/'), 0):] // drop the host
	}
	if drive.MatchString(rest) {
		rest = strings.TrimPrefix(rest, "/")
		return "/" + strings.ToUpper(rest[:1]) + rest[1:], true
	}
	if isURL && !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return rest, strings.HasPrefix(rest, "/")
}
