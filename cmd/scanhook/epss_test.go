package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

const (
	oneScore = "#model_version:v4,score_date:2026-08-%d\ncve,epss,percentile\nCVE-2024-3094,0.85974,0.99712\n"
	oneEntry = `{"dateReleased":"2026-08-01","vulnerabilities":[{"cveID":"CVE-2024-3094"}]}`
)

func TestEPSSImportAndShow(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	config := writeFile(t, "database: {url: \"sqlite:"+filepath.Join(directory, "scanhook.db")+"\"}")
	write := func(name, text string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer, older := write("new.csv", fmt.Sprintf(oneScore, 16)), write("old.csv", fmt.Sprintf(oneScore, 15))
	catalog, broken := write("kev.json", oneEntry), write("broken.csv", "cve,epss,percentile\nCVE-2024-3094,2,0\n")
	published := httptest.NewServer(http.FileServer(http.Dir(directory)))
	t.Cleanup(published.Close)

	for _, step := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"show", "CVE-2024-3094"}, 1, "nothing is known about CVE-2024-3094: scanhook epss import brings"},
		{[]string{"import", newer}, 0, newer + ": 1 EPSS scores of 2026-08-16 (v4): 1 added, 0 changed, 0 removed\n"},
		{[]string{"show", "cve-2024-3094"}, 0, "EPSS 0.85974, percentile 0.99712, not known to be exploited\n"},
		{[]string{"import", published.URL + "/new.csv", catalog}, 0, "1 known exploited vulnerabilities of 2026-08-01: 1"},
		{[]string{"show", "CVE-2024-3094"}, 0, "known to be exploited (CISA KEV)"},
		{[]string{"import", older}, 1, "the edition of 2026-08-16 is stored already; force the import to go back (--force)"},
		{[]string{"import", older, "--force"}, 0, "of 2026-08-15"},
		{[]string{"import", broken}, 1, "broken.csv: invalid: line 2: epss \"2\" is not a number from 0 to 1"},
		{[]string{"import", broken + ".gone"}, 1, "no such file"},
		{[]string{"import", published.URL + "/gone"}, 1, "the server answers 404"},
		{[]string{"import"}, 2, "use it as: scanhook epss import FILE... (0 arguments given)"},
		{[]string{"show", "log4shell"}, 2, "is not a CVE id such as CVE-2024-3094"},
		{nil, 0, "scanhook epss [command]"},
	} {
		command(t, append([]string{"epss", "--config", config}, step.args...)...).expect(t, step.code, step.want)
	}
}
