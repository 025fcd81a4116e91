package sarif_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/reports/reportstest"
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
			if got := reportstest.Only(t, reportstest.SARIF(fmt.Sprintf(run, test.location, bases))).File; got != test.want {
				t.Errorf("want %.80q, got %.80q", test.want, got)
			}
		})
	}
}
