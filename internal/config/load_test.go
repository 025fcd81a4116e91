package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scanhook.yaml")
	if err := os.WriteFile(path, []byte("server: {public_url: '${URL}'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := Load(path, variables{"URL": "https://a.example/sub/"}.lookup)
	if err != nil || config.Server.PublicURL != "https://a.example/sub" {
		t.Errorf("Load = %+v, %v; want the address without its last slash", config, err)
	}
	_, err = Load(path, variables{}.lookup)
	if err == nil || !strings.HasPrefix(err.Error(), path+":1:22: server.public_url") {
		t.Errorf("Load = %v, want an error with path, line and key", err)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	t.Parallel()
	_, err := Load(filepath.Join(t.TempDir(), "config.yaml"), variables{}.lookup)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "scanhook init") {
		t.Errorf("Load = %v, want fs.ErrNotExist and what to do", err)
	}
	if _, err = Load(t.TempDir(), variables{}.lookup); err == nil {
		t.Error("Load of a directory succeeded")
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	many := "repositories:\n  - &r {match: a, branches: [" + strings.Repeat("a,", 5000) + "]}\n" +
		strings.Repeat("  - *r\n", 1000)
	for name, text := range map[string]string{
		"is larger than": strings.Repeat("#\n", maxSize/2+1),
		"holds more":     many,
	} {
		if got := problemsOf(t, text, nil); len(got) != 1 || !strings.Contains(got[0], name) {
			t.Errorf("problems = %.200q, want one that says %q", got, name)
		}
	}
}

func FuzzParse(f *testing.F) {
	if data, err := os.ReadFile(filepath.Join("..", "..", "config.yaml")); err == nil {
		f.Add(data)
	}
	f.Add(Starter(StarterValues{PublicURL: "http://localhost"}))
	f.Add([]byte("platforms: &p {github: {token: [*p, ${A}], type: 1}}\n<<: *p\n"))
	f.Add([]byte("repositories:\n- match: \"{a/b,[\"\n- \n- gate: {fail_on: x}\n---\n"))
	f.Add([]byte("database: {url: \"postgres://u:${B:-x}@h\"}\nscanners: {a: {command: ['{outputs}', 1]}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := Parse("fuzz.yaml", data, variables{"A": "a", "EMPTY": ""}.lookup)
		var failure *Error
		switch {
		case err == nil && config != nil:
		case config != nil || !errors.As(err, &failure) || len(failure.Problems) == 0:
			t.Fatalf("Parse = %v, %v; want either a configuration or problems", config, err)
		default:
			for _, problem := range failure.Problems {
				if problem.Line < 1 || problem.Column < 1 || problem.Message == "" {
					t.Errorf("problem %+v has no place or no message", problem)
				}
			}
		}
	})
}
