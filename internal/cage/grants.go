package cage

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// system are what programs need to run at all: programs, libraries, and of the settings those that hold no secrets.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store", "/snap",
	"/etc/alternatives", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/debian_version", "/etc/group", "/etc/java*", "/etc/ld.so.cache",
	"/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld-musl-*", "/etc/localtime", "/etc/magic", "/etc/mime.types", "/etc/nsswitch.conf",
	"/etc/os-release", "/etc/passwd", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/protocols", "/etc/python*",
	"/etc/services", "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/timezone",
}

// network are what programs need besides to reach others by name.
var network = []string{"/etc/gai.conf", "/etc/host.conf", "/etc/hosts", "/etc/resolv.conf"}

// System lists what every program needs to run, for Spec.Read.
func System(withNetwork bool) (paths []string) {
	patterns := system
	if withNetwork {
		patterns = slices.Concat(system, network)
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern)
		paths = append(paths, found...)
	}
	return paths
}

// ProgramFiles lists what belongs to a program outside the directories of the system: itself, what it is a link to, and the Python
// environment that it is in.
func ProgramFiles(program string) (paths []string) {
	for {
		paths = append(paths, program)
		prefix := filepath.Dir(filepath.Dir(program))
		if _, err := os.Stat(filepath.Join(prefix, "pyvenv.cfg")); err == nil {
			paths = append(paths, prefix)
		}
		target, err := os.Readlink(program)
		if err != nil || len(paths) > maxLinks {
			return paths
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(program), target)
		}
		program = target
	}
}

const maxLinks = 40

// Hidden are files and directories that no program may see, whatever it is granted: absolute patterns, as filepath.Match has them, of which
// only the last name may have wildcards.
type Hidden []string

// Without lists what may be granted of some paths: each itself, or else all that is in it but what is hidden.
func (h Hidden) Without(paths ...string) (granted []string) {
	real := make(Hidden, len(h))
	for i, pattern := range h {
		real[i] = filepath.Join(realPath(filepath.Dir(pattern)), filepath.Base(pattern))
	}
	for _, path := range paths {
		where := realPath(path)
		if !real.covers(where) && !real.isBelow(where) {
			granted = append(granted, path)
			continue
		}
		granted = append(granted, real.rest(where)...)
	}
	return granted
}

// rest lists what is in a directory and may be seen.
func (h Hidden) rest(path string) (seen []string) {
	switch {
	case h.covers(path):
		return nil
	case !h.isBelow(path):
		return []string{path}
	}
	entries, _ := os.ReadDir(path)
	for _, entry := range entries {
		seen = append(seen, h.rest(filepath.Join(path, entry.Name()))...)
	}
	return seen
}

// covers tells whether a path, or a directory that it is in, is hidden.
func (h Hidden) covers(path string) bool {
	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		for _, pattern := range h {
			if matched, _ := filepath.Match(pattern, path); matched {
				return true
			}
		}
	}
	return false
}

// isBelow tells whether something in a directory is hidden.
func (h Hidden) isBelow(dir string) bool {
	return slices.ContainsFunc(h, func(pattern string) bool {
		return strings.HasPrefix(pattern, strings.TrimSuffix(dir, "/")+"/")
	})
}

// realPath is a path without links; of one that there is not, as much of it as there is.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if parent := filepath.Dir(path); parent != path {
		return filepath.Join(realPath(parent), filepath.Base(path))
	}
	return path
}
