package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outcome is what a command line left behind.
type outcome struct {
	code      int
	out, errs string
}

func command(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

// expect checks the exit code and looks for texts on both streams.
func (o outcome) expect(t *testing.T, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit %d, want %d\n%s%s", o.code, code, o.out, o.errs)
	}
	for _, text := range texts {
		if !strings.Contains(o.out+o.errs, text) {
			t.Errorf("%q is not said in:\n%s%s", text, o.out, o.errs)
		}
	}
}

func (o outcome) hides(t *testing.T, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if secret == "" || strings.Contains(o.out+o.errs, secret) {
			t.Errorf("the secret %q is in the output", secret)
		}
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// file is the sandbox's configuration on disk, with the secrets in it.
func (w *sandbox) file(t *testing.T) string {
	t.Helper()
	text := w.yaml
	for name, value := range w.secrets {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	return writeFile(t, text)
}
