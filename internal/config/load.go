package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxSize bounds the file, in bytes; ten thousand repositories fit.
const maxSize = 1 << 20

// Load reads the file at path. A platform has one of the types. lookupEnv answers for ${VAR}, usually os.LookupEnv.
// Errors are those of the file system, or *Error for what the file says.
func Load(path string, types []PlatformType, lookupEnv func(string) (string, bool)) (*Config, error) {
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the configuration: %w: scanhook init writes one, --config names another", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, data, types, lookupEnv)
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSize+1))
}

// Parse reads a configuration from data; name stands for the file in messages. Every error is an *Error.
func Parse(name string, data []byte, types []PlatformType, lookupEnv func(string) (string, bool)) (*Config, error) {
	root, problem := parseDocument(data)
	if problem != nil {
		return nil, &Error{File: name, Problems: []Problem{*problem}}
	}
	config := builtin()
	config.Types = types
	config.Source = Source{File: name, Lines: map[string]int{}}
	found := newReport()
	d := decoder{report: found, config: config, lookupEnv: lookupEnv, budget: maxValues}
	if root != nil {
		d.decode("", root, reflect.ValueOf(config).Elem())
	}
	config.complete()
	if d.budget > 0 { // otherwise most of the file was not looked at
		v := validator{report: found, config: config}
		v.validate()
	}
	if len(found.problems) > 0 {
		sortByPlace(found.problems)
		return nil, &Error{File: name, Problems: found.problems}
	}
	config.prune()
	sortByPlace(found.warnings)
	config.Warnings = located(name, found.warnings)
	return config, nil
}

// parseDocument returns the root of the only document in data, or nil when there is nothing but comments.
func parseDocument(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxSize {
		return nil, &Problem{Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d MiB", maxSize>>20)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxProblem(data, err)
	}
	if err := decoder.Decode(&more); err == nil {
		at := placeOf(&more)
		return nil, &Problem{at.line, at.column, "", "a second document starts here: write one, without ---"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(data, err)
	}
	return document.Content[0], nil
}

// builtin is the configuration of an empty file.
func builtin() *Config {
	return &Config{
		Server:    Server{Listen: ":8080", PublicURL: "http://localhost:8080"},
		Database:  Database{URL: "sqlite:scanhook.db"},
		Platforms: map[string]Platform{},
		Web:       Web{OIDC: OIDC{Scopes: []string{"profile", "email"}, GroupsClaim: "groups"}},
		Scanners:  map[string]Scanner{},
		EPSS: EPSS{
			URL:    "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
			KEVURL: "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
			Every:  24 * time.Hour,
		},
		AI:        AI{Timeout: time.Minute, MaxFindings: 20},
		Recover:   Recover{Every: Interval(time.Hour)},
		Retention: Retention{Deliveries: Age(30 * day), Scans: Age(90 * day), KeepScans: 50},
		Runner:    Runner{MaxPaths: 2_000_000},
		Defaults: Policy{
			Context:     "scanhook",
			Branches:    []string{"**"},
			Tags:        []string{},
			Scanners:    []string{BuiltinGitleaks},
			Gate:        Gate{FailOn: "high", NewOnly: true},
			Supersede:   true,
			ScanTimeout: time.Hour,
			Anomalies:   "report",
		},
	}
}

func (s *Scanner) inherit(*Config) { *s = Scanner{Format: FormatSARIF, Timeout: 10 * time.Minute} }

// inherit relies on Config.Defaults being decoded before Config.Repositories: the decoder follows the order of the
// struct's fields, not that of the file.
func (r *Repository) inherit(from *Config) { r.Policy = from.Defaults }

// complete fills in what depends on other values.
func (c *Config) complete() {
	c.Server.PublicURL = strings.TrimRight(c.Server.PublicURL, "/")
	c.AI.URL = strings.TrimRight(c.AI.URL, "/")
	if issuer, err := url.Parse(c.Web.OIDC.Issuer); err == nil && c.Web.OIDC.Name == "" {
		c.Web.OIDC.Name = issuer.Hostname()
	}
	if _, declared := c.Scanners[BuiltinGitleaks]; !declared {
		var scanner Scanner
		scanner.inherit(c)
		scanner.Builtin = BuiltinGitleaks
		c.Scanners[BuiltinGitleaks] = scanner
	}
	for key, platform := range c.Platforms {
		platform.complete(key, c.Types)
		c.Platforms[key] = platform
	}
}

func (p *Platform) complete(key string, types []PlatformType) {
	if found, known := typeNamed(types, cmp.Or(p.Type, key)); known {
		p.Type = found.Name
		p.URL = cmp.Or(p.URL, found.URL)
	}
	p.URL = strings.TrimRight(p.URL, "/")
	p.APIURL = strings.TrimRight(p.APIURL, "/")
	if p.App != nil && *p.App == (App{}) {
		p.App = nil // both values came from unset variables
	}
}

// prune drops the empty secrets that unset variables leave behind. It comes after validation, which names elements
// by their place in the file's lists.
func (c *Config) prune() {
	c.API.Tokens = slices.DeleteFunc(c.API.Tokens, func(t Token) bool { return isEmpty(t.Token) })
	for key, platform := range c.Platforms {
		platform.HookSecrets.prune()
		c.Platforms[key] = platform
	}
	for i := range c.Repositories {
		c.Repositories[i].HookSecrets.prune()
	}
}

// prune drops the empty secrets, and remembers where the others stand: that is their name for people.
func (s *HookSecrets) prune() {
	s.WebhookSecrets, s.WebhookPlaces = given(s.WebhookSecrets)
	s.SigningTokens, s.SigningPlaces = given(s.SigningTokens)
}

func given(secrets []Secret) (kept []Secret, places []int) {
	kept = secrets[:0]
	for i, secret := range secrets {
		if !isEmpty(secret) {
			kept, places = append(kept, secret), append(places, i)
		}
	}
	return kept, places
}
