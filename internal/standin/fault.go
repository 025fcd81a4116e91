package standin

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is an answer that the platform gives in place of the rules' one, or before it. Hang passes first; then Drop
// closes the connection, a Status is answered, and with neither the rules decide as if nothing had been.
type Fault struct {
	Status int
	Header http.Header
	Body   string
	Hang   time.Duration // ends early when the caller goes away
	Drop   bool
	Late   bool // the call takes effect first, and only its answer is lost
}

// RateLimited is a 429 in plain text with Retry-After in whole seconds, GitLab's and newer GitHub's way.
func RateLimited(after time.Duration) Fault {
	header := http.Header{}
	header.Set("Retry-After", seconds(after))
	header.Set("Content-Type", "text/plain")
	return Fault{Status: http.StatusTooManyRequests, Header: header, Body: "Retry later\n"}
}

// SecondaryLimit is GitHub's 403 for writing too fast.
func SecondaryLimit(after time.Duration) Fault {
	header := http.Header{}
	header.Set("Retry-After", seconds(after))
	body := `{"message":"You have exceeded a secondary rate limit. Please wait before you try again.",` +
		`"documentation_url":` + // clients recognise the limit by this address
		`"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	return Fault{Status: http.StatusForbidden, Header: header, Body: body}
}

// UntimedLimit is SecondaryLimit without a time, which GitHub leaves out now and then.
func UntimedLimit() Fault {
	fault := SecondaryLimit(0)
	fault.Header = http.Header{}
	return fault
}

// SingleSignOn is GitHub's 403 for a token that was not authorised for an organisation's single sign-on, on a server at
// base.
func SingleSignOn(base, organisation string) Fault {
	header := http.Header{}
	header.Set("X-Github-Sso", "required; url="+base+"/orgs/"+organisation+"/sso?authorization_request=A1B2C3")
	return Fault{Status: http.StatusForbidden, Header: header, Body: `{"message":"Resource protected by organization SAML ` +
		`enforcement. You must grant your Personal Access token access to this organization."}`}
}

// AddressNotAllowed is GitHub's 403 for a caller whose address is not in an organisation's list.
func AddressNotAllowed(organisation string) Fault {
	return Fault{Status: http.StatusForbidden, Body: `{"message":"Although you appear to have the correct authorization ` +
		"credentials, the `" + organisation + "` organization has an IP allow list enabled, and your IP address is not " +
		`permitted to access this resource."}`}
}

// Archived is GitHub's 403 for a repository that is read-only.
func Archived() Fault {
	return Fault{Status: http.StatusForbidden, Body: `{"message":"Repository was archived so is read-only."}`}
}

// PrimaryLimit is GitHub's 403 for an hour's calls being used up; they come back at reset.
func PrimaryLimit(reset time.Time) Fault {
	header := http.Header{}
	header.Set("X-Ratelimit-Remaining", "0")
	header.Set("X-Ratelimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	return Fault{Status: http.StatusForbidden, Header: header, Body: `{"message":"API rate limit exceeded"}`}
}

// BadGateway is what a load balancer says while the platform restarts.
func BadGateway() Fault {
	header := http.Header{}
	header.Set("Content-Type", "text/html")
	return Fault{Status: http.StatusBadGateway, Header: header, Body: "<html><h1>502 Bad Gateway</h1></html>\n"}
}

// UnknownCommit is what a platform says of a commit that its API does not see yet, though its webhook told of it.
func UnknownCommit(kind Kind, sha string) Fault {
	if kind == GitLab {
		return Fault{Status: http.StatusNotFound, Body: `{"message":"404 Commit Not Found"}`}
	}
	return Fault{Status: http.StatusUnprocessableEntity, Body: `{"message":"No commit found for SHA: ` + sha + `"}`}
}

// Hang keeps a call waiting and then lets the rules answer it.
func Hang(d time.Duration) Fault { return Fault{Hang: d} }

// Drop closes the connection without an answer.
func Drop() Fault { return Fault{Drop: true} }

// Lost lets a call take effect and then closes the connection, so that the caller cannot know that it did.
func Lost() Fault { return Fault{Drop: true, Late: true} }

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// wait lets the fault's Hang pass. It reports false when the caller went away first.
func (f *Fault) wait(ctx context.Context) bool {
	if f.Hang <= 0 {
		return true
	}
	timer := time.NewTimer(f.Hang)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// faultQueue holds the faults that were ordered in advance.
type faultQueue struct {
	faultMu sync.Mutex
	queue   []Fault
}

// Fail makes the next API calls fail, one fault each, in this order. git's requests are never touched.
func (q *faultQueue) Fail(faults ...Fault) {
	q.faultMu.Lock()
	defer q.faultMu.Unlock()
	q.queue = append(q.queue, faults...)
}

func (q *faultQueue) nextFault() *Fault {
	q.faultMu.Lock()
	defer q.faultMu.Unlock()
	if len(q.queue) == 0 {
		return nil
	}
	fault := q.queue[0]
	q.queue = q.queue[1:]
	return &fault
}

// faulty lets a fault, if there is one for this call, go before the rules.
func (s *Server) faulty(rules endpoint) endpoint {
	return func(r *http.Request) answer {
		fault := s.nextFault()
		if fault == nil && s.cfg.Faults != nil {
			fault = s.cfg.Faults(r)
		}
		if fault == nil {
			return rules(r)
		}
		if fault.Late {
			done := rules(r)
			return fault.apply(r, func(*http.Request) answer { return done })
		}
		return fault.apply(r, rules)
	}
}

func (f *Fault) apply(r *http.Request, rules endpoint) answer {
	switch alive := f.wait(r.Context()); {
	case !alive:
		return answer{drop: true, fault: true}
	case f.Drop || f.Status != 0:
		return answer{status: f.Status, header: f.Header, text: f.Body, drop: f.Drop, fault: true}
	}
	return rules(r)
}
