package fakeforge_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

// read asks for a page as a browser does.
func read(t *testing.T, p forgetest.Forge, path string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Base()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(request)
	}
	response, text := forgetest.Do(t, request)
	if response.StatusCode == http.StatusOK && !strings.Contains(response.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%s may run scripts", path)
	}
	return response.StatusCode, string(text)
}

// What a platform links to is there for people, at the addresses that each platform has.
func TestPagesOfARepository(t *testing.T) {
	t.Parallel()
	for kind, below := range map[*forgetest.Kind]string{forgetest.GitHub: "/", forgetest.GitLab: "/-/"} {
		p := forgetest.Start(t, kind, fakeforge.Config{Token: forgetest.Token})
		root, lines := "/"+p.Project, `id="L2-L4"`
		if kind == forgetest.GitLab {
			lines = `id="L2-4"`
		}
		for path, want := range map[string][]string{
			"/":  {p.Project},
			root: {"Deploy from CI", "config/deploy.env"},
			root + below + "commit/" + p.Sample.Head: {
				"The credentials move to a file later.", "Mira Holm", "added <a", "AWS_REGION=eu-central-1", p.Sample.Before[:12],
			},
			root + below + "blob/" + p.Sample.Head + "/config/deploy.env":                 {`id="L2"`, lines, "AWS_REGION=eu-central-1"},
			root + below + "blob/main/README.md":                                          {"# payments"},
			root + below + "compare/" + p.Sample.Before[:12] + "..." + p.Sample.Head[:12]: {"Deploy from CI"},
			root + below + "compare/main":                                                 {"main...main"},
		} {
			status, text := read(t, p, path)
			if status != http.StatusOK {
				t.Errorf("%s %s: %d %s", kind, path, status, text)
			}
			for _, part := range want {
				if !strings.Contains(text, part) {
					t.Errorf("%s %s lacks %q", kind, path, part)
				}
			}
		}
		for _, path := range []string{
			"/acme/none", root + below + "commit/main^{tree}", root + below + "commit/--all", root + below + "wiki/x",
			root + below + "blob/" + p.Sample.Head + "/../../../etc/passwd", root + below + "blob/" + p.Sample.Head + "/none",
			root + below + "blob/" + p.Sample.Head, root + below + "compare/none...main",
		} {
			if status, text := read(t, p, path); status != http.StatusNotFound {
				t.Errorf("%s %s: %d %.80s", kind, path, status, text)
			}
		}
	}
}

// Whatever a repository holds is shown as text, to those who may see it.
func TestPagesShowHostileRepositoriesAsText(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	const evil = `<script>alert(1)</script>`
	name := "a b#?%\"<img src=x>.html"
	if err := os.WriteFile(filepath.Join(p.Sample.Dir, name), []byte(evil+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.Sample.Dir, "blob.bin"), []byte("a\x00b"), 0o600); err != nil {
		t.Fatal(err)
	}
	forgetest.Git(t, p.Sample.Dir, "add", "--all")
	forgetest.Git(t, p.Sample.Dir, "commit", "--quiet", "-m", evil)
	head := forgetest.Git(t, p.Sample.Dir, "rev-parse", "HEAD")
	root := "/" + p.Project
	file := root + "/blob/" + head + "/a%20b%23%3F%25%22%3Cimg%20src=x%3E.html"
	for _, path := range []string{root, root + "/commit/" + head, file} {
		status, text := read(t, p, path)
		if status != http.StatusOK || strings.Contains(text, "<script") || strings.Contains(text, "<img") {
			t.Errorf("%s: %d %s", path, status, text)
		}
		if path == file && !strings.Contains(text, "&lt;script&gt;") {
			t.Errorf("the file is not shown: %s", text)
		}
	}
	if _, text := read(t, p, root); !strings.Contains(text, file) {
		t.Errorf("the project's page does not link to %s: %s", file, text)
	}
	if _, text := read(t, p, root+"/blob/"+head+"/blob.bin"); !strings.Contains(text, "A file of 3 bytes") {
		t.Errorf("a binary file: %s", text)
	}
	if status, _ := read(t, p, root, func(r *http.Request) { r.Host = "evil.example" }); status != http.StatusMisdirectedRequest {
		t.Errorf("under a stranger's name: %d", status)
	}
	closed := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{MayBrowse: func(*http.Request) bool { return false }})
	if status, _ := read(t, closed, "/"+closed.Project); status != http.StatusForbidden {
		t.Errorf("who may not: %d", status)
	}
}
