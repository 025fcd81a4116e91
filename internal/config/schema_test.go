package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/invopop/jsonschema"
	validator2020 "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write schema.json")

// schema.json follows config.go and config.yaml.
func TestSchemaIsUpToDate(t *testing.T) {
	t.Parallel()
	want := generateSchema(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if schemaText != string(want) {
		t.Error("schema.json does not follow config.go and config.yaml: go test ./internal/config -update, then go test ./cmd/scanhook -run Documents -update")
	}
}

func TestSchemaAcceptsTheReference(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"as it is": reference(t), "with every setting": everySetting(t), "empty": "", "the starter": string(Starter(StarterValues{
			PublicURL: "https://scan.example.com", APIToken: "a-long-enough-token",
			Platforms: []StarterPlatform{{Type: "github", URL: "https://github.com", Secret: "s", Variable: "V"}},
		})),
	} {
		if err := judge(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who reads the schema in an editor sees what config.yaml says.
func TestSchemaDescribesEveryKey(t *testing.T) {
	t.Parallel()
	walkSchema(generated(t), "", func(path string, s *jsonschema.Schema) {
		if path != "" && !strings.HasSuffix(path, "[]") && !strings.HasSuffix(path, "*") && s.Description == "" {
			t.Errorf("%s has no comment, neither in config.yaml nor in config.go", path)
		}
	})
}

// wrongFiles are what people write. Those that the schema cannot judge are told by Load alone.
var wrongFiles = map[string]struct {
	text     string
	onlyLoad bool
}{
	"an unknown key on top":            {text: "servr: {}"},
	"an unknown key of the server":     {text: "server: {port: 8080}"},
	"an unknown key of a platform":     {text: "platforms: {github: {webhook_secret: x}}"},
	"an unknown key of a repository":   {text: "repositories: [{match: '**', branch: [main]}]"},
	"an unknown key of the gate":       {text: "defaults: {gate: {cvss: 7}}"},
	"an unknown key of an App":         {text: "platforms: {github: {app: {id: 1, key: x}}}"},
	"a list instead of keys":           {text: "server: [a]"},
	"a word instead of keys":           {text: "platforms: {github: x}"},
	"a word instead of a list":         {text: "platforms: {github: {webhook_secrets: abc}}"},
	"a list instead of a text":         {text: "platforms: {github: {token: [a]}}"},
	"a number instead of a text":       {text: "defaults: {context: 12}"},
	"a word instead of a number":       {text: "platforms: {github: {app: {id: x, private_key_file: k}}}"},
	"a word instead of a truth":        {text: "defaults: {supersede: maybe}"},
	"a duration without a unit":        {text: "defaults: {scan_timeout: 10}"},
	"a duration in days":               {text: "defaults: {scan_timeout: 1d}"},
	"an age without a unit":            {text: "retention: {scans: 30}"},
	"an age in words":                  {text: "retention: {scans: a month}"},
	"an interval in words":             {text: "recover: {every: soon}"},
	"a size in words":                  {text: "runner: {cache_size: big}"},
	"a size that is too small":         {text: "runner: {cache_size: 100}"},
	"a role that there is not":         {text: "api: {tokens: [{name: a, token: a-long-enough-token, role: owner}]}"},
	"a severity that there is not":     {text: "defaults: {gate: {fail_on: severe}}"},
	"coverage that is ignored":         {text: "defaults: {gate: {coverage: ignore}}"},
	"anomalies that warn":              {text: "defaults: {anomalies: warn}"},
	"a type of platform that is not":   {text: "platforms: {github: {type: bitbucket}}"},
	"a report format that is not":      {text: "scanners: {a: {upload: true, format: xml}}"},
	"a built-in scanner that is not":   {text: "scanners: {a: {builtin: trufflehog}}"},
	"a scanner without a source":       {text: "scanners: {a: {format: sarif}}"},
	"a scanner with two sources":       {text: "scanners: {a: {builtin: gitleaks, command: [x]}}"},
	"a command as a text":              {text: "scanners: {a: {command: semgrep scan}}"},
	"a platform's name in capitals":    {text: "platforms: {GitHub: {type: github}}"},
	"a probability above 1":            {text: "defaults: {gate: {epss: 10}}"},
	"too many findings for an AI":      {text: "ai: {max_findings: 5000}"},
	"a history of no commits":          {text: "defaults: {scan_history: 0}"},
	"no scans to keep":                 {text: "retention: {keep_scans: 0}"},
	"more paths than git holds":        {text: "runner: {max_paths: 100000001}"},
	"a repository without a match":     {text: "repositories: [{branches: [main]}]"},
	"a token without a name":           {text: "api: {tokens: [{token: a-long-enough-token, role: admin}]}"},
	"a database that is none":          {text: "database: {url: mysql://db/scanhook}"},
	"an address without a scheme":      {text: "server: {public_url: scan.example.com}"},
	"an address for listening":         {text: "server: {listen: 'http://localhost:8080'}"},
	"a proxy by its name":              {text: "server: {trusted_proxies: [proxy.example.com]}", onlyLoad: true},
	"a scanner that is not declared":   {text: "defaults: {scanners: [semgrep]}", onlyLoad: true},
	"the same scanner twice":           {text: "defaults: {scanners: [gitleaks, gitleaks]}", onlyLoad: true},
	"a glob that is open":              {text: "repositories: [{match: 'github/[a'}]", onlyLoad: true},
	"the same token twice":             {text: "api: {tokens: [{name: a, token: a-long-enough-token, role: admin}, {name: b, token: a-long-enough-token, role: admin}]}", onlyLoad: true},
	"a short token":                    {text: "api: {tokens: [{name: a, token: short, role: admin}]}", onlyLoad: true},
	"a secret with a line break":       {text: "platforms: {github: {webhook_secrets: [\"secret-of-shop\\n\"]}}", onlyLoad: true},
	"an App of GitLab":                 {text: "platforms: {gitlab: {app: {id: 1, private_key_file: k}}}", onlyLoad: true},
	"a signing token of GitHub":        {text: "platforms: {github: {signing_tokens: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}", onlyLoad: true},
	"deliveries that are soon removed": {text: "retention: {deliveries: 6d}", onlyLoad: true},
	"an AI without a model":            {text: "ai: {url: 'https://ai.example.com/v1'}", onlyLoad: true},
	"a provider that lets nobody in":   {text: "web: {oidc: {issuer: 'https://login.example.com', client_id: scanhook}}", onlyLoad: true},
	"rules of a command":               {text: "scanners: {a: {command: [x], archives: true}}", onlyLoad: true},
	"a variable that is not set":       {text: "database: {url: 'postgres://${DB_USER}@db/scanhook'}", onlyLoad: true},
	"a key that stands twice":          {text: "server: {}\nserver: {}", onlyLoad: true},
}

func TestWrongFilesAreRefused(t *testing.T) {
	t.Parallel()
	for name, file := range wrongFiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, problem := range problemsOf(t, file.text, nil) {
				if _, sentence, _ := strings.Cut(problem, ": "); len(strings.Fields(sentence)) < 4 {
					t.Errorf("Load says only %q", problem)
				}
			}
			if err := judge(t, file.text); err == nil && !file.onlyLoad {
				t.Error("the schema accepts it")
			} else if err != nil && file.onlyLoad {
				t.Logf("the schema refuses it too: %v", err) // an editor may know more than we ask of it
			}
		})
	}
}

// probes are values of which each makes sense somewhere and none everywhere.
var probes = []string{
	"", "null", "word", `"0"`, "0", "-1", "1", "0.5", "1000000000", "true", "TRUE", `"False"`, "10m", "3d", "2GiB", "forever", "[]", "[a]", "{}",
	`"${UNSET:-}"`, `"${UNSET:-1}"`, "https://example.com", "127.0.0.1:80", "sqlite:a", "gitleaks", "github", "admin", "tell", "off", "sarif", "never",
}

// The schema never refuses what Load takes: an editor that cries wolf is switched off. And it knows every list of words
// that Load knows.
func TestSchemaAgreesWithLoad(t *testing.T) {
	t.Parallel()
	text := everySetting(t)
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	forget(&document)
	schema, tried := generated(t), 0
	eachValue(&document, "", func(path string, value *yaml.Node) {
		was := *value
		for _, probe := range probes {
			*value = nodeOf(t, probe)
			changed, err := yaml.Marshal(around(&document, path))
			if err != nil {
				t.Fatal(err)
			}
			tried++
			_, problem := Parse("c.yaml", changed, types, variables{}.lookup)
			if problem == nil {
				if err := judge(t, string(changed)); err != nil {
					t.Errorf("%s: %q is refused by the schema alone: %v", path, probe, err)
				}
			}
			if probe == "word" && problem != nil {
				checkChoices(t, path, problem, at(schema, path))
			}
		}
		*value = was
	})
	if tried < 1000 {
		t.Errorf("only %d values were tried", tried)
	}
}

var choice = regexp.MustCompile(`must be ((?:[a-z]+, )*[a-z]+) or ([a-z]+)(?: \(|$)`)

// checkChoices wants the words that Load names to be those of the schema.
func checkChoices(t *testing.T, path string, problem error, s *jsonschema.Schema) {
	t.Helper()
	failure := new(Error)
	if !errors.As(problem, &failure) || len(failure.Problems) != 1 || strings.HasSuffix(path, ".type") {
		return
	}
	told := choice.FindStringSubmatch(failure.Problems[0].Message)
	if told == nil || strings.Contains(told[0], "true or false") {
		return
	}
	var known []string
	if s != nil && len(s.AnyOf) > 0 {
		for _, word := range s.AnyOf[0].Enum {
			known = append(known, fmt.Sprint(word))
		}
	}
	if want := append(strings.Split(told[1], ", "), told[2]); !slices.Equal(known, want) {
		t.Errorf("%s: the schema knows the words %q, Load %q: give the field a tag jsonschema:\"enum=%s\"", path, known, want,
			strings.Join(want, ",enum="))
	}
}

// everySetting is the reference with what it comments out.
func everySetting(t *testing.T) string {
	t.Helper()
	return comment.ReplaceAllString(reference(t), "$1$2")
}

// around is a section of a document, with those that it speaks of: less is read faster.
func around(document *yaml.Node, path string) *yaml.Node {
	section := regexp.MustCompile(`^[a-z]+`).FindString(path)
	wanted := map[string][]string{"defaults": {"scanners"}, "repositories": {"platforms", "scanners"}}[section]
	all, some := document.Content[0].Content, yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(all); i += 2 {
		if all[i].Value == section || slices.Contains(wanted, all[i].Value) {
			some.Content = append(some.Content, all[i], all[i+1])
		}
	}
	return &some
}

// forget takes the comments away, which take most of the time to write and read.
func forget(node *yaml.Node) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	for _, child := range node.Content {
		forget(child)
	}
}

func nodeOf(t *testing.T, text string) yaml.Node {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Content) == 0 {
		return yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle}
	}
	return *document.Content[0]
}

// eachValue visits the values of a document that hold no other keys, by their path.
func eachValue(node *yaml.Node, path string, visit func(path string, value *yaml.Node)) {
	switch node.Kind {
	case yaml.DocumentNode:
		eachValue(node.Content[0], path, visit)
	case yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			eachValue(node.Content[i+1], below(path, node.Content[i].Value), visit)
		}
	case yaml.SequenceNode:
		for _, item := range node.Content {
			eachValue(item, path+"[]", visit)
		}
		if len(node.Content) == 0 || node.Content[0].Kind == yaml.ScalarNode {
			visit(path, node)
		}
	default:
		visit(path, node)
	}
}

// below is the path of a key; the names of platforms and scanners do not count.
func below(path, key string) string {
	switch path {
	case "":
		return key
	case "platforms", "scanners":
		return path + ".*"
	}
	return path + "." + key
}

var compiled = sync.OnceValues(func() (*validator2020.Schema, error) {
	schema, err := validator2020.UnmarshalJSON(bytes.NewReader(Schema(types)))
	if err != nil {
		return nil, err
	}
	compiler := validator2020.NewCompiler()
	if err := compiler.AddResource("c.json", schema); err != nil {
		return nil, err
	}
	return compiler.Compile("c.json")
})

// judge has a file judged by the schema.
func judge(t *testing.T, text string) error {
	t.Helper()
	schema, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return nil // not YAML: no schema is asked
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if value, err = validator2020.UnmarshalJSON(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if value == nil {
		return nil // nothing but comments
	}
	return schema.Validate(value)
}

const (
	goDuration = `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`
	anyDays    = `^[0-9]+d$`
	orVariable = `|^$|\$`
)

// mapped are the types that read themselves from text.
func mapped(of reflect.Type) *jsonschema.Schema {
	only := func(pattern, low, high string) *jsonschema.Schema { // or a number between the bounds
		s := &jsonschema.Schema{Pattern: pattern + orVariable, Minimum: json.Number(low), Maximum: json.Number(high)}
		s.Extras = map[string]any{"type": []string{"string", "integer", "null"}}
		return s
	}
	switch of {
	case reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: goDuration}
	case reflect.TypeFor[Age]():
		return only(goDuration+"|"+anyDays+"|^(forever|never|0)$", "0", "0")
	case reflect.TypeFor[Interval]():
		return only(goDuration+"|^0$", "0", "0")
	case reflect.TypeFor[Size]():
		return only(`^[0-9][0-9.,]* ?[A-Za-z]*$`, fmt.Sprint(minCacheSize), "")
	case reflect.TypeFor[Date]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`}
	case reflect.TypeFor[Secret](), reflect.TypeFor[DatabaseURL]():
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(generated(t)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// generated is the schema by the structs, their comments and those of the reference.
func generated(t *testing.T) *jsonschema.Schema {
	t.Helper()
	reflector := jsonschema.Reflector{
		FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, DoNotReference: true, Anonymous: true, Mapper: mapped,
	}
	if err := reflector.AddGoComments("github.com/scanhook/scanhook/internal/config", "./"); err != nil {
		t.Fatal(err)
	}
	schema := reflector.Reflect(&Config{})
	schema.Title, schema.Description = "Scanhook", "config.yaml: everything that an administrator sets."
	said, defaults := commentsOf(t, everySetting(t)), valuesOf(t, reference(t))
	walkSchema(schema, "", func(path string, s *jsonschema.Schema) {
		policy := strings.Replace(path, "repositories[]", "defaults", 1)
		general := strings.Replace(policy, "defaults.gitleaks.", "scanners.*.", 1)
		s.Description = cmp.Or(said[path], said[policy], said[general], sentence(s.Description))
		if value, set := defaults[path]; set {
			s.Default = value
		}
		loosen(s, path)
	})
	return schema
}

// walkSchema visits every value that a file can hold, by its path, from the inside out.
func walkSchema(s *jsonschema.Schema, path string, visit func(path string, s *jsonschema.Schema)) {
	if s.Items != nil {
		walkSchema(s.Items, path+"[]", visit)
	}
	if s.AdditionalProperties != nil && s.Properties == nil {
		walkSchema(s.AdditionalProperties, path+".*", visit)
	}
	if s.Properties != nil {
		for property := s.Properties.Oldest(); property != nil; property = property.Next() {
			walkSchema(property.Value, strings.TrimPrefix(path+"."+property.Key, "."), visit)
		}
	}
	visit(path, s)
}

// at is what the schema says of a path, nil where it says nothing.
func at(schema *jsonschema.Schema, path string) (found *jsonschema.Schema) {
	walkSchema(schema, "", func(p string, s *jsonschema.Schema) {
		if p == path {
			found = s
		}
	})
	return found
}

// loosen lets pass what Load takes beside the type: nothing at all, variables, and numbers in quotation marks.
func loosen(s *jsonschema.Schema, path string) {
	var allowed []string
	switch s.Type {
	case "string":
		allowed = []string{"string", "null"}
		if s.Pattern != "" && !strings.HasSuffix(s.Pattern, orVariable) {
			s.Pattern += orVariable
		}
	case "integer":
		allowed, s.Pattern = []string{"integer", "string", "null"}, `^[+-]?[0-9]+$`+orVariable
	case "number":
		allowed, s.Pattern = []string{"number", "string", "null"}, `^[0-9.+eE-]+$`+orVariable
	case "boolean":
		allowed, s.Pattern = []string{"boolean", "string", "null"}, `^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$`+orVariable
	case "array", "object":
		allowed = []string{s.Type, "null"}
	default:
		return
	}
	if len(s.Enum) > 0 {
		s.AnyOf = []*jsonschema.Schema{{Enum: s.Enum}, {Type: "string", Pattern: strings.TrimPrefix(orVariable, "|")}, {Type: "null"}}
		s.Type, s.Enum = "", nil
		return
	}
	s.Type, s.Extras = "", map[string]any{"type": allowed}
	switch path {
	case "platforms", "scanners":
		s.PropertyNames = &jsonschema.Schema{Pattern: pathSegment.String()}
	case "scanners.*":
		s.OneOf = []*jsonschema.Schema{{Required: []string{"builtin"}}, {Required: []string{"command"}}, uploads()}
	}
}

// uploads is a scanner with upload: true.
func uploads() *jsonschema.Schema {
	properties := jsonschema.NewProperties()
	properties.Set("upload", &jsonschema.Schema{Not: &jsonschema.Schema{Enum: []any{false, nil, ""}}})
	return &jsonschema.Schema{Required: []string{"upload"}, Properties: properties}
}

// commentsOf are the comments above keys, by path: of several platforms, those of the first that has one.
func commentsOf(t *testing.T, text string) map[string]string {
	t.Helper()
	said := map[string]string{}
	var collect func(node *yaml.Node, path string)
	collect = func(node *yaml.Node, path string) {
		for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			place := below(path, key.Value)
			if words := plain(key.HeadComment); words != "" && said[place] == "" {
				said[place] = words
			}
			collect(value, place)
		}
		for i := 0; node.Kind == yaml.SequenceNode && i < len(node.Content); i++ {
			collect(node.Content[i], path+"[]")
		}
	}
	document := nodeOf(t, text)
	collect(&document, "")
	return said
}

// plain is a comment without its marks, on one line.
func plain(comment string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(strings.TrimPrefix(comment, "#"), "\n#", " ")), " ")
}

// sentence makes one of a comment in the code.
func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// valuesOf are the values of the sections that hold no examples: they are the defaults, as another test asserts.
func valuesOf(t *testing.T, text string) map[string]any {
	t.Helper()
	document, values := nodeOf(t, text), map[string]any{}
	eachValue(&document, "", func(path string, value *yaml.Node) {
		section := regexp.MustCompile(`^[a-z]+`).FindString(path)
		if slices.Contains([]string{"platforms", "api", "scanners", "repositories"}, section) || strings.Contains(value.Value, "${") ||
			strings.HasSuffix(path, "[]") {
			return
		}
		var decoded any
		if err := value.Decode(&decoded); err != nil {
			t.Fatal(err)
		}
		values[path] = decoded
	})
	return values
}
