package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/check"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/auth/ci"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/internal/suggest"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitea"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/store"
)

// platformKinds are the kinds of platforms that can be configured.
var platformKinds = platforms.Kinds{github.Kind(), gitlab.Kind(), gitea.Kind()}

// platformTypes are the kinds as the configuration needs to know them.
func platformTypes() []config.PlatformType {
	var types []config.PlatformType
	for _, kind := range platformKinds {
		types = append(types, config.PlatformType{
			Name: kind.Name, Title: kind.Title, Aliases: kind.Aliases, URL: kind.URL,
			SigningTokens: kind.SigningPrefix != "", Apps: kind.HasApps, JobTokens: kind.Jobs != nil,
		})
	}
	return types
}

// platformsOf makes an adapter for each configured platform. One that cannot verify any call is off; the
// configuration's warnings say so. A nil meter keeps nothing of what platforms say of their limits.
func platformsOf(cfg *config.Config, meter *metrics.Meter) (platforms.Set, error) {
	set := platforms.Set{}
	for name := range cfg.Platforms {
		platform, err := meteredPlatform(cfg, name, meter)
		if err != nil {
			return nil, err
		}
		set[name] = platform
	}
	return set, nil
}

func platformOf(cfg *config.Config, name string) (platforms.Platform, error) {
	return meteredPlatform(cfg, name, nil)
}

func meteredPlatform(cfg *config.Config, name string, meter *metrics.Meter) (platforms.Platform, error) {
	p := cfg.Platforms[name]
	kind := kindOf(p)
	credential, err := readApp(p.App)
	if err != nil {
		return nil, fmt.Errorf("configuring %s %s: %w", kind.Title, name, err)
	}
	own := ownSecrets(p)
	return kind.New(platforms.Config{
		Name: name, URL: p.URL, APIURL: p.APIURL, Token: p.Token.Reveal(), App: credential,
		WebhookSecrets: own.WebhookSecrets, SigningTokens: own.SigningTokens, Scopes: scopesOf(cfg, name),
		Comments: comments(cfg, name),
		HTTPClient: &http.Client{Transport: platforms.WatchLimits(http.DefaultTransport, func(a platforms.Allowance) {
			meter.CallsLeft(name, a.Left, a.Limit)
		})},
	})
}

// kindOf is the kind of a platform whose type was validated.
func kindOf(p config.Platform) platforms.Kind {
	kind, _ := platformKinds.Resolve(p.Type, p.APIURL)
	return kind
}

// keysTimeout is for one call of an issuer of CI jobs' tokens.
const keysTimeout = 10 * time.Second

// jobsOf recognises the jobs of those platforms' CI whose own tokens are taken.
func jobsOf(cfg *config.Config, db *store.Store, log *slog.Logger) auth.Jobs {
	var list []ci.Platform
	for _, name := range slices.Sorted(maps.Keys(cfg.Platforms)) {
		p := cfg.Platforms[name]
		kind := kindOf(p)
		web, err := url.Parse(p.URL)
		if err != nil || !p.CI.Tokens || kind.Jobs == nil {
			continue
		}
		list = append(list, ci.Platform{
			Name: name, Issuer: cmp.Or(p.CI.Issuer, kind.Jobs.Issuer(web)), Scanners: p.CI.Scanners, Read: kind.Jobs.Read,
		})
	}
	return auth.Jobs{Store: db, Tokens: ci.New(ci.Config{
		Audience: cfg.Server.PublicURL, Platforms: list, Now: db.Now, Log: log,
		Client: platforms.NewClient(&http.Client{Timeout: keysTimeout}),
	})}
}

// readApp is nil where none is configured.
func readApp(configured *config.App) (*platforms.App, error) {
	if configured == nil {
		return nil, nil
	}
	key, err := os.ReadFile(configured.PrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the App's private key: %w", err)
	}
	return &platforms.App{ID: configured.ID, PrivateKey: key}, nil
}

// comments tells whether requests of some of a platform's repositories get a comment.
func comments(cfg *config.Config, platform string) bool {
	return slices.ContainsFunc(cfg.Repositories, func(r config.Repository) bool {
		return r.Reaches(platform) && core.CommentMode(r.Comment).Writes()
	})
}

// ownSecrets are the secrets that verify all calls of a platform.
func ownSecrets(p config.Platform) platforms.Scope { return scopeOf(p.HookSecrets) }

// scopesOf are the secrets that verify only the calls about some of a platform's repositories.
func scopesOf(cfg *config.Config, platform string) []platforms.Scope {
	var scopes []platforms.Scope
	for i, r := range cfg.Repositories {
		if r.Reaches(platform) {
			scope := scopeOf(r.HookSecrets)
			scope.Place, scope.Match = fmt.Sprintf("repositories[%d]", i), r.Match
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

func scopeOf(secrets config.HookSecrets) platforms.Scope {
	return platforms.Scope{
		WebhookSecrets: inPlace(secrets.WebhookSecrets, secrets.WebhookPlaces),
		SigningTokens:  inPlace(secrets.SigningTokens, secrets.SigningPlaces),
	}
}

// inPlace puts each secret where it stands in the file, with empty ones between them.
func inPlace(secrets []config.Secret, places []int) []string {
	var texts []string
	for i, secret := range secrets {
		for i < len(places) && len(texts) < places[i] {
			texts = append(texts, "")
		}
		texts = append(texts, secret.Reveal())
	}
	return texts
}

// maySign reports whether a signing token is configured for a project. Where its platform cannot be configured, that is
// what has to be corrected first.
func maySign(cfg *config.Config) func(platform, project string) bool {
	return func(platform, project string) bool {
		if _, configured := cfg.Platforms[platform]; !configured {
			return false
		}
		adapter, err := platformOf(cfg, platform)
		return err != nil || platforms.MaySign(adapter, project)
	}
}

// hookSecrets lists all secrets that verify calls, by platform.
func hookSecrets(cfg *config.Config) []check.Secret {
	var list []check.Secret
	for _, name := range slices.Sorted(maps.Keys(cfg.Platforms)) {
		p := cfg.Platforms[name]
		for _, scope := range append([]platforms.Scope{ownSecrets(p)}, scopesOf(cfg, name)...) {
			secrets := scope.Webhooks()
			if kindOf(p).SigningPrefix != "" {
				secrets = append(secrets, scope.Signing()...)
			}
			for _, secret := range secrets {
				secret.Text = ""
				list = append(list, check.Secret{NamedSecret: secret, Platform: name})
			}
		}
	}
	return list
}

// hookAddress is where a platform calls the server at base.
func hookAddress(base, platform string) string {
	return strings.TrimRight(base, "/") + "/webhooks/" + platform
}

// hookAddresses says where each platform's webhooks call.
func hookAddresses(cfg *config.Config) func(string) string {
	return func(platform string) string { return hookAddress(cfg.Server.PublicURL, platform) }
}

// enabled leaves out the platforms that are off.
func enabled(cfg *config.Config, set platforms.Set) platforms.Set {
	on := maps.Clone(set)
	maps.DeleteFunc(on, func(name string, _ platforms.Platform) bool { return !cfg.Platforms[name].Enabled() })
	return on
}

// projectsOf reads arguments such as github/acme/shop; with only one platform, its name may be left out.
func projectsOf(args []string, cfg *config.Config, policies core.Policies) ([]store.KnownProject, error) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(cfg.Platforms)), func(name string) bool {
		return !cfg.Platforms[name].Enabled()
	})
	var projects []store.KnownProject
	for _, arg := range args {
		platform, project, _ := strings.Cut(arg, "/")
		if _, named := cfg.Platforms[platform]; !named && len(names) == 1 {
			platform, project = names[0], arg
		}
		if !slices.Contains(names, platform) {
			return nil, fmt.Errorf("%q does not start with a platform that is on (%s), a slash and the project%s", arg,
				strings.Join(names, ", "), suggest.DidYouMean(platform, names))
		}
		if err := platforms.CheckProject(project); err != nil {
			return nil, err
		}
		if _, configured := policies.For(platform, project); !configured {
			return nil, fmt.Errorf("%s/%s matches no entry of repositories in the configuration", platform, project)
		}
		projects = append(projects, store.KnownProject{SourcePlatform: platform, ProjectName: project})
	}
	return projects, nil
}

// namedProjects are those on configured platforms that the configuration names without a glob.
func namedProjects(cfg *config.Config, policies core.Policies) []store.KnownProject {
	return slices.DeleteFunc(reconcile.NamedProjects(policies), func(p store.KnownProject) bool {
		_, configured := cfg.Platforms[p.SourcePlatform]
		return !configured
	})
}
