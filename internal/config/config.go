// Package config reads config.yaml, the one file that an administrator writes.
//
// It is strict: an unknown key, a wrong type, a duplicate key, an undefined ${VAR} or a value that makes no sense is an
// error with file, line and key path, and all errors are reported at once. Reading order: config.go (what can be written),
// load.go (from file to Config), validate.go; package strictyaml reads the YAML. Secrets are kept in types that print as "[redacted]".
package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/dustin/go-humanize"

	"github.com/scanhook/scanhook/core"
)

// Config is the whole configuration with every default filled in, as Parse returns it.
type Config struct {
	Server       Server              `yaml:"server"`
	Database     Database            `yaml:"database"`
	Platforms    map[string]Platform `yaml:"platforms"` // by key: the {platform} of POST /webhooks/{platform}
	API          API                 `yaml:"api"`
	Web          Web                 `yaml:"web"`
	Scanners     map[string]Scanner  `yaml:"scanners"`     // by name; the built-in gitleaks is always among them
	EPSS         EPSS                `yaml:"epss"`         // where vulnerabilities' likelihood of exploitation is from
	AI           AI                  `yaml:"ai"`           // who is asked about new findings
	Recover      Recover             `yaml:"recover"`      // how pushes are found that no webhook announced
	Retention    Retention           `yaml:"retention"`    // how long things are kept
	Runner       Runner              `yaml:"runner"`       // what a scan that runs here may cost
	Defaults     Policy              `yaml:"defaults"`     // what every repository starts from
	Repositories []Repository        `yaml:"repositories"` // first match wins; a push to anything else is ignored

	Types    []PlatformType `yaml:"-"` // that a platform can have
	Source   Source         `yaml:"-"` // where values stand
	Warnings []string       `yaml:"-"` // "file:line:column: sentence" for what is legal but hardly meant, by line
}

// Source is where in the file values stand.
type Source struct {
	File  string         // its path
	Lines map[string]int // of each value that the file sets, by path: defaults.gate, repositories[0].match
}

// Verifies reports whether a call of the platform can be verified at all, by its own secrets or by those of repositories;
// a platform without any is off.
func (c *Config) Verifies(platform string) bool {
	if c.Platforms[platform].Enabled() {
		return true
	}
	signable := c.typeOf(platform).SigningTokens
	return slices.ContainsFunc(c.Repositories, func(r Repository) bool {
		return r.Reaches(platform) && (anyGiven(r.WebhookSecrets) || signable && anyGiven(r.SigningTokens))
	})
}

// Uses tells whether any repository uses a scanner. One that lists none takes all reports that are uploaded.
func (c *Config) Uses(scanner string) bool {
	return slices.ContainsFunc(c.Repositories, func(r Repository) bool {
		return slices.Contains(r.Scanners, scanner) || len(r.Scanners) == 0 && c.Scanners[scanner].Upload
	})
}

// RunsCommands tells whether the scanner of any repository is a command.
func (c *Config) RunsCommands() bool {
	for name, scanner := range c.Scanners {
		if scanner.Command != nil && c.Uses(name) {
			return true
		}
	}
	return false
}

// typeOf is empty where the platform's type is not a known one.
func (c *Config) typeOf(platform string) PlatformType {
	found, _ := typeNamed(c.Types, c.Platforms[platform].Type)
	return found
}

// Database says where everything is kept.
type Database struct {
	URL DatabaseURL `yaml:"url" jsonschema:"pattern=^(sqlite|postgres|postgresql):"` // sqlite:FILE or postgres://…
}

// PlatformType is what the configuration must know about a kind of Git platform. Who parses a configuration hands over
// the types that it has adapters for.
type PlatformType struct {
	Name          string   // as Platform.Type has it
	Title         string   // for people
	Aliases       []string // further names that may be written
	URL           string   // default of Platform.URL; empty where each installation has its own
	SigningTokens bool     // its calls can be signed with tokens
	Apps          bool     // it can be called as an App
	JobTokens     bool     // its CI gives jobs tokens of their own
}

// typeNamed finds a type by its name or an alias.
func typeNamed(types []PlatformType, name string) (PlatformType, bool) {
	at := slices.IndexFunc(types, func(t PlatformType) bool { return t.Name == name || slices.Contains(t.Aliases, name) })
	if at < 0 {
		return PlatformType{}, false
	}
	return types[at], true
}

// Platform is one instance of a Git platform.
type Platform struct {
	Type            string `yaml:"type" jsonschema:"enum=@types@"` // name of a PlatformType; default: the platform's key
	URL             string `yaml:"url"`                            // http(s) base of its pages, without trailing slash
	APIURL          string `yaml:"api_url"`                        // empty: derived from URL
	HookSecrets     `yaml:",inline"`
	Token           Secret        `yaml:"token"`             // posts statuses and fetches; empty: nothing is posted
	App             *App          `yaml:"app"`               // instead of Token, where the type has Apps; nil when not configured
	MinPostInterval time.Duration `yaml:"min_post_interval"` // shortest pause between posts; 0: the reporter decides
	CI              CI            `yaml:"ci"`                // what its CI's jobs may do with tokens of their own
}

// CI says what jobs of a platform's CI may do with the OpenID Connect tokens that the platform gives them: bring reports for the commit
// that they work on, and read the scan of it.
type CI struct {
	Tokens   bool     `yaml:"tokens"`   // such tokens are taken
	Issuer   string   `yaml:"issuer"`   // http(s), who signs them, exactly as they name it; default: by the platform's type and url
	Scanners []string `yaml:"scanners"` // globs of the scanners whose reports jobs may bring; none: all
}

// Enabled reports whether the platform's own secrets can verify a call. See Config.Verifies.
func (p Platform) Enabled() bool {
	return anyGiven(p.WebhookSecrets) || anyGiven(p.SigningTokens)
}

// Posts reports whether there is a credential to call the platform with: to post commit statuses, to look after webhooks.
func (p Platform) Posts() bool { return !isEmpty(p.Token) || p.App != nil }

// HookSecrets verify calls: any of them does, so that one can be exchanged without a gap.
type HookSecrets struct {
	WebhookSecrets []Secret `yaml:"webhook_secrets"` // verify its calls; none of them is empty
	SigningTokens  []Secret `yaml:"signing_tokens"`  // whsec_…, where the type has them; none of them is empty

	WebhookPlaces []int `yaml:"-"` // where each of WebhookSecrets stands in the file's list, which may hold empty ones
	SigningPlaces []int `yaml:"-"`
}

func (s HookSecrets) any() bool { return anyGiven(s.WebhookSecrets) || anyGiven(s.SigningTokens) }

// App is an App as which Scanhook calls a platform.
type App struct {
	ID             int64  `yaml:"id"`               // the App's id, positive
	PrivateKeyFile string `yaml:"private_key_file"` // path of its PEM file
}

// BuiltinGitleaks is the scanner that is compiled in.
const BuiltinGitleaks = "gitleaks"

// The report formats of scanners.
const (
	FormatSARIF = "sarif" // SARIF 2.1.0
	FormatJSON  = "json"  // a scanner's native JSON
)

// Scanner says how one scanner's report comes about: exactly one of Builtin, Command and Upload is set.
type Scanner struct {
	Builtin string `yaml:"builtin" jsonschema:"enum=gitleaks"` // BuiltinGitleaks
	// Command is an argument vector, never shell text. "{source}" in it becomes the directory of the commit's files,
	// "{output}" the file that the report is read from; without an "{output}" it is read from standard output. An argument
	// with "{changed}" is repeated for each file that changed since the baseline.
	Command []string      `yaml:"command"`
	Upload  bool          `yaml:"upload"`                                   // the report is delivered through the API
	Format  string        `yaml:"format" jsonschema:"enum=sarif,enum=json"` // FormatSARIF or FormatJSON
	Timeout time.Duration `yaml:"timeout"`                                  // after which a run is stopped; positive

	Network      bool     `yaml:"network"`       // Command may use it, for commits of the project itself
	NetworkForks bool     `yaml:"network_forks"` // and for those of forks, if Network is set
	Read         []string `yaml:"read"`          // files and directories that Command may read besides; absolute
	Write        []string `yaml:"write"`         // and change
	Memory       Size     `yaml:"memory"`        // of all processes of Command together; positive

	// Categories are those of whose reports a scan waits for, where Upload brings several side by side; none: one report will do.
	Categories []string `yaml:"categories"`

	SecretRules `yaml:",inline"` // of Builtin, for all repositories
	Archives    bool             `yaml:"archives"` // Builtin looks into archives, of all repositories
}

// wrongCategory says all that is wrong with the n-th category, as reports are kept under clean names; empty for nothing.
func (s Scanner) wrongCategory(n int) string {
	var problems []string
	category := s.Categories[n]
	if !s.Upload {
		problems = append(problems, "is for upload: true only: what runs here makes one report")
	}
	switch clean, err := core.CleanCategory(category); {
	case err != nil:
		problems = append(problems, "is "+err.Error())
	case clean == "":
		problems = append(problems, "must be a category's name, such as language:go")
	case clean != category:
		problems = append(problems, fmt.Sprintf("must be written as reports have it, %q", clean))
	case slices.Index(s.Categories, category) < n:
		problems = append(problems, fmt.Sprintf("names the category %q for the second time", category))
	}
	return strings.Join(problems, ", and ")
}

// takesUploads tells whether any scanner does.
func takesUploads(scanners map[string]Scanner) bool {
	for _, scanner := range scanners {
		if scanner.Upload {
			return true
		}
	}
	return false
}

// SecretRules is what is added to the built-in rules for secrets.
type SecretRules struct {
	Rules string `yaml:"rules"` // path of a file with rules in gitleaks' TOML
	Allow Allow  `yaml:"allow"`
}

// IsEmpty reports whether nothing is added.
func (r SecretRules) IsEmpty() bool {
	return r.Rules == "" && len(r.Allow.Paths)+len(r.Allow.Regexes)+len(r.Allow.Rules) == 0
}

// Allow is what the built-in scanner leaves out.
type Allow struct {
	Paths   []string `yaml:"paths"`   // regular expressions; files whose path has a match are not searched
	Regexes []string `yaml:"regexes"` // regular expressions; secrets that have a match are not reported
	Rules   []string `yaml:"rules"`   // ids of rules that are not used
}

// EPSS says where the likelihood of vulnerabilities being exploited is learned from. While it is not Enabled, nothing
// is fetched and both lists are imported by hand.
type EPSS struct {
	Enabled bool          `yaml:"enabled"`
	URL     string        `yaml:"url"`     // http(s), the daily scores as CSV, plain or gzip; empty: not fetched
	KEVURL  string        `yaml:"kev_url"` // http(s), CISA's known exploited vulnerabilities as JSON; empty: not fetched
	Every   time.Duration `yaml:"every"`   // positive
}

// AI is a service with OpenAI's API that is asked about new findings. Without a URL, nobody is.
type AI struct {
	URL         string        `yaml:"url"`                                              // http(s) base of its API, without trailing slash; empty: off
	Model       string        `yaml:"model"`                                            // as the service calls it
	Token       Secret        `yaml:"token"`                                            // empty where the service asks for none
	Timeout     time.Duration `yaml:"timeout"`                                          // for one answer; positive
	MayDismiss  bool          `yaml:"may_dismiss"`                                      // its false positives stop to count for the gate
	MaxFindings int64         `yaml:"max_findings" jsonschema:"minimum=1,maximum=1000"` // asked about for each scanner of a scan; positive
}

// Enabled reports whether there is somebody to ask.
func (a AI) Enabled() bool { return a.URL != "" }

// Recover says how pushes are found that no webhook announced.
type Recover struct {
	Every Interval `yaml:"every"` // between two looks at the branches and tags of a project
}

// Retention says how long things are kept.
type Retention struct {
	Deliveries Age   `yaml:"deliveries"`
	Scans      Age   `yaml:"scans"`                                             // those that nothing needs any more
	KeepScans  int64 `yaml:"keep_scans" jsonschema:"minimum=1,maximum=1000000"` // the newest scans of each project that are kept however old; positive
}

// Runner bounds what a scan that runs here may cost.
type Runner struct {
	Cache      string `yaml:"cache"`                                              // directory of the projects' mirrors; empty: among the user's caches
	CacheSize  Size   `yaml:"cache_size"`                                         // of all mirrors; positive
	Cage       string `yaml:"cage" jsonschema:"enum=best,enum=require"`           // CageRequire or CageBest: what is done where the kernel gives commands no full cage
	PerProject int64  `yaml:"per_project" jsonschema:"minimum=1,maximum=1000"`    // jobs of a project that run at once, in all processes; positive
	MaxPaths   int64  `yaml:"max_paths" jsonschema:"minimum=1,maximum=100000000"` // files and directories of a commit; with more, its scan fails; positive
}

// What is done where the kernel gives no full cage to commands.
const (
	CageRequire = "require" // they are not run
	CageBest    = "best"    // they are run in what it gives
)

// Size is a number of bytes.
type Size int64

// SetText reads a number with a unit.
func (s *Size) SetText(text string) bool {
	bytes, err := humanize.ParseBytes(text)
	*s = Size(min(bytes, math.MaxInt64))
	return err == nil
}

// Form says how a size is written.
func (*Size) Form() string { return "a size such as 20GiB or 500MB" }

// Age is how old something may get; 0 is for ever.
type Age time.Duration

// Duration is the age as a duration; 0 is for ever.
func (a Age) Duration() time.Duration { return time.Duration(a) }

const day = 24 * time.Hour

// SetText reads a number of days, a duration, or that there is no end.
func (a *Age) SetText(text string) bool {
	if text == "forever" || text == "never" || text == "0" {
		*a = 0
		return true
	}
	if number, inDays := strings.CutSuffix(text, "d"); inDays {
		days, err := strconv.ParseUint(number, 10, 16)
		*a = Age(time.Duration(days) * day)
		return err == nil && days > 0
	}
	age, err := time.ParseDuration(text)
	*a = Age(age)
	return err == nil && age > 0
}

// Form says how an age is written.
func (*Age) Form() string { return "a time such as 30d or 12h, or forever" }

// Interval is a time between two runs; 0 is never.
type Interval time.Duration

// SetText reads a duration.
func (i *Interval) SetText(text string) bool {
	duration, err := time.ParseDuration(text)
	*i = Interval(duration)
	return err == nil && duration >= 0
}

// Form says how an interval is written.
func (*Interval) Form() string { return "a duration such as 30m or 1h, or 0 for never" }

// Policy is what is done with a repository's pushes.
type Policy struct {
	Context     string        `yaml:"context"`  // name of the commit status
	Branches    []string      `yaml:"branches"` // globs of the branches that are scanned; ** crosses slashes
	Tags        []string      `yaml:"tags"`     // globs of the tags that are scanned
	Scanners    []string      `yaml:"scanners"` // names in Config.Scanners; none: a scan waits for uploads
	Gate        Gate          `yaml:"gate"`
	Supersede   bool          `yaml:"supersede"`                                             // a newer push to a branch ends what has not started for the older
	ScanTimeout time.Duration `yaml:"scan_timeout"`                                          // after which a scan without all its reports fails; positive
	ScanHistory int64         `yaml:"scan_history" jsonschema:"minimum=1,maximum=100000"`    // commits of a push that are searched, the newest; positive
	Anomalies   string        `yaml:"anomalies" jsonschema:"enum=report,enum=fail,enum=off"` // what unusual pipeline runs do: report, fail or off
	Publish     string        `yaml:"publish" jsonschema:"enum=status,enum=check,enum=both"` // how a commit shows the verdict
	Forks       string        `yaml:"forks" jsonschema:"enum=builtin,enum=all,enum=off"`     // what is done with requests from forks: builtin, all or off
	Badges      string        `yaml:"badges" jsonschema:"enum=off,enum=public"`              // public: everybody may see a badge with the open findings of the default branch
	Replace     string        `yaml:"replace" jsonschema:"enum=always,enum=never"`           // whether an uploaded report takes the place of an earlier one of its scanner and category: always or never
	Comment     string        `yaml:"comment" jsonschema:"enum=off,enum=note,enum=threads"`  // what pull and merge requests are told in their conversation
	Buttons     string        `yaml:"buttons" jsonschema:"enum=scan,enum=dismiss"`           // what the buttons of check runs do for who may write to the repository
	Approval    Approval      `yaml:"approval"`                                              // how many people dismiss a finding
	Archives    bool          `yaml:"archives"`                                              // the built-in scanner looks into archives, as Scanner.Archives does for all
	Gitleaks    SecretRules   `yaml:"gitleaks"`                                              // beside what the built-in scanner has for all repositories
}

// Approval is how many people dismiss a finding, 1 or 2, by its severity and by whether its vulnerability is exploited.
type Approval struct {
	Critical int64 `yaml:"critical" jsonschema:"enum=1,enum=2"` // of this severity
	High     int64 `yaml:"high" jsonschema:"enum=1,enum=2"`     // of this severity
	Medium   int64 `yaml:"medium" jsonschema:"enum=1,enum=2"`   // of this severity
	Low      int64 `yaml:"low" jsonschema:"enum=1,enum=2"`      // of this severity
	KEV      int64 `yaml:"kev" jsonschema:"enum=1,enum=2"`      // whose vulnerability is known to be exploited, whatever its severity
}

// Never is the FailOn that lets every scan pass.
const Never = "never"

// Gate says which findings make a commit status red.
type Gate struct {
	FailOn  string  `yaml:"fail_on" jsonschema:"enum=critical,enum=high,enum=medium,enum=low,enum=never"` // critical, high, medium, low (that and graver), or Never
	NewOnly bool    `yaml:"new_only"`                                                                     // findings that the default branch has already do not count
	EPSS    float64 `yaml:"epss" jsonschema:"minimum=0,maximum=1"`                                        // 0–1: CVEs that are as likely exploited or more fail too; 0 does not ask
	KEV     bool    `yaml:"kev"`                                                                          // CVEs that are known to be exploited fail too

	Coverage   string `yaml:"coverage" jsonschema:"enum=tell,enum=fail"`       // what a scan that left out possible code does: tell or fail
	Unresolved string `yaml:"unresolved" jsonschema:"enum=tell,enum=fail"`     // what findings do that failed the default branch and nobody has dealt with: tell or fail
	FirstScan  string `yaml:"first_scan" jsonschema:"enum=gate,enum=baseline"` // what findings are where nothing was scanned before: gate (new ones) or baseline (known ones)
}

// Repository gives a policy to the repositories that Match; what an entry does not set comes from Config.Defaults.
type Repository struct {
	Match       string           `yaml:"match" jsonschema:"required"` // glob over platform/project; ** crosses slashes
	HookSecrets `yaml:",inline"` // verify calls about the repositories whose first entry with secrets this is
	Policy      `yaml:",inline"`
}

// Reaches reports whether the entry can match a repository of the platform.
func (r Repository) Reaches(platform string) bool {
	start, _, _ := strings.Cut(r.Match, "/")
	if !doublestar.ValidatePattern(start) { // braces around the slash
		return true
	}
	matched, _ := doublestar.Match(strings.ToLower(start), strings.ToLower(platform))
	return matched
}
