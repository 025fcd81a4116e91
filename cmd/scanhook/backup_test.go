package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A backup that is taken while Scanhook runs serves in its place.
func TestBackupIsRestored(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	finalOf(t, w, sample.Head)

	config := filepath.Join(t.TempDir(), "config.yaml")
	file := filepath.Join(t.TempDir(), "copy.db")
	write := func(yaml string) {
		yaml = strings.NewReplacer("${SECRET}", "s3cret-s3cret", "${TOKEN}", "", "${API_TOKEN}", "").Replace(yaml)
		if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(w.yaml)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"backup", file, "--config", config}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	if !strings.HasPrefix(out.String(), "Wrote "+file+" (") {
		t.Errorf("said %q", out.String())
	}
	nowhere := filepath.Join(t.TempDir(), "none", "copy.db")
	command(t, "backup", nowhere, "--config", config).expect(t, exitFailed, "its folder must exist and be writable")
	write("database: {url: 'sqlite:" + file + "'}")
	out.Reset()
	if code := run(t.Context(), []string{"explain", sample.Head, "--config", config}, &out, &errs); code != 0 {
		t.Fatalf("explain on the copy: exit %d: %s", code, errs.String())
	}
	if !strings.Contains(out.String(), sample.Head[:7]) {
		t.Errorf("the copy explains %q", out.String())
	}
}

func TestBackupOfPostgreSQLPointsToItsOwnMeans(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	yaml := "database: {url: 'postgres://scanhook:hidden@127.0.0.1:1/scanhook'}"
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"backup", "copy.db", "--config", config}, &out, &errs)
	if code != exitUsage || !strings.Contains(errs.String(), "pg_dump -Fc") || strings.Contains(errs.String(), "hidden") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
