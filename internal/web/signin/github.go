package signin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/oauth2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web/text"
)

const (
	perPage  = 100 // organisations or teams in one answer of GitHub
	maxPages = maxGroups / perPage

	readOrganisations = "read:org" // what GitHub calls the permission to see somebody's organisations and teams
)

// GitHub is github.com or an Enterprise Server, that people log in with (OAuth).
type GitHub struct {
	URL, APIURL  string // of the pages and of the API, without a final slash
	ClientID     string
	ClientSecret string
	Name         string // for people

	// People may log in: "user:LOGIN", "group:ORGANISATION", "group:ORGANISATION/TEAM", "sub:" and the number of an account, or "*".
	// Each entry that matches somebody adds to what they may do.
	People []People
}

// github is GitHub as an identity provider. It is trusted for what it answers to a token that it has just given for the login: nothing
// that came by way of the browser says who somebody is.
type github struct {
	GitHub
	flow  oauth2.Config
	teams bool // somebody of People is named by a team
	orgs  bool // or by an organisation
}

func newGitHub(cfg GitHub, redirect string) *github {
	g := &github{GitHub: cfg}
	g.GitHub.People = nil
	for _, entry := range cfg.People {
		matches := make([]string, len(entry.Matches))
		for i, match := range entry.Matches {
			if matches[i] = lower(match); strings.HasPrefix(match, "group:") { // names at GitHub are the same in any case
				g.teams = g.teams || strings.Contains(match, "/")
				g.orgs = g.orgs || !strings.Contains(match, "/")
			}
		}
		g.GitHub.People = append(g.GitHub.People, People{Matches: matches, Grant: entry.Grant})
	}
	g.flow = oauth2.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{
			AuthURL: cfg.URL + "/login/oauth/authorize", TokenURL: cfg.URL + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	if g.teams || g.orgs {
		g.flow.Scopes = []string{readOrganisations}
	}
	return g
}

func (g *github) name() string              { return g.Name }
func (g *github) people() []People          { return g.People }
func (g *github) subject(who person) string { return "github " + g.URL + " " + who.Subject }
func (g *github) secret() string {
	return "github\x00" + g.URL + "\x00" + g.ClientID + "\x00" + g.ClientSecret
}

// begin sends a proof key along, which servers that do not know it leave alone.
func (g *github) begin(_ context.Context, try attempt) (string, error) {
	return g.flow.AuthCodeURL(try.State, oauth2.S256ChallengeOption(try.Verifier)), nil
}

func (g *github) identify(ctx context.Context, code string, try attempt) (person, error) {
	ctx = calling(ctx)
	token, err := exchange(ctx, &g.flow, code, try)
	if err != nil {
		return person{}, err
	}
	call := githubCall{api: g.APIURL, token: token.AccessToken}
	var account struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
	}
	if err := call.get(ctx, "/user", &account); err != nil {
		return person{}, err
	}
	if account.ID <= 0 || account.Login == "" {
		return person{}, fmt.Errorf("%w: GitHub does not say who you are; begin again", core.ErrDenied)
	}
	who := person{Subject: strconv.FormatInt(account.ID, 10), Login: lower(text.Cut(account.Login, text.MaxName))}
	// An account can get another name, and another account its old one: the number tells them apart in the audit.
	who.Name = core.Printable(fmt.Sprintf("%s (GitHub %d)", text.Cut(account.Login, text.MaxName), account.ID))
	who.Groups, err = g.groupsOf(ctx, call)
	return who, err
}

// groupsOf are the organisations and teams of the account, as far as People name any.
func (g *github) groupsOf(ctx context.Context, call githubCall) (groups []string, err error) {
	type organisation struct {
		Login string `json:"login"`
	}
	type team struct {
		Slug         string       `json:"slug"`
		Organization organisation `json:"organization"`
	}
	if g.orgs {
		list, err := listAll[organisation](ctx, call, "/user/orgs")
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			groups = append(groups, lower(o.Login))
		}
	}
	if g.teams {
		list, err := listAll[team](ctx, call, "/user/teams")
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			groups = append(groups, lower(t.Organization.Login+"/"+t.Slug))
		}
	}
	return slices.DeleteFunc(groups, func(name string) bool { return len(name) > text.MaxName }), nil
}

// githubCall asks GitHub's API with the token of a login, which is forgotten afterwards.
type githubCall struct{ api, token string }

// listAll reads all pages of a list, up to maxGroups entries.
func listAll[T any](ctx context.Context, call githubCall, path string) (all []T, err error) {
	for page := 1; page <= maxPages; page++ {
		var list []T
		if err := call.get(ctx, fmt.Sprintf("%s?per_page=%d&page=%d", path, perPage, page), &list); err != nil {
			return nil, err
		}
		if all = append(all, list...); len(list) < perPage {
			break
		}
	}
	return all[:min(len(all), maxGroups)], nil
}

func (c githubCall) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api+path, nil)
	if err != nil {
		return fmt.Errorf("asking GitHub: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("User-Agent", "scanhook")
	answer, err := clientOf(ctx).Do(request)
	if err != nil {
		return fmt.Errorf("%w: GitHub gave no answer to the login, begin again later: %s", core.ErrOutside, reason(err))
	}
	defer func() { _ = answer.Body.Close() }()
	switch {
	case answer.StatusCode == http.StatusOK:
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusNotFound:
		_, _ = io.Copy(io.Discard, answer.Body)
		return fmt.Errorf("%w: GitHub does not tell your account, organisations and teams (%s): begin again, and grant what is asked for there",
			core.ErrDenied, answer.Status)
	default:
		return fmt.Errorf("%w: GitHub answers the login with %s; begin again later", core.ErrOutside, text.Short(answer.Status, text.MaxName))
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("%w: GitHub's answer cannot be read; begin again later: %s", core.ErrOutside, reason(err))
	}
	return nil
}
