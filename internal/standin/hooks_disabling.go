package standin

import "time"

// GitLab's rules for webhooks that fail, see app/models/concerns/web_hooks/auto_disabling.rb there.
const (
	freeFailures = 3  // consecutive ones that have no consequence
	lastFailure  = 40 // disables until a test succeeds
	firstPause   = time.Minute
	longestPause = 24 * time.Hour
)

// count notes how a call went. The pause doubles with each further failure.
func (h *Hook) count(succeeded bool, now time.Time) {
	if succeeded {
		h.Failures, h.DisabledUntil = 0, time.Time{}
		return
	}
	h.Failures = min(h.Failures+1, lastFailure)
	if h.Failures > freeFailures {
		h.DisabledUntil = now.Add(min(firstPause<<min(h.Failures-freeFailures-1, 20), longestPause))
	}
}

// alert is GitLab's word for the state of a webhook.
func (h Hook) alert(now time.Time) string {
	switch {
	case h.Failures >= lastFailure:
		return "disabled"
	case h.Failures > freeFailures && !h.DisabledUntil.Before(now):
		return "temporarily_disabled"
	}
	return "executable"
}

func (s *Server) disabled(h Hook) bool {
	return s.cfg.Kind == GitLab && h.alert(s.cfg.Now()) != "executable"
}

// perMinute is how often GitLab lets a user test webhooks of a project, and how often send events again.
const perMinute = 5

// allow counts a request; false means that there were too many in this minute.
func (b *hookbook) allow(what string, now time.Time) bool {
	b.hookMu.Lock()
	defer b.hookMu.Unlock()
	if b.requests == nil {
		b.requests = map[string][]time.Time{}
	}
	recent := 0
	for _, at := range b.requests[what] {
		if now.Sub(at) < time.Minute {
			recent++
		}
	}
	if recent >= perMinute {
		return false
	}
	b.requests[what] = append(b.requests[what], now)
	return true
}
