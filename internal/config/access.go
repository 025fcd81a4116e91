package config

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// API says who may call /api/v1.
type API struct {
	Tokens []Token `yaml:"tokens"` // those that were given; entries with an empty token are left out
}

// The roles of tokens and people.
const (
	RoleReader   = "reader"   // reads
	RoleTriager  = "triager"  // and judges findings
	RoleUploader = "uploader" // brings reports, and reads scans
	RoleAdmin    = "admin"    // does everything
)

// The names that roles had before. They are understood, with a warning.
const (
	oldViewer  = "viewer"
	oldScanner = "scanner"
)

// Grant says what somebody may do, and where.
type Grant struct {
	Role     string   `yaml:"role" jsonschema:"required,enum=reader,enum=triager,enum=uploader,enum=admin"` // what it may do
	Projects []string `yaml:"projects"`                                                                     // globs over platform/project, ** crosses slashes; none: all
	Scanners []string `yaml:"scanners"`                                                                     // globs of the scanners whose reports an uploader brings; none: all
}

// Token is a bearer token of the API.
type Token struct {
	Name    string `yaml:"name" jsonschema:"required"`  // unique; stands in the log and beside what was done with it
	Token   Secret `yaml:"token" jsonschema:"required"` // the token itself: openssl rand -hex 32
	Grant   `yaml:",inline"`
	Expires Date `yaml:"expires"` // after this day (UTC) the token is refused; zero: never
}

// Date is a day in UTC, by the second with which it begins; 0 for none.
type Date int64

// SetText reads a day.
func (d *Date) SetText(text string) bool {
	day, err := time.Parse(time.DateOnly, text)
	*d = Date(day.Unix())
	return err == nil
}

// String is how a day is written, empty for none.
func (d Date) String() string {
	if d == 0 {
		return ""
	}
	return time.Unix(int64(d), 0).UTC().Format(time.DateOnly)
}

// Form says how a day is written.
func (*Date) Form() string { return "a day such as 2027-06-30" }

// End is the moment after the day; zero for none.
func (d Date) End() time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Unix(int64(d), 0).UTC().AddDate(0, 0, 1)
}

// Web says who may look at the pages.
type Web struct {
	Public bool   `yaml:"public"` // who has not logged in is a reader of everything
	OIDC   OIDC   `yaml:"oidc"`   // people log in there, beside API.Tokens
	GitHub GitHub `yaml:"github"` // and with accounts of GitHub
}

// OIDC is an identity provider (OpenID Connect). Without an Issuer there is none.
type OIDC struct {
	Issuer       string   `yaml:"issuer"` // http(s), exactly as the provider writes it in its tokens; empty: off
	ClientID     string   `yaml:"client_id"`
	ClientSecret Secret   `yaml:"client_secret"`
	Name         string   `yaml:"name"`         // what people call it; default: the issuer's host
	Scopes       []string `yaml:"scopes"`       // asked for beside openid
	GroupsClaim  string   `yaml:"groups_claim"` // claim that lists a person's groups
	People       []People `yaml:"people"`       // who may log in; each entry that matches somebody adds to what they may do

	OldAdmins  []string `yaml:"admins"`  // the old form of people with the role admin
	OldViewers []string `yaml:"viewers"` // the old form of people with the role triager
}

// GitHub is github.com or a GitHub Enterprise Server that people log in with (OAuth). Without a ClientID there is none.
type GitHub struct {
	URL          string         `yaml:"url"`       // http(s), of its pages
	ClientID     string         `yaml:"client_id"` // empty: off
	ClientSecret Secret         `yaml:"client_secret"`
	Name         string         `yaml:"name"`   // what people call it; default: GitHub, or the host
	People       []GitHubPeople `yaml:"people"` // who may log in; each entry that matches somebody adds to what they may do
}

// GitHubPeople are accounts of GitHub that are granted a role.
type GitHubPeople struct {
	// Who are "user:LOGIN", "group:ORGANISATION", "group:ORGANISATION/TEAM", "sub:NUMBER" of an account, or "*" for everybody.
	Who   []string `yaml:"who" jsonschema:"required"`
	Grant `yaml:",inline"`
}

// Enabled reports whether people can log in there.
func (g GitHub) Enabled() bool { return g.ClientID != "" && !isEmpty(g.ClientSecret) }

// complete fills in what depends on other values.
func (g *GitHub) complete() {
	g.URL = strings.TrimRight(g.URL, "/")
	if address, err := url.Parse(g.URL); err == nil && g.Enabled() && g.Name == "" {
		if g.Name = address.Hostname(); isPublicGitHub(g.URL) {
			g.Name = "GitHub"
		}
	}
}

// People are granted a role.
type People struct {
	// Who are globs of verified e-mail addresses, "group:NAME", "sub:ID", or "*" for everybody whom the provider lets in.
	Who   []string `yaml:"who" jsonschema:"required"`
	Grant `yaml:",inline"`
}

// Enabled reports whether people can log in there.
func (o OIDC) Enabled() bool { return o.Issuer != "" }

// modernRole is the role that an old one has become.
func modernRole(role string) string {
	switch role {
	case oldViewer:
		return RoleTriager
	case oldScanner:
		return RoleUploader
	}
	return role
}

// modernize writes old roles as they are called today. It comes after validation, which warns of them.
func (a *API) modernize() {
	for i, token := range a.Tokens {
		a.Tokens[i].Role = modernRole(token.Role)
	}
}

// modernize writes old roles and keys as they are called today.
func (o *OIDC) modernize() {
	for i, entry := range o.People {
		o.People[i].Role = modernRole(entry.Role)
	}
	for _, old := range []People{{o.OldAdmins, Grant{Role: RoleAdmin}}, {o.OldViewers, Grant{Role: RoleTriager}}} {
		if len(old.Who) > 0 {
			o.People = append(o.People, old)
		}
	}
	o.OldAdmins, o.OldViewers = nil, nil
}

func (v *validator) validateTokens() {
	names, tokens := map[string]int{}, map[Secret]int{}
	for i, token := range v.config.API.Tokens {
		path := fmt.Sprintf("api.tokens[%d]", i)
		v.validateGrant(path, token.Grant)
		v.checkToken(path+".token", token.Token)
		if token.Name == "" {
			v.Errorf(path+".name", "is missing: say whose token this is")
		} else if first, taken := names[token.Name]; taken {
			v.Errorf(path+".name", "is the name of api.tokens[%d] already", first)
		}
		if !v.Wrote(path + ".token") {
			v.Errorf(path+".token", `is missing: write "${NAME:-}" for one that may be left out`)
		} else if first, taken := tokens[token.Token]; taken && !isEmpty(token.Token) {
			v.Errorf(path+".token", "is the token of api.tokens[%d] already: give each its own", first)
		}
		if end := token.Expires.End(); !end.IsZero() && end.Before(time.Now()) {
			v.Warnf(path+".expires", "has passed: the token is refused")
		}
		names[token.Name], tokens[token.Token] = i, i
	}
}

// validateGrant checks what a token or people are granted.
func (v *validator) validateGrant(at string, grant Grant) {
	role := modernRole(grant.Role)
	v.checkChoice(at+".role", role, RoleReader, RoleTriager, RoleUploader, RoleAdmin)
	if role != grant.Role {
		v.Warnf(at+".role", "is called %s now, and can do what that can: see config.yaml for the roles; projects says where it holds", role)
	}
	for key, globs := range map[string][]string{".projects": grant.Projects, ".scanners": grant.Scanners} {
		if v.Wrote(at+key) && len(globs) == 0 {
			v.Errorf(at+key, "is empty: name what the role is for, or leave the key out for all")
		}
		v.checkGlobs(at+key, globs)
	}
	for i, glob := range grant.Projects {
		v.warnOfStranger(fmt.Sprintf("%s.projects[%d]", at, i), glob)
	}
	if len(grant.Scanners) > 0 && role != RoleUploader {
		v.Errorf(at+".scanners", "is for the role %s only: the others bring no reports, or all", RoleUploader)
	}
}

// minToken is the length in bytes below which a token of the API can be found by trying, however slowly.
const minToken = 16

func (v *validator) checkToken(path string, token Secret) {
	if text := token.Reveal(); text != "" && len(strings.TrimSpace(text)) < minToken {
		v.Errorf(path, "has fewer than %d characters and can be guessed: openssl rand -hex 32 makes a good one", minToken)
		return
	}
	v.checkSecret(path, token)
}

func (v *validator) validateOIDC() {
	const at = "web.oidc"
	oidc := v.config.Web.OIDC
	v.checkSecret(at+".client_secret", oidc.ClientSecret)
	for key, old := range map[string][]string{".admins": oidc.OldAdmins, ".viewers": oidc.OldViewers} {
		v.validateMatches(at+key, old)
		if len(old) > 0 {
			v.Warnf(at+key, "belongs into people now, as who of an entry with a role: admins are admin, viewers are triager")
		}
	}
	for i, people := range oidc.People {
		path := fmt.Sprintf("%s.people[%d]", at, i)
		v.validateGrant(path, people.Grant)
		v.validateMatches(path+".who", people.Who)
		if len(people.Who) == 0 {
			v.Errorf(path+".who", `is missing: say who has the role, such as ["*@example.com", "group:developers"] or ["*"]`)
		}
	}
	if !oidc.Enabled() {
		return
	}
	v.checkURL(at+".issuer", oidc.Issuer)
	if strings.HasPrefix(oidc.Issuer, "http:") {
		v.Warnf(at+".issuer", "is not encrypted: everybody on the network path can log in as anybody")
	}
	if oidc.ClientID == "" {
		v.Errorf(at+".client_id", "is missing: write the id that the provider gave to Scanhook")
	}
	if len(oidc.People)+len(oidc.OldAdmins)+len(oidc.OldViewers) == 0 {
		v.Errorf(at+".people", `is missing: say who may log in, such as - {who: ["*@example.com"], role: triager}`)
	}
}

// publicGitHub is where everybody can have an account.
const publicGitHub = "github.com"

func (v *validator) validateGitHub() {
	const at = "web.github"
	github := v.config.Web.GitHub
	v.checkSecret(at+".client_secret", github.ClientSecret)
	v.checkURL(at+".url", github.URL)
	for i, people := range github.People {
		path := fmt.Sprintf("%s.people[%d]", at, i)
		v.validateGrant(path, people.Grant)
		v.validateAccounts(path+".who", people.Who)
	}
	switch {
	case github.ClientID == "" && (v.Wrote(at+".people") || v.Wrote(at+".client_secret")):
		v.Errorf(at+".client_id", "is missing: write the id of the OAuth app that is registered there for Scanhook")
		return
	case github.ClientID == "":
		return
	}
	if strings.HasPrefix(github.URL, "http:") {
		v.Warnf(at+".url", "is not encrypted: everybody on the network path can log in as anybody")
	}
	if isEmpty(github.ClientSecret) {
		v.Warnf(at+".client_secret", "is empty: nobody can log in with GitHub until it is one of the OAuth app's")
	}
	if len(github.People) == 0 {
		v.Errorf(at+".people", `is missing: say who may log in, such as - {who: ["group:acme/security"], role: triager}`)
	}
}

func (v *validator) validateAccounts(at string, matches []string) {
	if len(matches) == 0 {
		v.Errorf(at, `is missing: say who has the role, such as ["group:acme/security"]`)
	}
	for i, match := range matches {
		path := fmt.Sprintf("%s[%d]", at, i)
		kind, name, _ := strings.Cut(match, ":")
		_, err := strconv.ParseUint(name, 10, 63)
		organisation, team, ofTeam := strings.Cut(name, "/")
		known := kind == "sub" && err == nil || kind == "user" && name != "" && !ofTeam ||
			kind == "group" && organisation != "" && (team != "" || !ofTeam) && !strings.Contains(team, "/")
		if match == "*" {
			known = !isPublicGitHub(v.config.Web.GitHub.URL)
		}
		if !known {
			v.Errorf(path, `must be "user:LOGIN", "group:ORGANISATION", "group:ORGANISATION/TEAM", "sub:NUMBER" of an account, or, where not `+
				`everybody can have an account, "*"`)
		}
	}
}

func isPublicGitHub(address string) bool {
	parsed, err := url.Parse(address)
	return err != nil || strings.TrimPrefix(strings.ToLower(parsed.Hostname()), "www.") == publicGitHub
}

func (v *validator) validateMatches(at string, matches []string) {
	for i, match := range matches {
		_, err := path.Match(match, "")
		kind, name, prefixed := strings.Cut(match, ":")
		known := match == "*" || strings.Contains(match, "@") || prefixed && name != "" && (kind == "group" || kind == "sub")
		if err != nil || !known {
			v.Errorf(fmt.Sprintf("%s[%d]", at, i), `must be an e-mail address, with * for any part of it, "group:NAME", "sub:ID" or "*"`)
		}
	}
}
