package reports_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseMakesPathsRelative(t *testing.T) {
	t.Parallel()
	bases := `"originalUriBaseIds":{
		"%SRCROOT%":{"uri":"file:///home/ci/repo/"},
		"LIB":{"uri":" lib/","uriBaseId":"%SRCROOT%"},
		"OUT":{"uri":"file:///home/ci/repo/out"},
		"ELSEWHERE":{"uri":"file:///opt/tool/"},
		"VAGUE":{"uri":"pkg/","uriBaseId":"UNKNOWN"},
		"A":{"uri":"a","uriBaseId":"B"},"B":{"uri":"b","uriBaseId":"A"}},
		"artifacts":[{"location":{"uri":"zero.c"}},{"location":{"uri":"one.c","uriBaseId":"LIB"}},{}]`
	tests := map[string]struct{ location, want string }{
		"plain":                   {`{"uri":"src/main.c"}`, "src/main.c"},
		"dots":                    {`{"uri":"./src/./x/../main.c"}`, "src/main.c"},
		"escape":                  {`{"uri":"../../../etc/passwd"}`, "etc/passwd"},
		"encoded escape":          {`{"uri":"%2e%2e/%2e%2e%2fetc/passwd"}`, "etc/passwd"},
		"percent":                 {`{"uri":"src/a%20b%C3%A9.c"}`, "src/a bé.c"},
		"not percent":             {`{"uri":"src/100%.c"}`, "src/100%.c"},
		"encoded NUL and garbage": {`{"uri":"a%00b%ff.c"}`, "a\uFFFDb\uFFFD.c"},
		"backslashes":             {`{"uri":"src\\win\\main.c"}`, "src/win/main.c"},
		"absolute, base known":    {`{"uri":"file:///home/ci/repo/src/main.c"}`, "src/main.c"},
		"absolute, without URI":   {`{"uri":"/home/ci/repo/src/main.c"}`, "src/main.c"},
		"absolute, the root":      {`{"uri":"file:///home/ci/repo"}`, ""},
		"absolute, a neighbour":   {`{"uri":"file:///home/ci/repository/main.c"}`, "home/ci/repository/main.c"},
		"absolute, elsewhere":     {`{"uri":"file:///usr/include/stdio.h"}`, "usr/include/stdio.h"},
		"below the nearest base":  {`{"uri":"file:///opt/tool/rules.yml"}`, "rules.yml"},
		"host dropped":            {`{"uri":"file://build.example.com/home/ci/repo/a.c"}`, "a.c"},
		"file with one slash":     {`{"uri":"file:/home/ci/repo/a.c"}`, "a.c"},
		"four slashes":            {`{"uri":"file:////home/ci/repo/a.c"}`, "a.c"},
		"drive":                   {`{"uri":"file:///c:/work/a.c"}`, "C:/work/a.c"},
		"drive without URI":       {`{"uri":"c:\\work\\a.c"}`, "C:/work/a.c"},
		"other scheme":            {`{"uri":"https://example.com/a.c"}`, "example.com/a.c"},
		"base without address":    {`{"uri":"src/main.c","uriBaseId":"ROOT"}`, "src/main.c"},
		"base is the root":        {`{"uri":"src/main.c","uriBaseId":"%SRCROOT%"}`, "src/main.c"},
		"base below the root":     {`{"uri":"main.c","uriBaseId":"LIB"}`, "lib/main.c"},
		"absolute below the root": {`{"uri":"gen.c","uriBaseId":"OUT"}`, "out/gen.c"},
		"base not at the root":    {`{"uri":"rules.yml","uriBaseId":"ELSEWHERE"}`, "rules.yml"},
		"half a chain":            {`{"uri":"main.c","uriBaseId":"VAGUE"}`, "pkg/main.c"},
		"a circle":                {`{"uri":"main.c","uriBaseId":"A"}`, "main.c"},
		"artifact":                {`{"index":0}`, "zero.c"},
		"artifact with base":      {`{"index":1}`, "lib/one.c"},
		"artifact without place":  {`{"index":2}`, ""},
		"artifact out of range":   {`{"index":3}`, ""},
		"address before artifact": {`{"uri":"src/main.c","index":1}`, "src/main.c"},
		"empty address":           {`{"uri":""}`, ""},
		"huge":                    {`{"uri":"` + strings.Repeat("d/", 40_000) + `"}`, strings.Repeat("d/", 1022) + "d…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := `"results":[{"locations":[{"physicalLocation":{"artifactLocation":%s}}]}],%s`
			if got := only(t, sarifRun(fmt.Sprintf(run, test.location, bases))).File; got != test.want {
				t.Errorf("want %.80q, got %.80q", test.want, got)
			}
		})
	}
}

func TestParseReadsRegions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		region     string
		start, end int
		snippet    string
	}{
		"lines":           {`"region":{"startLine":3,"endLine":5}`, 3, 5, ""},
		"one line":        {`"region":{"startLine":3}`, 3, 3, ""},
		"backwards":       {`"region":{"startLine":3,"endLine":1}`, 3, 3, ""},
		"spelt as floats": {`"region":{"startLine":3.0,"endLine":5.0}`, 3, 5, ""},
		"offsets only":    {`"region":{"charOffset":100,"endLine":7}`, 0, 0, ""},
		"negative":        {`"region":{"startLine":-3}`, 0, 0, ""},
		"beyond integers": {`"region":{"startLine":1e300}`, 0, 0, ""},
		"snippet":         {`"region":{"snippet":{"text":"a()"}},"contextRegion":{"snippet":{"text":"b()"}}`, 0, 0, "a()"},
		"snippet around": {
			`"region":{"startLine":1},"contextRegion":{"startLine":9,"snippet":{"text":"b()"}}`,
			1,
			1,
			"b()",
		},
		"null everywhere":  {`"region":null,"contextRegion":null,"artifactLocation":null`, 0, 0, ""},
		"indented snippet": {`"region":{"snippet":{"text":"\tif x {\n"}}`, 0, 0, "\tif x {\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := only(t, sarifRun(`"results":[{"locations":[{},{"physicalLocation":{`+test.region+`}}]}]`))
			if got.Line != test.start || got.EndLine != test.end || got.Snippet != test.snippet {
				t.Errorf("want %d-%d %q, got %d-%d %q", test.start, test.end, test.snippet, got.Line, got.EndLine, got.Snippet)
			}
		})
	}
}
