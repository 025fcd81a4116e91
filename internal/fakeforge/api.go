package fakeforge

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxCall bounds the body of an API call, in bytes; a status is a few hundred.
const maxCall = 1 << 20

// Keys of log records.
const (
	keyError  = "error"
	keyMethod = "method"
	keyPath   = "path"
	keyReason = "reason"
	keyStatus = "status"
	keyStderr = "stderr"
)

// Route serves an operation of the API: the call is journaled, its token is checked, and a fault comes before the rules.
func (s *Server) Route(pattern string, e Endpoint) { s.RouteAround(pattern, e, nil) }

// RouteAround is Route with something around the faults and the rules, such as a lock; nil: nothing.
func (s *Server) RouteAround(pattern string, e Endpoint, around func(Endpoint) Endpoint) {
	e = s.withFaults(e)
	if around != nil {
		e = around(e)
	}
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		position := s.begin(Call{Method: r.Method, Path: r.URL.EscapedPath(), At: s.cfg.Now()})
		a := s.answer(w, r, e)
		s.end(position, a)
		s.cfg.Log.DebugContext(r.Context(), "api call", slog.String(keyMethod, r.Method),
			slog.String(keyPath, r.URL.Path), slog.Int(keyStatus, a.Status), slog.String(keyReason, a.Reason))
		if a.drop {
			panic(http.ErrAbortHandler) // the one way in which net/http lets a handler close the connection
		}
		if s.forge.RateHeaders != nil {
			s.forge.RateHeaders(w.Header(), position+1)
		}
		a.Write(w)
	})
}

// answer reads the whole body first, because only then net/http notices a caller that goes away.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, e Endpoint) Answer {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	if err != nil {
		return Refuse(http.StatusRequestEntityTooLarge, "the body is larger than that of any status")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if s.cfg.Token != "" && !s.isToken(s.forge.Token(r)) {
		return s.forge.Unauthorized
	}
	return e(r)
}

// Muted ends a token that may write no comments, beside what it gives access to.
const Muted = "~muted"

func (s *Server) isToken(token string) bool {
	return subtle.ConstantTimeCompare([]byte(strings.TrimSuffix(token, Muted)), []byte(s.cfg.Token)) == 1
}

// AccessToken is the token that gives access to the API.
func (s *Server) AccessToken() string { return s.cfg.Token }

// BearerToken is the token in an Authorization header with one of the schemes, or empty.
func BearerToken(r *http.Request, schemes ...string) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if slices.ContainsFunc(schemes, func(known string) bool { return strings.EqualFold(scheme, known) }) {
		return token
	}
	return ""
}

// withFaults applies a fault, if there is one for this call, before the rules.
func (s *Server) withFaults(rules Endpoint) Endpoint {
	return func(r *http.Request) Answer {
		fault := s.nextFault()
		if fault == nil && s.cfg.Faults != nil {
			fault = s.cfg.Faults(r)
		}
		if fault == nil {
			return rules(r)
		}
		return fault.Apply(r, rules)
	}
}

func (s *Server) nextFault() *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return nil
	}
	fault := s.faults[0]
	s.faults = s.faults[1:]
	return &fault
}

// Fail makes the next API calls fail, one fault each, in this order. Requests of git are never affected.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// RateLimits are the faults by which the forge refuses too many calls.
func (s *Server) RateLimits(after time.Duration) []Fault { return s.forge.RateLimits(after) }

// Forbidden is the fault of a token that lacks a right.
func (s *Server) Forbidden(status int) Fault {
	message := cmp.Or(s.forge.Forbidden, fmt.Sprintf("%d %s", status, http.StatusText(status)))
	return Fault{Status: status, Body: fmt.Sprintf(`{"message":%q}`, message)}
}

// UnknownCommit is the fault of a commit that the API does not see yet, although its webhook was sent.
func (s *Server) UnknownCommit(sha string) Fault { return s.forge.UnknownCommit(sha) }

// Crashed answers when git could not be asked, which is the fake forge's fault and never the caller's. git ends when the
// caller goes away in the middle of the call.
func (s *Server) Crashed(r *http.Request, err error) Answer {
	if r.Context().Err() != nil {
		return Answer{Status: http.StatusInternalServerError, fault: true}
	}
	s.cfg.Log.ErrorContext(r.Context(), "fake forge failed", slog.String(keyPath, r.URL.Path), slog.Any(keyError, err))
	return Refuse(http.StatusInternalServerError, "500 Internal Server Error")
}

// SetRateHeaders sets what is left of the allowance after so many calls, of limit in each window by default.
func (s *Server) SetRateHeaders(header http.Header, prefix string, calls, limit int, window time.Duration) {
	limit = cmp.Or(s.cfg.Allowance, limit)
	header.Set(prefix+"Limit", strconv.Itoa(limit))
	header.Set(prefix+"Remaining", strconv.Itoa(max(0, limit-calls)))
	header.Set(prefix+"Reset", strconv.FormatInt(s.cfg.Now().Add(window).Unix(), 10))
}

// TokenIs makes the API report these scopes and this end of the token from now on; it never ends where until is zero.
// The token keeps its rights.
func (s *Server) TokenIs(until time.Time, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenScopes, s.tokenUntil = scopes, until
}

// TokenInfo is what TokenIs was told last.
func (s *Server) TokenInfo() (scopes []string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokenScopes, s.tokenUntil
}

// RepositoryOf is the repository that a call is about: its path has the parts owner and name, or id.
func (s *Server) RepositoryOf(r *http.Request) (Repository, bool) {
	if id := r.PathValue("id"); id != "" {
		return s.Repository(id)
	}
	return s.Repository(r.PathValue("owner") + "/" + r.PathValue("name"))
}

// RequestOf is the request that a call is about: its number is a part of the path.
func (s *Server) RequestOf(r *http.Request, part string) (RequestSpec, bool) {
	repo, ok := s.RepositoryOf(r)
	number, err := strconv.ParseInt(r.PathValue(part), 10, 64)
	if !ok || err != nil {
		return RequestSpec{}, false
	}
	return s.FindRequest(repo.Project, number)
}

// HookOwnerOf is a Hook with the project or group that a call is about, or with neither for an App; false where the
// forge does not know it.
func (s *Server) HookOwnerOf(r *http.Request) (Hook, bool) {
	if group := r.PathValue("group"); group != "" {
		return Hook{Group: group}, slices.ContainsFunc(s.Projects(), Hook{Group: group}.Covers)
	}
	if r.PathValue("name") == "" && r.PathValue("id") == "" {
		return Hook{}, true
	}
	repo, ok := s.RepositoryOf(r)
	return Hook{Project: repo.Project}, ok
}

// DescribeHooks lists the webhooks of the project or group that a call is about; false where the forge does not know it.
func (s *Server) DescribeHooks(r *http.Request, describe func(Hook) map[string]any) ([]any, bool) {
	owner, ok := s.HookOwnerOf(r)
	list := []any{}
	for _, hook := range s.HooksOf(owner) {
		list = append(list, describe(hook))
	}
	return list, ok
}

// DescribeStatuses lists the statuses of the commit that a call is about from the newest on; false where the forge does not
// know the project.
func (s *Server) DescribeStatuses(r *http.Request, describe func(Status) map[string]any) ([]any, bool) {
	repo, ok := s.RepositoryOf(r)
	list := []any{}
	for _, status := range slices.Backward(s.Statuses(repo.Project, strings.ToLower(r.PathValue("sha")))) {
		list = append(list, describe(status))
	}
	return list, ok
}

// HookAPI has the operations on webhooks that all forges have.
type HookAPI struct {
	List, Create Endpoint
	Edit         func(*http.Request, Hook) Answer
	EditMethod   string
	Describe     func(Hook) map[string]any
}

// RouteHooks serves the webhooks of a project or group, whose path is owner.
func (s *Server) RouteHooks(owner string, api HookAPI) {
	s.Route("GET "+owner+"/hooks", api.List)
	s.Route("POST "+owner+"/hooks", api.Create)
	s.Route("GET "+owner+"/hooks/{hook}", s.WithHook(func(_ *http.Request, hook Hook) Answer { return OK(api.Describe(hook)) }))
	s.Route(api.EditMethod+" "+owner+"/hooks/{hook}", s.WithHook(api.Edit))
}

// WithHook finds the webhook of the call: the one that is named, or the App's only one.
func (s *Server) WithHook(e func(*http.Request, Hook) Answer) Endpoint {
	return func(r *http.Request) Answer {
		owner, ok := s.HookOwnerOf(r)
		for _, hook := range s.HooksOf(owner) {
			id := r.PathValue("hook")
			if ok && (id == "" || id == strconv.FormatInt(hook.ID, 10)) {
				return e(r, hook)
			}
		}
		return Refuse(http.StatusNotFound, "Not Found")
	}
}
