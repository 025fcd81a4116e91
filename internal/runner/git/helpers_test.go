package git

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

const token = "glpat-veryverysecret"

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("oauth2:"+password))
}

// fetch makes a bare repository beside the files of a workspace and fetches commits into it.
func fetch(ctx context.Context, r Repo, shas ...string) (bare Repo, err error) {
	bare = r
	bare.Space.Source = filepath.Join(r.Space.Root, "bare")
	err = errors.Join(os.MkdirAll(bare.Space.Source, 0o700), bare.InitBare(ctx, shas[0]))
	for _, sha := range shas {
		if err == nil {
			err = bare.Fetch(ctx, sha, nil, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
				"--no-auto-maintenance", "--", r.Remote.URL, strings.ToLower(sha))
		}
	}
	return bare, err
}

// checkOut fetches a commit and lays it out.
func checkOut(ctx context.Context, r Repo, sha string) error {
	bare, err := fetch(ctx, r, sha)
	if err != nil {
		return err
	}
	return r.LayOut(ctx, strings.ToLower(sha), filepath.Join(bare.Space.Source, "objects"))
}

// tree reads all gittest.Files below dir.
func tree(t *testing.T, dir string, withoutGit bool) gittest.Files {
	t.Helper()
	got := gittest.Files{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry.Name() == ".git" && withoutGit {
				return filepath.SkipDir
			}
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		got[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// noise is text that does not get smaller in a pack.
func noise(size int) string {
	text := make([]byte, size)
	_, _ = rand.Read(text) // never fails
	return string(text)
}

// cutter ends the connection after so many bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func onLinux() bool {
	_, err := os.Stat("/proc/self/cmdline")
	return err == nil
}

// commandLines counts the running processes that mention about, and returns what of them mentions a secret.
func commandLines(about string, secrets ...string) (count int, leaks []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, _ := os.ReadFile(path)
		if bytes.Contains(line, []byte(about)) {
			count++
		}
		for _, secret := range secrets {
			if bytes.Contains(line, []byte(secret)) {
				leaks = append(leaks, string(line))
			}
		}
	}
	return count, leaks
}
