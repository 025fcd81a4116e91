package main

import "testing"

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
