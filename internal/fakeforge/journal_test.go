package fakeforge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
)

func TestWaitSeesPastAndFuture(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	final := func(s fakeforge.Status) bool { return s.State == "success" }
	got := make(chan fakeforge.Status)
	go func() {
		status, err := p.Wait(t.Context(), final)
		if err != nil {
			t.Error(err)
		}
		got <- status
	}()
	p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"pending"}`)
	p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success","description":"No findings"}`)
	if status := <-got; status.Description != "No findings" {
		t.Errorf("waited for %v, want the success", status)
	}
	if status, err := p.Wait(t.Context(), final); err != nil || status.State != "success" {
		t.Errorf("waiting for what has come = %v, %v", status, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := github.New(fakeforge.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx, func(fakeforge.Status) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want %v", err, context.Canceled)
	}
}

func TestCallsAndRefusals(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	p.Fail(fakeforge.BadGateway())
	for range 3 {
		p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running"}`)
	}
	var got []int
	for _, call := range p.Calls() {
		got = append(got, call.Status)
	}
	if len(got) != 3 || got[0] != 502 || got[1] != 201 || got[2] != 400 {
		t.Errorf("calls were answered %v, want 502, 201, 400", got)
	}
	refused := p.Refused()
	if len(refused) != 1 || refused[0].Reason == "" || refused[0].Path != "/api/v4"+p.StatusPath(p.Sample.Head) {
		t.Errorf("refused = %+v, want the repeated running alone", refused)
	}
}
