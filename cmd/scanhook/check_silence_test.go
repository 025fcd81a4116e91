package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

func TestCheckNamesSilentWebhooks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	text := strings.ReplaceAll(checkStart, "DIR", dir) + `repositories: [{match: "github/acme/*"}]`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now().AddDate(0, 0, -50)
	s, err := store.Open(t.Context(), store.Config{
		URL: "sqlite:" + filepath.Join(dir, "scanhook.db"), Now: func() time.Time { return now },
		Policies: core.Policies{{Match: "**"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for day := range 40 {
		for _, project := range []string{"acme/shop", "other/shop"} {
			d := core.Delivery{Platform: "github", Key: fmt.Sprint(project, day), Name: "ping", Project: project}
			if _, err := s.AcceptIgnored(t.Context(), d, "ping"); err != nil {
				t.Fatal(err)
			}
		}
		now = now.AddDate(0, 0, 1)
	}
	if _, _, err := s.RecordRhythms(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	run(t.Context(), []string{"check", "--config", file}, &out, &errs)
	for _, want := range []string{"warn  webhook of github/acme/shop: silent since ", "warn  all webhooks of github: silent since "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s%s", want, out.String(), errs.String())
		}
	}
	if strings.Contains(out.String(), "other/shop") {
		t.Errorf("it names a project that is not configured:\n%s", out.String())
	}
}
