package gitleaks

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// evasions are contents that hide a secret, by what they do. What is said of each holds with archives opened.
func evasions(t *testing.T) map[string]struct{ path, data, want string } {
	line := "token = '" + githubToken + "'\n"
	secret := member{"a.env", line}
	twice := base64.StdEncoding.EncodeToString([]byte("x = " + base64.StdEncoding.EncodeToString([]byte(line))))
	chinese := strings.Repeat("密码在这里没有别的东西可看。", 800)
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, _ = w.Write([]byte(strings.Repeat(line, 40)))
	_ = w.Close()
	spaced := strings.Join(strings.Split(line, ""), "\x00")
	tiny := strings.Repeat("ab cd\n", 30_000)
	return map[string]struct{ path, data, want string }{
		"a picture's first bytes":          {"a", "GIF89a" + line, "found"},
		"a font's":                         {"a", "wOFF\x00\x01\x00\x00" + line, "found"},
		"a database's":                     {"a", "SQLite format 3\x00" + line, "found"},
		"a program's, for Java":            {"a", "\xca\xfe\xba\xbe" + line, "found"},
		"a mark in the middle":             {"a", "x = 1\n\xef\xbb\xbf" + line, "found"},
		"zero bytes between all":           {"a", spaced, "found"},
		"UTF-16 among Chinese":             {"a", wide16(chinese + line + chinese), "found"},
		"UTF-16 with a wrong mark":         {"a", "\xef\xbb\xbf" + wide16(line+"more of it, and still more\n"), "found"},
		"base64":                           {"a", "k: " + base64.StdEncoding.EncodeToString([]byte(line)) + "\n", "found"},
		"base64 in base64":                 {"a", "k: " + twice + "\n", "found"},
		"hexadecimal":                      {"a", "k: " + hex.EncodeToString([]byte(line)) + "\n", "found"},
		"percent encoding":                 {"a", "https://example.com/?x=" + url.QueryEscape("token='"+githubToken+"'") + "\n", "found"},
		"a carriage return alone":          {"a", "x\r" + strings.TrimSpace(line) + "\ry\r", "found"},
		"the line separator of Unicode":    {"a", "x\u2028" + line, "found"},
		"escapes of a terminal":            {"a", "\x1b[8m" + line + "\x1b[0m", "found"},
		"a comment that allows it":         {"a", strings.TrimSpace(line) + " # gitleaks:allow\n", "found"},
		"a name that looks harmless":       {"gitleaks.toml.d/a", line, "found"},
		"an exempt name":                   {"img/logo.png", line, "allow list"},
		"the last line, without its end":   {"a", tiny + strings.TrimSpace(line), "found"},
		"far down, behind CRLF":            {"a", strings.ReplaceAll(tiny+line+tiny, "\n", "\r\n"), "found"},
		"one endless line":                 {"a", strings.Repeat("x;", 150_000) + line, "found"},
		"over the edge of a window":        {"a", strings.Repeat("y", windowSize-20) + " " + line, "found"},
		"a zip behind a script":            {"a.sh", "#!/bin/sh\nexit 0\n" + zipOf(t, secret), "found"},
		"a zip with another name":          {"a.txt", zipOf(t, secret), "found"},
		"a zip in a gzip":                  {"a.gz", gzipOf(t, zipOf(t, secret)), "found"},
		"two gzips behind each other":      {"a.gz", gzipOf(t, "nothing\n") + gzipOf(t, line), "found"},
		"a gzip three times":               {"a", gzipOf(t, gzipOf(t, gzipOf(t, line))), "archive"},
		"a zip of zeros":                   {"a.zip", zipOf(t, member{"0", strings.Repeat("\x00", 1<<20)}, member{"1", strings.Repeat("\x00", 10<<20)}, secret), "archive"},
		"a bomb in a bomb":                 {"a.zip", zipOf(t, member{"b.zip", zipOf(t, member{"0", strings.Repeat("0", maxUnpacked+1)})}, secret), "archive"},
		"a tar that is cut":                {"a.tar", tarOf(t, member{"0", strings.Repeat("\x01\xfe", 5000)}, secret)[:9000], "archive"},
		"a member that climbs out":         {"a.zip", zipOf(t, member{"../../../etc/a", line}), "found"},
		"an xz":                            {"a.xz", "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46" + strings.Repeat("\x01\xfe", 400), "archive"},
		"zlib without a name":              {"a.bin2", packed.String(), "binary"},
		"a PDF with packed pages":          {"a", "%PDF-1.7\nstream\n" + packed.String() + strings.Repeat("\x00\x01\x9f", 400), "binary"},
		"a pointer of Git LFS with a tail": {"a", "version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 3\n" + line, "found"},
	}
}

// What hides a secret does not make it searched and clean: it is found, or named as not searched.
func TestEvasions(t *testing.T) {
	t.Parallel()
	for name, test := range evasions(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, archives := range []bool{true, false} {
				if rulesOf(t).Allowed(test.path) {
					continue // and counted by who knows the path
				}
				got := searchContents(t, test.path, test.data, archives)
				var outcome []string
				for _, left := range got.Coverage.Left {
					outcome = append(outcome, string(left.Reason))
				}
				if len(got.Findings) > 0 {
					outcome = append(outcome, "found")
				}
				if archives && !slices.Contains(outcome, test.want) || len(outcome) == 0 {
					t.Errorf("archives opened: %v: want %q, got %q", archives, test.want, outcome)
				}
				if line := strings.Count(strings.Split(test.data, "token = ")[0], "\n") + 1; len(got.Findings) > 0 && strings.Contains(test.data, "token = ") &&
					got.Findings[0].File == "" && got.Findings[0].Line != line {
					t.Errorf("want line %d, got %d", line, got.Findings[0].Line)
				}
			}
		})
	}
}
