package standin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxCall bounds the body of an API call, in bytes; a status is a few hundred.
const maxCall = 1 << 20

const (
	githubHourly    = 5000 // calls in an hour
	gitlabPerMinute = 2000
)

// Keys of log records.
const (
	keyError  = "error"
	keyMethod = "method"
	keyPath   = "path"
	keyReason = "reason"
	keyStatus = "status"
	keyStderr = "stderr"
)

// endpoint is one operation of the API. It may read the body more than once.
type endpoint func(r *http.Request) answer

// answer is what an endpoint says: body as JSON, or text as it is.
type answer struct {
	status int
	header http.Header
	body   any
	text   string
	reason string // why the rules refuse the call, for Call.Reason
	fault  bool
	drop   bool
}

// api turns an endpoint into a handler: it journals the call and asks for the token.
func (s *Server) api(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place := s.begin(Call{Method: r.Method, Path: r.URL.EscapedPath(), At: s.cfg.Now()})
		a := s.answerTo(w, r, e)
		s.end(place, a)
		s.cfg.Log.DebugContext(r.Context(), "api call", slog.String(keyMethod, r.Method),
			slog.String(keyPath, r.URL.Path), slog.Int(keyStatus, a.status), slog.String(keyReason, a.reason))
		if a.drop {
			panic(http.ErrAbortHandler) // the one way in which net/http lets a handler close the connection
		}
		s.setRateHeaders(w.Header(), place+1)
		a.write(w)
	})
}

// answerTo reads the whole body first: only then net/http notices a caller that goes away.
func (s *Server) answerTo(w http.ResponseWriter, r *http.Request, e endpoint) answer {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "the body is larger than any status is")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !s.authorised(r) {
		return s.refuseCredentials()
	}
	return e(r)
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, values := range a.header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(a.status)
	if a.body == nil {
		_, _ = io.WriteString(w, a.text)
		return
	}
	_ = json.NewEncoder(w).Encode(a.body)
}

// refuse is the form that both platforms share: a message beside the HTTP status.
func refuse(status int, message string) answer {
	return answer{status: status, body: map[string]any{"message": message}, reason: message}
}

// crashed answers when git could not be asked: the stand-in's own trouble, never the caller's. Git ends with a caller who
// goes away in the middle of the call.
func (s *Server) crashed(r *http.Request, err error) answer {
	if r.Context().Err() != nil {
		return answer{status: http.StatusInternalServerError, fault: true}
	}
	s.cfg.Log.ErrorContext(r.Context(), "stand-in failed", slog.String(keyPath, r.URL.Path), slog.Any(keyError, err))
	return refuse(http.StatusInternalServerError, "500 Internal Server Error")
}

func unknownRoute(*http.Request) answer { return refuse(http.StatusNotFound, "404 Not Found") }

// setRateHeaders tells what is left of the allowance after calls calls, under the platform's own header names.
func (s *Server) setRateHeaders(header http.Header, calls int) {
	prefix, limit, window := "X-RateLimit-", githubHourly, time.Hour
	if s.cfg.Kind == GitLab {
		prefix, limit, window = "RateLimit-", gitlabPerMinute, time.Minute
		header.Set("RateLimit-Name", "throttle_authenticated_api")
		header.Set("RateLimit-Observed", strconv.Itoa(calls))
	}
	limit = cmp.Or(s.cfg.Allowance, limit)
	header.Set(prefix+"Limit", strconv.Itoa(limit))
	header.Set(prefix+"Remaining", strconv.Itoa(max(0, limit-calls)))
	header.Set(prefix+"Reset", strconv.FormatInt(s.cfg.Now().Add(window).Unix(), 10))
}

// pathOf is the project in the path of a call: GitHub spreads it over two segments, GitLab escapes it into one.
func pathOf(r *http.Request) string {
	if id := r.PathValue("id"); id != "" {
		return id
	}
	return strings.Join([]string{r.PathValue("owner"), r.PathValue("name")}, "/")
}
