package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The jobs of deploy/ci are run as their CI systems would: the inputs put in, each script by a shell, with the variables of a job.

// action is what is run of a GitHub Action.
type action struct {
	Inputs map[string]struct {
		Default  string
		Required bool
	}
	Runs struct {
		Steps []struct {
			Run string
			Env map[string]string
		}
	}
}

func TestActionUploadsAndWaits(t *testing.T) {
	t.Parallel()
	w, _ := uploads(t, twoScanners)
	var wanted action
	readYAML(t, "action.yml", &wanted)
	dir := t.TempDir()
	report := filepath.Join(dir, "trivy.json")
	if err := os.WriteFile(report, []byte(reportOf("a")), 0o600); err != nil {
		t.Fatal(err)
	}
	use := func(inputs map[string]string) outcome {
		inputs["server"], inputs["token"] = w.scanhook, w.apiToken
		var last outcome
		for _, step := range wanted.Runs.Steps {
			var env []string
			for name, value := range step.Env {
				input := strings.TrimSuffix(strings.TrimPrefix(value, "${{ inputs."), " }}")
				if _, known := wanted.Inputs[input]; !known {
					t.Errorf("%s is not an input: %s", input, value)
				}
				if given, ok := inputs[input]; ok {
					env = append(env, name+"="+given)
				} else {
					env = append(env, name+"="+wanted.Inputs[input].Default)
				}
			}
			last = shell(t, dir, step.Run, append(env, "GITHUB_REPOSITORY=acme/shop", "GITHUB_REPOSITORY_ID=42",
				"GITHUB_SHA="+headSHA, "GITHUB_REF_NAME=main", "GITHUB_REF_TYPE=branch"))
		}
		return last
	}
	use(map[string]string{"timeout": "1s"}).expect(t, 3, "no scan of the commit is known yet")
	use(map[string]string{"report": report, "scanner": "lint", "timeout": "1s"}).expect(t, 3, "waiting for trivy")
	use(map[string]string{"report": report, "scanner": "trivy"}).expect(t, 1, "the gate is closed: 2 new (2 high)")
	use(map[string]string{}).expect(t, 1, "the gate is closed: 2 new (2 high)")
}

func TestGitLabJobWaitsAndReports(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, twoScanners)
	var spec struct {
		Spec struct {
			Inputs map[string]struct{ Default string }
		}
	}
	head, body, ok := strings.Cut(readCI(t, "gitlab.yml"), "\n---\n")
	if err := yaml.Unmarshal([]byte(head), &spec); err != nil || !ok {
		t.Fatal(err)
	}
	body = regexp.MustCompile(`\$\[\[ inputs\.(\w+) \]\]`).ReplaceAllStringFunc(body, func(place string) string {
		name := strings.Fields(place)[1][len("inputs."):]
		input, known := spec.Spec.Inputs[name]
		if !known {
			t.Errorf("%s is not an input", name)
		}
		if name == "server" {
			return w.scanhook
		}
		return input.Default
	})
	var jobs map[string]struct {
		Script    []string
		Variables map[string]string
		Artifacts struct{ Reports map[string]string }
	}
	if err := yaml.Unmarshal([]byte(body), &jobs); err != nil {
		t.Fatal(err)
	}
	job, dir := jobs["scanhook"], t.TempDir()
	run := func() outcome {
		env := []string{"SCANHOOK_API_TOKEN=" + w.apiToken, "GITLAB_CI=true", "CI_PROJECT_PATH=acme/shop", "CI_PROJECT_ID=42",
			"CI_COMMIT_SHA=" + headSHA, "CI_COMMIT_BRANCH=main"}
		for name, value := range job.Variables {
			env = append(env, name+"="+value)
		}
		return shell(t, dir, strings.Join(job.Script, "\n")+" --platform github", env)
	}
	upload(reportOf("a"), "-", "--scanner", "trivy")
	upload(reportOf(), "-", "--scanner", "lint")
	run().expect(t, 1, "the gate is closed: 1 new (1 high)")
	report, err := os.ReadFile(filepath.Join(dir, job.Artifacts.Reports["codequality"]))
	if err != nil || !strings.Contains(string(report), `"check_name":"a"`) {
		t.Errorf("the artifact is %s, %v", report, err)
	}
	upload(reportOf(), "-", "--scanner", "trivy")
	run().expect(t, 0, "completed, pass")
}

// shell runs a script in a directory as a CI system does, with this program as scanhook.
func shell(t *testing.T, dir, script string, env []string) outcome {
	t.Helper()
	bin := t.TempDir()
	program := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", beMain, os.Args[0])
	if err := os.WriteFile(filepath.Join(bin, "scanhook"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-eo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + bin, "CI=true"}, env...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), out: said.String()}
}

func readCI(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "ci", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readYAML(t *testing.T, name string, out any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readCI(t, name)), out); err != nil {
		t.Fatal(err)
	}
}
