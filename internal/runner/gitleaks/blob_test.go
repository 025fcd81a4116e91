package gitleaks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/regexp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// search searches contents and makes sure that no planted secret is in the result.
func searchContents(t *testing.T, path, data string, archives bool) core.Contents {
	t.Helper()
	rules := rulesOf(t)
	if archives {
		rules = rules.WithArchives()
	}
	got, err := rules.Search(t.Context(), path, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	wantNoSecret(t, fmt.Sprintf("%+v", got))
	return got
}

// searchEach searches all files by their contents, each class of paths once.
func searchEach(t *testing.T, content gittest.Files) (found []core.Finding) {
	t.Helper()
	rules := rulesOf(t)
	type key struct {
		data  string
		class string
	}
	once := map[key]core.Contents{}
	for path, data := range content {
		if rules.Allowed(path) {
			continue
		}
		k := key{data, rules.ClassOf(path)}
		if _, known := once[k]; !known {
			once[k] = searchContents(t, path, data, false)
		}
		found = append(found, once[k].At(path)...)
	}
	return found
}

// The search of contents finds what the search of a checkout finds, also in files of equal contents.
func TestContentsHaveTheFindingsOfACheckout(t *testing.T) {
	t.Parallel()
	line := "token = '" + githubToken + "'\n"
	yaml := "kind: Secret\napiVersion: v1\ndata:\n  password: " + base64.StdEncoding.EncodeToString([]byte("s3cret-"+apiKey)) + "\n"
	content := gittest.Files{
		"empty": "", "clean.go": "package clean\n", "a.py": line, "copy/of/a.py": line, "a.bb": "api_key = '" + apiKey + "'\n",
		"a.conf": "api_key = '" + apiKey + "'\n", "deploy.yaml": yaml, "deploy.txt": yaml, "main.tf": "password = \"" + apiKey + "\"\n",
		"main.txt": "password = \"" + apiKey + "\"\n", "id_rsa": "\n" + privateKey + "\n", "crlf": strings.ReplaceAll("a\n"+line+privateKey+"\n", "\n", "\r\n"),
		"keys/store.p12": "\x30\x82\x01", "image.png": line, "node_modules/a.js": line, "yarn.lock": line, "latin1": "caf\xe9\n" + line + "gr\xfc\xdf\xffe\n",
		"x.zip.d/a.py": line, "config.gz.py": line, "ä b.py": line, "last": "a\nb\n" + strings.TrimSpace(line),
		"two":     "a = '" + githubToken + "'\nb = '" + githubToken2 + "'\n",
		"encoded": "b = '" + base64.StdEncoding.EncodeToString([]byte("token = "+githubToken2+"\n")) + "'\n",
		"wide":    strings.Repeat("x=1;", 4000) + "a = '" + githubToken + "'" + strings.Repeat(";y=2", 4000) + "\n",
		"bytes":   "\x00\xff" + strings.TrimSpace(line) + "\x00\n", "octokit/auth-token/README.md": line,
		"node_modules/@octokit/auth-token/README.md": line, "lib/@octokit/auth-token/README.md": line,
		"long": strings.Repeat("line\n", 20_000) + line + strings.Repeat("another line\n", 8000) + line + privateKey + "\nend\n",
		"many": strings.Repeat(line, 300),
	}
	want := searchIn(t, content)
	inOrder := cmpopts.SortSlices(func(a, b core.Finding) bool { return a.File+a.PartialFingerprint < b.File+b.PartialFingerprint })
	if diff := gocmp.Diff(want, searchEach(t, content), inOrder); diff != "" || len(want) < 320 {
		t.Errorf("findings of %d in a checkout (-checkout +contents):\n%s", len(want), diff)
	}
}

func TestContentsThatHideTheirText(t *testing.T) {
	t.Parallel()
	text := "first\ntoken = '" + githubToken + "'\nlast\n"
	wide := func(low, high int) string {
		units := make([]byte, 2*len(text))
		for i := range len(text) {
			units[2*i+low] = text[i]
		}
		return string(units[:len(units)+high])
	}
	var quad strings.Builder
	for i := range len(text) {
		quad.WriteString(text[i:i+1] + "\x00\x00\x00")
	}
	for name, data := range map[string]string{
		"UTF-16 LE with mark":      "\xff\xfe" + wide(0, 0),
		"UTF-16 BE with mark":      "\xfe\xff" + wide(1, 0),
		"UTF-16 LE":                wide(0, 0),
		"UTF-16 BE":                wide(1, 0),
		"UTF-16 LE, odd":           wide(0, -1),
		"UTF-32 with mark":         "\xff\xfe\x00\x00" + quad.String(),
		"UTF-32":                   quad.String(),
		"UTF-8 with mark":          "\xef\xbb\xbf" + text,
		"UTF-16 after plain text":  "first\n" + strings.Repeat("plain text ", 20) + "\x00" + wide(0, 0)[len("first\n")*2:],
		"begins like a program":    "MZ" + text,
		"begins like another":      "\x7fELF" + text,
		"begins like a document":   "%PDF-1.4 " + text,
		"begins like an archive":   "PK\x03\x04" + text,
		"begins like a compressed": "\x1f\x8b\x08" + text,
		"begins like a database":   "SQLite format 3\x00" + text,
		"beside broken bytes":      strings.ReplaceAll(text, "token", "\xfftoken\xfe"),
	} {
		got := searchContents(t, "file", data, true)
		if len(got.Findings) != 1 || got.Findings[0].Line != 2 || got.Coverage.Searched != 1 || len(got.Coverage.Left) != 0 {
			t.Errorf("%s: want one finding on line 2, got %+v", name, got)
		}
	}
}

// What is not searched is named.
func TestContentsThatAreLeftOut(t *testing.T) {
	t.Parallel()
	noise := strings.Repeat("\x00\x01\x02\xfe\xff", 200)
	for name, test := range map[string]struct {
		data string
		want core.LeftOut
	}{
		"a program":      {"\x7fELF" + noise, core.LeftBinary},
		"a document":     {"%PDF-1.4 " + noise, core.LeftBinary},
		"an archive":     {"PK\x03\x04" + noise, core.LeftArchive},
		"too large":      {strings.Repeat("0123456789abcde\n", MaxBlob/16+1), core.LeftSize},
		"an LFS pointer": {"version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 3\n", core.LeftPointer},
	} {
		got := searchContents(t, "dir/file", test.data, true)
		if left := got.Coverage.Left; len(left) != 1 || left[0].Reason != test.want || !slices.Equal(left[0].Names, []string{"dir/file"}) {
			t.Errorf("%s: want it left out for its %s, got %+v", name, test.want, got)
		}
	}
}

func TestContentsStop(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t)
	why := errors.New("time is up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := rules.Search(ctx, "a", []byte("token = '"+githubToken+"'\n")); !errors.Is(err, why) {
		t.Errorf("want %v, got %v", why, err)
	}
	full := &contentSearch{rules: rules, result: core.Contents{Findings: make([]core.Finding, MaxSecrets)}}
	err := full.file(t.Context(), place{name: "a"}, []byte("token = '"+githubToken+"'\n"), 0)
	if left := full.result.Coverage.Left; err != nil || len(full.result.Findings) != MaxSecrets || len(left) != 1 || left[0].Reason != core.LeftSecrets {
		t.Errorf("want what is too much told, got %d findings, %+v, %v", len(full.result.Findings), left, err)
	}
	broken := &Rules{}
	if got, err := broken.Search(t.Context(), "a", []byte("b")); err != nil || got.Coverage.Left[0].Reason != core.LeftError {
		t.Errorf("want a panic of the library told, got %+v, %v", got, err)
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t)
	plain := rules.ClassOf("src/main.go")
	for path, same := range map[string]bool{
		"other/Main.java": true, "README": true, "a.php": false, "b/deploy.YML": false, "main.tf": false, "recipe.bbappend": false,
		"keys/store.p12": false, "x/nuget.config": false,
	} {
		if got := rules.ClassOf(path); (got == plain) != same {
			t.Errorf("%s: class %q, that of plain code is %q", path, got, plain)
		}
	}
	if rules.ClassOf("a.tf") != rules.ClassOf("b/c.hcl") || !rules.Allowed("web/logo.PNG") || rules.Allowed("web/logo.go") {
		t.Error("paths that meet the same conditions are of one class")
	}
	version, again := rules.Version(), rules.Version()
	if len(version) < 8 || version != again || len(rules.paths) > maxConditions {
		t.Errorf("want one version and few conditions, got %q, %q and %d", version, again, len(rules.paths))
	}
}

// A compressed file is judged by the name that it has without its extension, so names of a class must agree in that too.
func TestClassesOfCompressedFiles(t *testing.T) {
	t.Parallel()
	plain := rulesOf(t)
	rules, once := plain.WithArchives(), gzipOf(t, "token = '"+githubToken+"'\n")
	twice := gzipOf(t, once)
	names := []string{
		"a", "a.gz", "secrets.txt.gz", "package-lock.json.gz", "package-lock.json.BZ2", "package-lock.json.gz.gz", "package-lock.json.x",
		"logo.png.gz.bz2", "main.tf.gz", "main.tf.gz.gz", "main.tf.tgz", "a.gz.gz.gz", "package-lock.json.gz.gz.gz",
	}
	for _, data := range []string{once, twice} {
		found, first := make(map[string]int), make(map[string]string)
		for _, name := range names {
			got, err := rules.Search(t.Context(), name, []byte(data))
			if err != nil {
				t.Fatal(err)
			}
			class := rules.ClassOf(name)
			if other, again := first[class]; again && found[class] != len(got.Findings) {
				t.Errorf("%s and %s are of class %q, but have %d and %d findings", name, other, class, len(got.Findings), found[class])
			}
			first[class], found[class] = name, len(got.Findings)
		}
	}
	if rules.ClassOf("a.gz") != rules.ClassOf("secrets.txt.gz") || plain.ClassOf("package-lock.json.gz") != plain.ClassOf("a") {
		t.Error("want names that are judged alike of one class")
	}
}

// More conditions than a class has bits would make classes of paths that have different findings.
func TestClassesTellAllConditionsApart(t *testing.T) {
	t.Parallel()
	withConditions := func(n int) *detect.Detector {
		detector := &detect.Detector{Config: config.Config{Rules: map[string]config.Rule{}}}
		for i := range n {
			detector.Config.Rules[fmt.Sprintf("%03d", i)] = config.Rule{Path: regexp.MustCompile(fmt.Sprintf("^%d$", i))}
		}
		return detector
	}
	rules, err := newRules(withConditions(maxConditions))
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string]bool{}
	for i := range maxConditions + 1 {
		classes[rules.ClassOf(fmt.Sprint(i))] = true
	}
	if len(classes) != maxConditions+1 {
		t.Errorf("want a class for each condition and one for none, got %d", len(classes))
	}
	if _, err := newRules(withConditions(maxConditions + 1)); err == nil {
		t.Error("want more conditions refused")
	}
}

// The key decides what masks and hashes look like, and the version tells keys apart; what findings were without one is kept.
func TestSearchWithKeys(t *testing.T) {
	t.Parallel()
	text := []byte("a = '" + githubToken + "'\nb = '" + githubToken2 + "'\n" + privateKey + "\n")
	rules := rulesOf(t)
	search := func(rules *Rules) []core.Finding {
		contents, err := rules.Search(t.Context(), "a", text)
		if err != nil || len(contents.Findings) != 3 {
			t.Fatalf("want three secrets, got %+v, %v", contents, err)
		}
		slices.SortFunc(contents.Findings, func(a, b core.Finding) int { return a.Line - b.Line })
		return contents.Findings
	}
	key, other := secrets.NewKey([secrets.KeySize]byte{1}), secrets.NewKey([secrets.KeySize]byte{2})
	ours, theirs, keyless := search(rules.WithKey(key)), search(rules.WithKey(other)), search(rules.WithKey(secrets.Keyless))
	for i, f := range ours {
		if f.SecretHash == "" || f.SecretHash == theirs[i].SecretHash || f.PartialFingerprint == theirs[i].PartialFingerprint ||
			f.Snippet == theirs[i].Snippet {
			t.Errorf("want other masks and another hash with another key, got %+v and %+v", f, theirs[i])
		}
		if f.Formerly().Snippet != keyless[i].Snippet || keyless[i].SecretHash != "" {
			t.Errorf("want to know what %+v was, %+v", f, keyless[i])
		}
	}
	if rules.WithKey(key).Version() == rules.WithKey(other).Version() || rules.WithKey(key).Version() == rules.Version() {
		t.Error("want another version for each key")
	}
}
