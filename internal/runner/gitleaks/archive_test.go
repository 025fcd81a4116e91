package gitleaks

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

// member is a file of an archive.
type member struct{ name, data string }

func zipOf(t *testing.T, members ...member) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range members {
		file, err := w.Create(m.name)
		if err == nil {
			_, err = io.WriteString(file, m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func tarOf(t *testing.T, members ...member) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o600, Typeflag: tar.TypeReg})
		if err == nil {
			_, err = io.WriteString(w, m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func gzipOf(t *testing.T, data string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestArchives(t *testing.T) {
	t.Parallel()
	secret := member{"conf/app.env", "first\ntoken = '" + githubToken + "'\n"}
	noise := make([]byte, 3000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	tests := map[string]struct {
		path, data string
		at         []string // where findings are
		left       string
	}{
		"zip":              {"a.jar", zipOf(t, secret, member{"b", "x"}), []string{"a.jar!conf/app.env"}, ""},
		"tar":              {"a.tar", tarOf(t, secret), []string{"a.tar!conf/app.env"}, ""},
		"tar of much text": {"a.tar", tarOf(t, member{"b", strings.Repeat("text\n", 9000)}, secret), []string{"a.tar!conf/app.env"}, ""},
		"tgz":              {"a.tgz", gzipOf(t, tarOf(t, secret)), []string{"a.tgz!conf/app.env"}, ""},
		"gzip":             {"app.env.gz", gzipOf(t, secret.data), []string{"app.env.gz"}, ""},
		"zip in tgz":       {"a.tgz", gzipOf(t, tarOf(t, member{"b.zip", zipOf(t, secret)})), []string{"a.tgz!b.zip!conf/app.env"}, ""},
		"three levels": {"a.zip", zipOf(t, member{"b.zip", zipOf(t, member{"c.zip", zipOf(t, secret)})}), nil,
			"archive 1 [a.zip!b.zip!c.zip]"},
		"too much":          {"a.zip", zipOf(t, member{"0", strings.Repeat("0", maxUnpacked+1)}, secret), nil, "archive 1 [a.zip]"},
		"first, then much":  {"a.zip", zipOf(t, secret, member{"0", strings.Repeat("0", maxUnpacked+1)}), []string{"a.zip!conf/app.env"}, "archive 1 [a.zip]"},
		"many":              {"a.zip", zipOf(t, append(slices.Repeat([]member{{"0", ""}}, maxMembers), secret)...), nil, "archive 1 [a.zip]"},
		"images in it":      {"a.zip", zipOf(t, member{"logo.png", secret.data}), nil, "allow list 1 [a.zip!logo.png]"},
		"program in it":     {"a.zip", zipOf(t, member{"run", "\x7fELF" + string(noise)}), nil, "binary 1 [a.zip!run]"},
		"path out of it":    {"a.zip", zipOf(t, member{"../../x", secret.data}), []string{"a.zip!x"}, ""},
		"cut":               {"a.zip", zipOf(t, member{"n", string(noise)})[:800], nil, "archive 1 [a.zip]"},
		"another kind":      {"a.xz", "\xfd7zXZ\x00" + string(noise), nil, "archive 1 [a.xz]"},
		"gzip that is none": {"a.gz", "\x1f\x8b\x08" + string(noise), nil, "archive 1 [a.gz]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := searchContents(t, test.path, test.data, true)
			var at []string
			for _, f := range got.At(test.path) {
				if at = append(at, f.File); f.Line != 2 {
					t.Errorf("want line 2, got %+v", f)
				}
			}
			left := ""
			for _, o := range got.Coverage.Left {
				left += fmt.Sprintf("%s %d %v", o.Reason, o.Count, o.Names)
			}
			if !slices.Equal(at, test.at) || left != test.left {
				t.Errorf("found at %v, left out %q; want %v and %q", at, left, test.at, test.left)
			}
			closed := searchContents(t, test.path, test.data, false).Coverage.Left
			if name != "tar of much text" && (len(closed) != 1 || closed[0].Reason != core.LeftArchive) {
				t.Errorf("want it told when archives stay closed, got %+v", closed)
			}
		})
	}
}
