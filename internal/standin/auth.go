package standin

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorised tells whether an API call carries the token, in any of the headers that the platform knows.
func (s *Server) authorised(r *http.Request) bool {
	if s.cfg.Token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if s.cfg.Kind == GitLab && token == "" {
		return s.opens(r.Header.Get("Private-Token"))
	}
	bearer := strings.EqualFold(scheme, "bearer") || s.cfg.Kind == GitHub && strings.EqualFold(scheme, "token")
	return bearer && s.opens(token)
}

// mayFetch tells whether a git request carries the token as the password of any user.
func (s *Server) mayFetch(r *http.Request) bool {
	if s.cfg.Token == "" {
		return true
	}
	_, password, ok := r.BasicAuth()
	return ok && s.opens(password)
}

func (s *Server) opens(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.Token)) == 1
}

func (s *Server) refuseCredentials() answer {
	if s.cfg.Kind == GitLab {
		return refuse(http.StatusUnauthorized, "401 Unauthorized")
	}
	return refuseGitHub(http.StatusUnauthorized, "Bad credentials")
}
