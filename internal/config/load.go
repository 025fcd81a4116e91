package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/config/strictyaml"
)

// Load reads the file at path. A platform has one of the types. lookupEnv answers for ${VAR}, usually os.LookupEnv.
// Errors are those of the file system, or *Error for what the file says.
func Load(path string, types []PlatformType, lookupEnv func(string) (string, bool)) (*Config, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, types, lookupEnv)
}

// ReadFile returns what is in the file at path, for Parse. Errors are those of the file system.
func ReadFile(path string) ([]byte, error) {
	data, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the configuration: %w: scanhook init writes one, --config names another", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return data, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, strictyaml.MaxSize+1))
}

// Parse reads a configuration from data; name stands for the file in messages. Every error is an *Error.
func Parse(name string, data []byte, types []PlatformType, lookupEnv func(string) (string, bool)) (*Config, error) {
	config := builtin()
	config.Types = types
	found := strictyaml.Decode(data, config, lookupEnv)
	config.Source = Source{File: name, Lines: found.Lines}
	if found.Whole() {
		config.complete()
		v := validator{Report: found, config: config}
		v.validate()
	}
	if err := found.Err(name); err != nil {
		return nil, err
	}
	config.prune()
	config.API.modernize()
	config.Web.OIDC.modernize()
	config.Warnings = found.Warnings(name)
	return config, nil
}

// builtin is the configuration of an empty file.
func builtin() *Config {
	return &Config{
		Server:    Server{Listen: ":8080", PublicURL: "http://localhost:8080"},
		Database:  Database{URL: "sqlite:scanhook.db"},
		Platforms: map[string]Platform{},
		Web: Web{
			OIDC:   OIDC{Scopes: []string{"profile", "email"}, GroupsClaim: "groups"},
			GitHub: GitHub{URL: "https://" + publicGitHub},
		},
		Scanners: map[string]Scanner{},
		EPSS: EPSS{
			URL:    "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
			KEVURL: "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
			Every:  24 * time.Hour,
		},
		AI:        AI{Timeout: time.Minute, MaxFindings: 20},
		Recover:   Recover{Every: Interval(time.Hour)},
		Retention: Retention{Deliveries: Age(30 * day), Scans: Age(90 * day), KeepScans: 50},
		Runner:    Runner{CacheSize: 20 << 30, MaxPaths: 2_000_000, Cage: CageBest, PerProject: 2},
		Defaults: Policy{
			Context:     "scanhook",
			Branches:    []string{"**"},
			Tags:        []string{},
			Scanners:    []string{BuiltinGitleaks},
			Gate:        Gate{FailOn: "high", NewOnly: true, Coverage: "tell", Unresolved: "tell", FirstScan: "gate"},
			Supersede:   true,
			ScanTimeout: time.Hour,
			ScanHistory: 1000,
			Anomalies:   "report",
			Publish:     "status",
			Badges:      "off",
			Replace:     "always",
			Approval:    Approval{Critical: 1, High: 1, Medium: 1, Low: 1, KEV: 1},
			Comment:     "off",
			Buttons:     "scan",
			Forks:       "builtin",
			Gitleaks:    SecretRules{Allow: noAllow()},
		},
	}
}

// Inherit gives a scanner its defaults.
func (s *Scanner) Inherit(any) {
	*s = Scanner{
		Format: FormatSARIF, Timeout: 10 * time.Minute, SecretRules: SecretRules{Allow: noAllow()},
		Network: true, Read: []string{}, Write: []string{}, Memory: 4 << 30, Categories: []string{},
	}
}

func noAllow() Allow { return Allow{Paths: []string{}, Regexes: []string{}, Rules: []string{}} }

// Inherit relies on Config.Defaults being decoded before Config.Repositories: the decoder follows the order of the
// struct's fields, not that of the file.
func (r *Repository) Inherit(root any) { r.Policy = root.(*Config).Defaults }

// complete fills in what depends on other values.
func (c *Config) complete() {
	c.Server.PublicURL = strings.TrimRight(c.Server.PublicURL, "/")
	c.AI.URL = strings.TrimRight(c.AI.URL, "/")
	if issuer, err := url.Parse(c.Web.OIDC.Issuer); err == nil && c.Web.OIDC.Name == "" {
		c.Web.OIDC.Name = issuer.Hostname()
	}
	c.Web.GitHub.complete()
	if _, declared := c.Scanners[BuiltinGitleaks]; !declared {
		var scanner Scanner
		scanner.Inherit(c)
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
