package fakeforge

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
)

// Endpoint is one operation of a forge's API. It may read the body more than once.
type Endpoint func(*http.Request) Answer

// Answer is what an endpoint returns: Body as JSON, or Text as it is.
type Answer struct {
	Status int
	Header http.Header
	Body   any
	Text   string
	Reason string // why a rule of the forge refuses the call; see Call.Reason

	fault bool // the answer was injected
	drop  bool // the connection is closed without an answer
}

// OK is the answer of a call that succeeded.
func OK(body any) Answer { return Answer{Status: http.StatusOK, Body: body} }

// Refuse is the error document that forges share: a message beside the HTTP status.
func Refuse(status int, message string) Answer {
	return Answer{Status: status, Body: map[string]any{"message": message}, Reason: message}
}

// Nullable is null in JSON for an empty text.
func Nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Write writes the answer as HTTP.
func (a Answer) Write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, values := range a.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(a.Status)
	if a.Body == nil {
		_, _ = io.WriteString(w, a.Text)
		return
	}
	_ = json.NewEncoder(w).Encode(a.Body)
}

// Fault is an answer that a forge gives before the rules decide, or in their place. Hang passes first. Then Drop closes
// the connection, or Status is answered; with neither, the rules decide as if there were no fault.
type Fault struct {
	Status int
	Header http.Header
	Body   string
	Hang   time.Duration // ends early when the caller goes away
	Drop   bool
	Late   bool // the call takes effect first; only its answer is lost
}

// RateLimited is a 429 in plain text with Retry-After in whole seconds, as GitLab and newer versions of GitHub send it.
func RateLimited(after time.Duration) Fault {
	header := http.Header{}
	header.Set("Retry-After", strconv.Itoa(int(after/time.Second)))
	header.Set("Content-Type", "text/plain")
	return Fault{Status: http.StatusTooManyRequests, Header: header, Body: "Retry later\n"}
}

// BadGateway is the answer of a load balancer while the forge restarts.
func BadGateway() Fault {
	header := http.Header{}
	header.Set("Content-Type", "text/html")
	return Fault{Status: http.StatusBadGateway, Header: header, Body: "<html><h1>502 Bad Gateway</h1></html>\n"}
}

// Hang keeps a call waiting and then lets the rules answer it.
func Hang(d time.Duration) Fault { return Fault{Hang: d} }

// Drop closes the connection without an answer.
func Drop() Fault { return Fault{Drop: true} }

// Lost lets a call take effect and then closes the connection, so that the caller cannot know that it did.
func Lost() Fault { return Fault{Drop: true, Late: true} }

// Apply answers a call in the place of rules.
func (f *Fault) Apply(r *http.Request, rules Endpoint) Answer {
	if f.Late {
		done := rules(r)
		rules = func(*http.Request) Answer { return done }
	}
	switch {
	case f.Hang > 0 && !poll.Sleep(r.Context(), f.Hang): // the caller went away
		return Answer{drop: true, fault: true}
	case f.Drop || f.Status != 0:
		return Answer{Status: f.Status, Header: f.Header, Text: f.Body, drop: f.Drop, fault: true}
	}
	return rules(r)
}
