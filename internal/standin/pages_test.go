package standin_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/standin"
)

// read asks for a page as a browser does.
func (p platform) read(t *testing.T, path string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Base()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK && !strings.Contains(response.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%s may run scripts", path)
	}
	return response.StatusCode, string(text)
}

// What a platform links to is there for people, at the addresses that each platform has.
func TestPagesOfARepository(t *testing.T) {
	t.Parallel()
	for kind, below := range map[standin.Kind]string{standin.GitHub: "/", standin.GitLab: "/-/"} {
		p := start(t, standin.Config{Kind: kind, Token: token})
		root, lines := "/"+p.project, `id="L2-L4"`
		if kind == standin.GitLab {
			lines = `id="L2-4"`
		}
		for path, want := range map[string][]string{
			"/":  {p.project},
			root: {"Deploy from CI", "config/deploy.env"},
			root + below + "commit/" + p.sample.Head: {
				"The credentials move to a file later.", "Mira Holm", "added <a", "AWS_REGION=eu-central-1", p.sample.Before[:12],
			},
			root + below + "blob/" + p.sample.Head + "/config/deploy.env":                 {`id="L2"`, lines, "AWS_REGION=eu-central-1"},
			root + below + "blob/main/README.md":                                          {"# payments"},
			root + below + "compare/" + p.sample.Before[:12] + "..." + p.sample.Head[:12]: {"Deploy from CI"},
			root + below + "compare/main":                                                 {"main...main"},
		} {
			status, text := p.read(t, path)
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
			root + below + "blob/" + p.sample.Head + "/../../../etc/passwd", root + below + "blob/" + p.sample.Head + "/none",
			root + below + "blob/" + p.sample.Head, root + below + "compare/none...main",
		} {
			if status, text := p.read(t, path); status != http.StatusNotFound {
				t.Errorf("%s %s: %d %.80s", kind, path, status, text)
			}
		}
	}
}

// Whatever a repository holds is shown as text, to those who may see it.
func TestPagesShowHostileRepositoriesAsText(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	const evil = `<script>alert(1)</script>`
	name := "a b#?%\"<img src=x>.html"
	if err := os.WriteFile(filepath.Join(p.sample.Dir, name), []byte(evil+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.sample.Dir, "blob.bin"), []byte("a\x00b"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, p.sample.Dir, "add", "--all")
	git(t, p.sample.Dir, "commit", "--quiet", "-m", evil)
	head := git(t, p.sample.Dir, "rev-parse", "HEAD")
	root := "/" + p.project
	file := root + "/blob/" + head + "/a%20b%23%3F%25%22%3Cimg%20src=x%3E.html"
	for _, path := range []string{root, root + "/commit/" + head, file} {
		status, text := p.read(t, path)
		if status != http.StatusOK || strings.Contains(text, "<script") || strings.Contains(text, "<img") {
			t.Errorf("%s: %d %s", path, status, text)
		}
		if path == file && !strings.Contains(text, "&lt;script&gt;") {
			t.Errorf("the file is not shown: %s", text)
		}
	}
	if _, text := p.read(t, root); !strings.Contains(text, file) {
		t.Errorf("the project's page does not link to %s: %s", file, text)
	}
	if _, text := p.read(t, root+"/blob/"+head+"/blob.bin"); !strings.Contains(text, "A file of 3 bytes") {
		t.Errorf("a binary file: %s", text)
	}
	if status, _ := p.read(t, root, func(r *http.Request) { r.Host = "evil.example" }); status != http.StatusMisdirectedRequest {
		t.Errorf("under a stranger's name: %d", status)
	}
	closed := start(t, standin.Config{Kind: standin.GitHub, MayBrowse: func(*http.Request) bool { return false }})
	if status, _ := closed.read(t, "/"+closed.project); status != http.StatusForbidden {
		t.Errorf("who may not: %d", status)
	}
}
