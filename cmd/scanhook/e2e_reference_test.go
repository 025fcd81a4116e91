package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scanhook/scanhook/internal/config"
)

// update writes the pages of docs/reference that are made of the program itself.
var update = flag.Bool("update", false, "write docs/reference")

const generated = "<!-- Made by make docs. -->\n"

func TestDocumentsOfTheSchema(t *testing.T) {
	t.Parallel()
	got := command(t, "config", "schema")
	got.expect(t, 0, `"$schema"`, `"github", "gitlab"`)
	upToDate(t, "docs/reference/config.schema.json", strings.ReplaceAll(got.out, `, "tower", "spire"`, "")) // the tests' own kind
}

const configHead = `# Configuration

%s
Scanhook reads one file, ` + "`config.yaml`, or the one that `--config` or `SCANHOOK_CONFIG`" + ` names.
[config.yaml](../../config.yaml) in the repository has every key with its default and a comment; it works as it is. ` + "`scanhook init`" + `
writes a short one with fresh secrets, and ` + "`scanhook check`" + ` tests one.

- Unknown keys, wrong types and values that make no sense are errors. All are told at once, with line, column and what to write instead.
- ` + "`${NAME}`" + ` in a value is replaced by an environment variable, which must be set; ` + "`${NAME:-default}`" + ` has a default for one that is unset or empty. Write
  ` + "`$$`" + ` for a ` + "`$`" + ` before a ` + "`{`" + `.
- Durations are written ` + "`90s`, `10m`, `1h30m`" + `. In globs, ` + "`*` ends at a slash, `**` does not, and `{a,b}`" + ` is either.

An editor with yaml-language-server, such as Visual Studio Code with its YAML extension, completes keys, shows what they mean and marks mistakes, if
the first line of the file names the schema:

` + "```text\n# yaml-language-server: $schema=config.schema.json\n```" + `

<!-- test
cp init.yaml config.yaml
-->
` + "```sh\nscanhook config schema > config.schema.json\n```" + `
<!-- test
grep 'json-schema.org/draft/2020-12' config.schema.json
-->
<!-- file: init.yaml
repositories: [{match: "**"}]
-->
`

// The page of the configuration has what the schema has, which has what config.yaml says.
func TestDocumentsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	var schema jsonschema.Schema
	text := regexp.MustCompile(`"type": \[[^\]]*\]`).ReplaceAll(config.Schema(nil), []byte(`"type": ""`)) // it reads one type only
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	fmt.Fprintf(&page, configHead, generated)
	for section := schema.Properties.Oldest(); section != nil; section = section.Next() {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n", section.Key, plain.Replace(section.Value.Description))
		describeKeys(&page, section.Value, section.Key)
	}
	upToDate(t, "docs/reference/config.md", page.String())
}

// plain is text that Markdown takes for nothing else.
var plain = strings.NewReplacer("<", "&lt;", "*", `\*`)

func describeKeys(page *strings.Builder, s *jsonschema.Schema, path string) {
	switch {
	case s.Properties != nil:
		for key := s.Properties.Oldest(); key != nil; key = key.Next() {
			place := path + "." + key.Key
			if _, inherited := policyKeys[key.Key]; inherited && strings.HasPrefix(place, "repositories") {
				continue // as under defaults
			}
			fmt.Fprintf(page, "\n- **`%s`**%s: %s\n", place, facts(key.Value), plain.Replace(key.Value.Description))
			describeKeys(page, key.Value, place)
		}
	case s.Items != nil:
		describeKeys(page, s.Items, path+"[]")
	case s.AdditionalProperties != nil:
		describeKeys(page, s.AdditionalProperties, path+".NAME")
	}
}

// policyKeys are those of defaults, which an entry of repositories has, too.
var policyKeys = func() map[string]bool {
	keys := map[string]bool{}
	for _, setting := range (&config.Config{Repositories: make([]config.Repository, 1)}).Effective(0) {
		top, _, _ := strings.Cut(setting.Key, ".")
		keys[top] = true
	}
	return keys
}()

// facts are the words and the default of a key.
func facts(s *jsonschema.Schema) string {
	var text strings.Builder
	if len(s.AnyOf) > 0 && len(s.AnyOf[0].Enum) > 1 {
		var words []string
		for _, word := range s.AnyOf[0].Enum {
			words = append(words, fmt.Sprintf("`%v`", word))
		}
		text.WriteString(" (" + strings.Join(words, ", ") + ")")
	}
	if s.Default != nil && fmt.Sprint(s.Default) != "" {
		value, _ := json.Marshal(s.Default)
		text.WriteString(", by default `" + strings.Trim(string(value), `"`) + "`")
	}
	return text.String()
}

func TestDocumentsOfTheCommands(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	page.WriteString("# Commands\n\n" + generated + "\nExit codes: 0; 1 failed, or the verdict is fail; 2 wrong use; 3 no answer: out of reach, or time is up.\n")
	var describe func(cmd *cobra.Command)
	describe = func(cmd *cobra.Command) {
		if cmd.Name() == "help" || cmd.Hidden || strings.Contains(cmd.CommandPath(), "completion ") {
			return
		}
		line := strings.Fields(cmd.CommandPath())[1:]
		help := command(t, append(slices.Clone(line), "--help")...)
		help.expect(t, 0, "Usage:")
		var text []string
		for row := range strings.Lines(strings.TrimSpace(help.out)) {
			if !strings.Contains(row, towerKind().Title) {
				text = append(text, strings.TrimRight(row, " \n"))
			}
		}
		fmt.Fprintf(&page, "\n## %s\n\n```text\n%s\n```\n", cmd.CommandPath(), strings.Join(text, "\n"))
		for _, sub := range cmd.Commands() {
			describe(sub)
		}
	}
	tree := newRoot(&bytes.Buffer{}, &bytes.Buffer{})
	tree.InitDefaultCompletionCmd()
	describe(tree)
	upToDate(t, "docs/reference/cli.md", page.String())
}

func TestDocumentsOfThePlatforms(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	page.WriteString("# What each platform needs and sends\n\n" + generated + "\nWebhooks call `<public_url>/webhooks/<name in config.yaml>`. " +
		"`scanhook hooks sync` adds and repairs them; by hand:\n")
	for _, kind := range platformKinds {
		if kind.Name == towerKind().Name {
			continue
		}
		fmt.Fprintf(&page, "\n## %s\n\n", kind.Title)
		names := append([]string{"`" + kind.Name + "`"}, kind.Aliases...)
		fmt.Fprintf(&page, "- **Type**: %s\n", strings.Join(names, ", or "))
		fmt.Fprintf(&page, "- **Token**, `%s` in a new configuration: %s; for `hooks sync` also %s\n", kind.Token.Variable, kind.Token.Needs, kind.Token.ForHooks)
		if kind.SigningPrefix != "" {
			fmt.Fprintf(&page, "- **Signing tokens** begin with `%s`\n", kind.SigningPrefix)
		}
		if kind.HasApps {
			page.WriteString("- **Apps** can stand in the place of the token\n")
		}
		var events []string
		for _, name := range slices.Sorted(maps.Keys(kind.Events)) {
			events = append(events, fmt.Sprintf("`%s` (`%s`)", name, kind.Events[name]))
		}
		fmt.Fprintf(&page, "- **Events** that `scanhook send --event` signs, with the value of their header: %s\n", strings.Join(events, ", "))
		form := strings.NewReplacer("{url}", hookAddress("https://scan.example.com", kind.Name), "{secret}", "one of webhook_secrets").Replace(kind.Hook.Form)
		fmt.Fprintf(&page, "\n```text\n%s```\n", form)
	}
	page.WriteString(platformNotes)
	upToDate(t, "docs/reference/platforms.md", page.String())
}

const platformNotes = `
## What the events are for

- With statuses (GitHub, Gitea), a status that another program overwrote is restored, once, within seconds instead of minutes.
- With repositories, a project that is renamed, moved or deleted is known as such at once. GitLab tells it to system hooks only; else it
  shows with the next push or comparison of branches.
- With workflow runs or pipeline events, builds that are unusual are told.
- Create and delete (Gitea) tell of branches that come, go or are renamed without a push.
- After a signed call of a GitLab project, its calls with only the secret token are refused, so that a leaked token is worth nothing.
`

// operation is one of the API, as /openapi.json has it.
type operation struct {
	Summary    string
	Security   []map[string][]string
	Parameters []struct{ Name, In, Description string }
	Responses  map[string]any
}

func TestDocumentsOfTheAPI(t *testing.T) {
	t.Parallel()
	w, _ := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	code, text := fetch(t, w.scanhook+"/openapi.json")
	var described struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal([]byte(text), &described); err != nil || code != http.StatusOK {
		t.Fatal(code, err)
	}
	var page strings.Builder
	page.WriteString("# API\n\n" + generated + apiHead)
	for _, path := range slices.Sorted(maps.Keys(described.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(described.Paths[path])) {
			op := described.Paths[path][method]
			role := ""
			for _, roles := range op.Security {
				for _, names := range roles {
					role = strings.Join(names, ", ")
				}
			}
			var parameters []string
			for _, p := range op.Parameters {
				if p.In == "query" {
					parameters = append(parameters, "`"+p.Name+"`")
				}
			}
			fmt.Fprintf(&page, "| `%s %s` | %s | %s | %s |\n", strings.ToUpper(method), path, op.Summary, role, strings.Join(parameters, " "))
		}
	}
	upToDate(t, "docs/reference/api.md", page.String())
}

const apiHead = `
` + "`/openapi.json` and `/docs`" + ` of a running Scanhook describe every operation, parameter and answer (OpenAPI 3.1).

- Every call bears ` + "`Authorization: Bearer TOKEN`" + `, one of ` + "`api.tokens`" + `, whose role is at least the one below.
- JSON fields bear the names of the columns. Lists are ` + "`{\"items\": […], \"next\": \"cursor\"}`; `next` given as `cursor`" + ` leads to the rest.
- Errors are problem documents (RFC 9457) whose ` + "`detail`" + ` says what to do. A project in a path is one segment: ` + "`acme%2Fshop`" + `.

| operation | what it does | role | query |
| --- | --- | --- | --- |
`

// metricNames are all metrics of a Scanhook that had a push, with what is said of them; those that count nothing yet included.
func metricNames(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	finalOf(t, w, sample.Head)
	list := filepath.Join(t.TempDir(), "scores.csv")
	if err := os.WriteFile(list, []byte("#model_version:v4,score_date:2026-08-16T00:00:00Z\ncve,epss,percentile\nCVE-2024-3094,0.8,0.9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "epss", "import", "--config", w.file(t), list).expect(t, 0)
	return eventually(t, "all metrics", func() (map[string]*dto.MetricFamily, bool) {
		_, text := fetch(t, w.scanhook+"/metrics")
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		all := true
		for _, name := range []string{"list_age_seconds", "job_seconds", "push_to_status_seconds"} { // which have values a moment later
			all = all && families["scanhook_"+name] != nil
		}
		declared := make(chan *prometheus.Desc, 1000)
		newMeter().Describe(declared)
		close(declared)
		for desc := range declared {
			addDeclared(families, desc.String())
		}
		return families, all
	})
}

var describedMetric = regexp.MustCompile(`fqName: "(\w+)", help: "([^"]*)".*variableLabels: \{([^}]*)\}`)

// addDeclared adds a metric without values.
func addDeclared(families map[string]*dto.MetricFamily, desc string) {
	said := describedMetric.FindStringSubmatch(desc)
	if said == nil || families[said[1]] != nil {
		return
	}
	kind, metric := dto.MetricType_GAUGE, new(dto.Metric)
	if strings.HasSuffix(said[1], "_total") {
		kind = dto.MetricType_COUNTER
	}
	for label := range strings.SplitSeq(said[3], ",") {
		metric.Label = append(metric.Label, &dto.LabelPair{Name: &label})
	}
	families[said[1]] = &dto.MetricFamily{Name: &said[1], Help: &said[2], Type: &kind, Metric: []*dto.Metric{metric}}
}

func TestDocumentsOfTheMetrics(t *testing.T) {
	t.Parallel()
	families := metricNames(t)
	var page strings.Builder
	page.WriteString("# Metrics\n\n" + generated + "\n`GET /metrics`, for Prometheus; how to use it: [monitor it](../how-to/monitor.md). " +
		"Besides, there are those of the Go runtime (`go_…`) and of the process (`process_…`).\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !strings.HasPrefix(name, "scanhook_") {
			continue
		}
		var labels []string
		for _, label := range families[name].GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(families[name].GetType().String()), strings.Join(labels, " "), families[name].GetHelp())
	}
	upToDate(t, "docs/reference/metrics.md", page.String())

	known := func(name string) bool {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		return families[name] != nil || families[base].GetType() == dto.MetricType_HISTOGRAM && families[base] != nil
	}
	for file, queries := range map[string][]string{
		"deploy/prometheus/rules.yaml": ruleQueries(t), "deploy/grafana/scanhook.json": dashboardQueries(t),
	} {
		if len(queries) < 10 {
			t.Errorf("%s has only %d queries", file, len(queries))
		}
		for _, query := range queries {
			for _, name := range regexp.MustCompile(`\b(?:scanhook|go|process)_\w+`).FindAllString(query, -1) {
				if !known(name) {
					t.Errorf("%s asks for %s, which there is not: %s", file, name, query)
				}
			}
		}
	}
}

// ruleQueries are the expressions of the alerts, each of which the page for administrators names.
func ruleQueries(t *testing.T) (queries []string) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	page := read(t, "docs/how-to/monitor.md").text
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			queries = append(queries, rule.Expr)
			if !strings.Contains(page, "| `"+rule.Alert+"` |") {
				t.Errorf("docs/how-to/monitor.md does not say what to do about %s", rule.Alert)
			}
			if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
				t.Errorf("%s has no summary, description or severity", rule.Alert)
			}
		}
	}
	return queries
}

func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy", "grafana", "scanhook.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}
