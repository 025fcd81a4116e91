package config

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

const day = 24 * time.Hour

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

// inheritor is an element of a list or map that starts from something else than its zero value.
type inheritor interface{ inherit(from *Config) }

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
		platform.complete(key)
		c.Platforms[key] = platform
	}
}

func (p *Platform) complete(key string) {
	if p.Type == "" && (key == TypeGitHub || key == TypeGitLab) {
		p.Type = key
	}
	if p.URL == "" {
		p.URL = map[string]string{TypeGitHub: "https://github.com", TypeGitLab: "https://gitlab.com"}[p.Type]
	}
	p.URL = strings.TrimRight(p.URL, "/")
	p.APIURL = strings.TrimRight(p.APIURL, "/")
	if p.App != nil && *p.App == (App{}) {
		p.App = nil // both values came from unset variables
	}
}

// prune drops the empty secrets that unset variables leave behind. It comes after validation, which speaks of elements
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
