package standin_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/standin"
)

func TestWaitSeesPastAndFuture(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	final := func(s standin.Status) bool { return s.State == "success" }
	got := make(chan standin.Status)
	go func() {
		status, err := p.Wait(t.Context(), final)
		if err != nil {
			t.Error(err)
		}
		got <- status
	}()
	p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"pending"}`)
	p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success","description":"No findings"}`)
	if status := <-got; status.Description != "No findings" {
		t.Errorf("waited for %v, want the success", status)
	}
	if status, err := p.Wait(t.Context(), final); err != nil || status.State != "success" {
		t.Errorf("waiting for what has come = %v, %v", status, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := standin.New(standin.Config{Kind: standin.GitHub})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx, func(standin.Status) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want %v", err, context.Canceled)
	}
}

func TestCallsAndRefusals(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab, Token: token})
	p.Fail(standin.BadGateway())
	for range 3 {
		p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"running"}`)
	}
	var got []int
	for _, call := range p.Calls() {
		got = append(got, call.Status)
	}
	if len(got) != 3 || got[0] != 502 || got[1] != 201 || got[2] != 400 {
		t.Errorf("calls were answered %v, want 502, 201, 400", got)
	}
	refused := p.Refused()
	if len(refused) != 1 || refused[0].Reason == "" || refused[0].Path != "/api/v4"+p.statusPath(p.sample.Head) {
		t.Errorf("refused = %+v, want the repeated running alone", refused)
	}
}
