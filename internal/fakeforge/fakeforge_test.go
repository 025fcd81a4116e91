package fakeforge_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
)

// A declared commit is pushed and takes statuses, though no git repository holds it.
func TestDeclaredCommits(t *testing.T) {
	t.Parallel()
	sha := strings.Repeat("ab", 20)
	for _, kind := range forgetest.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			p := forgetest.Start(t, kind, fakeforge.Config{Token: forgetest.Token, Secret: "hook"})
			spec := fakeforge.PushSpec{Project: p.Project, Ref: "refs/heads/main", After: sha}
			if _, err := p.BuildPush(t.Context(), spec); err == nil {
				t.Error("an unknown commit was pushed")
			}
			if err := p.Declare(p.Project, sha); err != nil {
				t.Fatal(err)
			}
			delivery, err := p.BuildPush(t.Context(), spec)
			if err != nil || !strings.Contains(string(delivery.Body), sha) {
				t.Errorf("push of a declared commit: %.200s, %v", delivery.Body, err)
			}
			response, _ := p.Call(t, http.MethodPost, p.StatusPath(sha), `{"state":"success","name":"x","context":"x","ref":"main"}`)
			if response.StatusCode != http.StatusCreated || p.Posted() != 1 {
				t.Errorf("posting a status: %d, %d posted", response.StatusCode, p.Posted())
			}
		})
	}
}

func TestDeclareRefuses(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	if err := p.Declare("acme/unknown", strings.Repeat("ab", 20)); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("unknown project: %v, want ErrNotFound", err)
	}
	if err := p.Declare(p.Project, "main"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("no commit id: %v, want ErrInvalid", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := github.New(fakeforge.Config{Token: forgetest.Token})
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
