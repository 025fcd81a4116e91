package standin_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/standin"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault         standin.Fault
		status        int
		header, value string
	}{
		"rate limited":    {standin.RateLimited(90 * time.Second), 429, "Retry-After", "90"},
		"secondary limit": {standin.SecondaryLimit(time.Minute), 403, "Retry-After", "60"},
		"untimed limit":   {standin.UntimedLimit(), 403, "Retry-After", ""},
		"single sign-on": {
			standin.SingleSignOn("http://x", "acme"), 403, "X-GitHub-SSO",
			"required; url=http://x/orgs/acme/sso?authorization_request=A1B2C3",
		},
		"allow list":     {standin.AddressNotAllowed("acme"), 403, "Retry-After", ""},
		"archived":       {standin.Archived(), 403, "Retry-After", ""},
		"primary limit":  {standin.PrimaryLimit(now.Add(time.Hour)), 403, "X-RateLimit-Reset", "1777899600"},
		"bad gateway":    {standin.BadGateway(), 502, "Content-Type", "text/html"},
		"unknown commit": {standin.UnknownCommit(standin.GitHub, "abc"), 422, "X-RateLimit-Limit", "5000"},
		"hang":           {standin.Hang(time.Millisecond), 201, "X-RateLimit-Limit", "5000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
			p.Fail(test.fault)
			response, _ := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success"}`)
			if response.StatusCode != test.status || response.Header.Get(test.header) != test.value {
				t.Errorf("answer = %d, %s: %s, want %d, %s", response.StatusCode, test.header,
					response.Header.Get(test.header), test.status, test.value)
			}
			again, _ := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success"}`)
			if again.StatusCode != http.StatusCreated {
				t.Errorf("the next call was answered %d, want 201", again.StatusCode)
			}
			if refused := p.Refused(); len(refused) != 0 {
				t.Errorf("refused = %v, want none: a fault breaks no rule", refused)
			}
		})
	}
}

func TestDropClosesTheConnection(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	p.Fail(standin.Drop())
	address := p.api + p.statusPath(p.sample.Head)
	response, err := http.Post(address, "application/json", strings.NewReader(`{"state":"success"}`))
	if err == nil {
		response.Body.Close()
		t.Fatalf("answer = %d, want none", response.StatusCode)
	}
	if calls := p.Calls(); len(calls) != 1 || calls[0].Status != 0 || !calls[0].Fault {
		t.Errorf("calls = %+v, want one without an answer", calls)
	}
	if _, ok := p.Latest(p.project, p.sample.Head, "default"); ok {
		t.Error("the dropped status was accepted")
	}
}

func TestLostAnswersTakeEffect(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab})
	p.Fail(standin.Lost())
	address := p.api + p.statusPath(p.sample.Head)
	response, err := http.Post(address, "application/json", strings.NewReader(`{"state":"running"}`))
	if err == nil {
		response.Body.Close()
		t.Fatalf("answer = %d, want none", response.StatusCode)
	}
	if got, ok := p.Latest(p.project, p.sample.Head, "default"); !ok || got.State != "running" {
		t.Errorf("latest = %v, want running", got)
	}
}

func TestHangEndsWhenTheCallerGoes(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	p.Fail(standin.Hang(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.api+p.statusPath(p.sample.Head),
		strings.NewReader(`{"state":"success"}`))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Fatalf("answer = %d, want none", response.StatusCode)
	}
	if _, ok := p.Latest(p.project, p.sample.Head, "default"); ok {
		t.Error("a status was accepted from a caller that had gone")
	}
}

func TestFaultFunctionSeesTheCall(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab, Token: token, Faults: func(r *http.Request) *standin.Fault {
		if r.Method == http.MethodPost {
			return nil
		}
		fault := standin.BadGateway()
		return &fault
	}})
	read, _ := p.call(t, http.MethodGet, "/projects/77/repository/commits/"+p.sample.Head, "")
	written, _ := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"running"}`)
	if read.StatusCode != http.StatusBadGateway || written.StatusCode != http.StatusCreated {
		t.Errorf("GET = %d, POST = %d, want 502 and 201", read.StatusCode, written.StatusCode)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := standin.New(standin.Config{Kind: standin.GitHub, Token: token})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx, listener) }()
	response, err := http.Get(p.APIURL("http://" + listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("err = %v, want none", err)
	}
}
