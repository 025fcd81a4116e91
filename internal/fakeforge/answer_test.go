package fakeforge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault         fakeforge.Fault
		status        int
		header, value string
	}{
		"rate limited":    {fakeforge.RateLimited(90 * time.Second), 429, "Retry-After", "90"},
		"secondary limit": {github.SecondaryLimit(time.Minute), 403, "Retry-After", "60"},
		"untimed limit":   {github.UntimedLimit(), 403, "Retry-After", ""},
		"single sign-on": {
			github.SingleSignOn("http://x", "acme"), 403, "X-GitHub-SSO",
			"required; url=http://x/orgs/acme/sso?authorization_request=A1B2C3",
		},
		"allow list":     {github.AddressNotAllowed("acme"), 403, "Retry-After", ""},
		"archived":       {github.Archived(), 403, "Retry-After", ""},
		"primary limit":  {github.PrimaryLimit(forgetest.Now.Add(time.Hour)), 403, "X-RateLimit-Reset", "1777899600"},
		"bad gateway":    {fakeforge.BadGateway(), 502, "Content-Type", "text/html"},
		"unknown commit": {github.New(fakeforge.Config{}).UnknownCommit("abc"), 422, "X-RateLimit-Limit", "5000"},
		"hang":           {fakeforge.Hang(time.Millisecond), 201, "X-RateLimit-Limit", "5000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
			p.Fail(test.fault)
			response, _ := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success"}`)
			if response.StatusCode != test.status || response.Header.Get(test.header) != test.value {
				t.Errorf("answer = %d, %s: %s, want %d, %s", response.StatusCode, test.header,
					response.Header.Get(test.header), test.status, test.value)
			}
			again, _ := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success"}`)
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
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	p.Fail(fakeforge.Drop())
	address := p.API + p.StatusPath(p.Sample.Head)
	response, err := http.Post(address, "application/json", strings.NewReader(`{"state":"success"}`))
	if err == nil {
		response.Body.Close()
		t.Fatalf("answer = %d, want none", response.StatusCode)
	}
	if calls := p.Calls(); len(calls) != 1 || calls[0].Status != 0 || !calls[0].Fault {
		t.Errorf("calls = %+v, want one without an answer", calls)
	}
	if _, ok := p.Latest(p.Project, p.Sample.Head, "default"); ok {
		t.Error("the dropped status was accepted")
	}
}

func TestLostAnswersTakeEffect(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{})
	p.Fail(fakeforge.Lost())
	address := p.API + p.StatusPath(p.Sample.Head)
	response, err := http.Post(address, "application/json", strings.NewReader(`{"state":"running"}`))
	if err == nil {
		response.Body.Close()
		t.Fatalf("answer = %d, want none", response.StatusCode)
	}
	if got, ok := p.Latest(p.Project, p.Sample.Head, "default"); !ok || got.State != "running" {
		t.Errorf("latest = %v, want running", got)
	}
}

func TestHangEndsWhenTheCallerGoes(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	p.Fail(fakeforge.Hang(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.API+p.StatusPath(p.Sample.Head),
		strings.NewReader(`{"state":"success"}`))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Fatalf("answer = %d, want none", response.StatusCode)
	}
	if _, ok := p.Latest(p.Project, p.Sample.Head, "default"); ok {
		t.Error("a status was accepted from a caller that had gone")
	}
}

func TestFaultFunctionSeesTheCall(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token, Faults: func(r *http.Request) *fakeforge.Fault {
		if r.Method == http.MethodPost {
			return nil
		}
		fault := fakeforge.BadGateway()
		return &fault
	}})
	read, _ := p.Call(t, http.MethodGet, "/projects/77/repository/commits/"+p.Sample.Head, "")
	written, _ := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running"}`)
	if read.StatusCode != http.StatusBadGateway || written.StatusCode != http.StatusCreated {
		t.Errorf("GET = %d, POST = %d, want 502 and 201", read.StatusCode, written.StatusCode)
	}
}
