package standin

import (
	"net/http"
	"strings"
	"time"
)

// mountToken serves what the platforms say of the token that a call bears.
func (s *Server) mountToken() {
	if s.cfg.Kind == GitLab {
		s.route("GET /api/v4/personal_access_tokens/self", s.showGitLabToken)
		s.route("GET /api/v4/user", s.showGitLabUser)
		return
	}
	s.route("GET /api/v3/rate_limit", s.showRateLimit)
	s.route("GET /api/v3/user", s.showGitHubUser)
}

// TokenIs has the API say from now on that the token has these scopes and ends then, or never where until is zero. It
// stays as good as it is.
func (s *Server) TokenIs(until time.Time, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenScopes, s.tokenUntil = scopes, until
}

func (s *Server) tokenNow() (scopes []string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokenScopes, s.tokenUntil
}

// showGitLabToken is GitLab's PersonalAccessToken entity. Tokens end with a day.
func (s *Server) showGitLabToken(*http.Request) answer {
	scopes, until := s.tokenNow()
	if scopes == nil {
		scopes = []string{"api"}
	}
	var expires *string
	if !until.IsZero() {
		day := until.UTC().Format(time.DateOnly)
		expires = &day
	}
	return answer{status: http.StatusOK, body: map[string]any{
		"id": 7, "name": botName, "revoked": false, "active": true, "scopes": scopes, "user_id": botID, "description": nil,
		"created_at": s.cfg.Now().UTC(), "last_used_at": nil, "expires_at": expires,
	}}
}

func (s *Server) showGitLabUser(*http.Request) answer {
	return answer{status: http.StatusOK, body: s.gitlabUser()}
}

// tokenHeader is what GitHub adds to each answer: scopes of classic tokens only, and the end where there is one.
func (s *Server) tokenHeader() http.Header {
	header := http.Header{}
	scopes, until := s.tokenNow()
	if scopes != nil {
		header.Set("X-OAuth-Scopes", strings.Join(scopes, ", "))
	}
	if !until.IsZero() {
		header.Set("GitHub-Authentication-Token-Expiration", until.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return header
}

func (s *Server) showRateLimit(*http.Request) answer {
	limit := map[string]any{
		"limit": githubHourly, "used": 0, "remaining": githubHourly, "reset": s.cfg.Now().Add(time.Hour).Unix(),
	}
	return answer{status: http.StatusOK, header: s.tokenHeader(), body: map[string]any{
		"resources": map[string]any{"core": limit, "search": limit}, "rate": limit,
	}}
}

func (s *Server) showGitHubUser(*http.Request) answer {
	return answer{status: http.StatusOK, header: s.tokenHeader(), body: s.githubUser(botLogin, botID, "User")}
}
