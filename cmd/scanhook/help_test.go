package main

import (
	"strings"
	"testing"
)

// Help fits into 80 columns, whole words only; examples stay whole, since they are to be copied.
func TestHelpFitsIntoATerminal(t *testing.T) {
	t.Parallel()
	lines := []string{"", "upload", "hooks", "hooks sync", "recover", "epss import", "epss show", "send", "explain", "init", "serve",
		"demo", "migrate", "backup", "check", "version", "help", "completion bash"}
	for _, line := range lines {
		got := command(t, append(strings.Fields(line), "--help")...)
		got.expect(t, 0, "Usage:")
		for text := range strings.Lines(got.out) {
			if len([]rune(strings.TrimRight(text, "\n"))) > usualWidth {
				t.Errorf("%s --help: %q", line, text)
			}
		}
	}
}

func TestWrapTable(t *testing.T) {
	t.Parallel()
	text := "Examples:\n  a very  long example\nFlags:\n  -x, --long NAME   some words\n  more\n"
	want := "Examples:\n  a very  long example\nFlags:\n  -x, --long NAME   some\n                    words\n  more\n"
	if got := wrapTable(text, 27); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMisspeltWords(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"chek":            `no command "chek"; did you mean "check"?`,
		"vresion":         `did you mean "version"?`,
		"hlep":            `did you mean "help"?`,
		"migr":            `did you mean "migrate"?`,
		"hooks snyc":      `no command "snyc"; did you mean "sync"?`,
		"epss improt":     `did you mean "import"?`,
		"nothing":         `no command "nothing"; there are: backup, check, completion, demo`,
		"upload --scaner": "unknown flag: --scaner; did you mean --scanner?",
		"serve --verbos":  "did you mean --verbose?",
		"check --nothing": "unknown flag: --nothing\n",
		"check -x":        "unknown shorthand flag",
	} {
		command(t, strings.Fields(line)...).expect(t, exitUsage, want)
	}
	version := command(t, "version")
	if flag := command(t, "--version"); flag.code != 0 || flag.out != version.out || !strings.HasPrefix(flag.out, "scanhook ") {
		t.Errorf("--version: %+v, version: %+v", flag, version)
	}
}
