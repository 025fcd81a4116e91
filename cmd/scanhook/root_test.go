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
			if len([]rune(strings.TrimRight(text, "\n"))) > 80 {
				t.Errorf("%s --help: %q", line, text)
			}
		}
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

func TestCompletion(t *testing.T) {
	t.Parallel()
	file := writeFile(t, `
platforms: {ghes: {type: github, url: "https://ghes.example.com"}, gitlab: {}}
scanners: {trivy: {upload: true}}
`)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"platforms": {[]string{"upload", "--config", file, "--platform", ""}, "ghes\ngitlab\n:4\n"},
		"scanners":  {[]string{"upload", "--config", file, "--scanner", ""}, "trivy\n:4\n"},
		"events of GitHub": {[]string{"send", "--config", file, "--platform", "ghes", "--event", ""},
			"ping\npush\nworkflow_run\n:4\n"},
		"events of GitLab": {[]string{"send", "--config", file, "--platform", "gitlab", "--event", ""},
			"pipeline\npush\ntag_push\n:4\n"},
		"no configuration": {[]string{"upload", "--config", file + ".gone", "--scanner", ""}, ":4\n"},
		"reports":          {[]string{"upload", ""}, "sarif\njson\ngz\n:8\n"},
		"one payload":      {[]string{"send", "push.json", ""}, ":4\n"},
		"directions":       {[]string{"migrate", ""}, "up\tapply what is missing\ndown\ttake the last migrations back\n:4\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := command(t, append([]string{"__complete"}, test.args...)...); got.out != test.want {
				t.Errorf("got %q, want %q", got.out, test.want)
			}
		})
	}
}
