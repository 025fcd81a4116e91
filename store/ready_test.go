package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A database that answers and cannot write, its disk being full, is not ready, until it can or a while has passed.
func TestFullDiskIsNotReady(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := storetest.Open(t, store.Config{Now: clock.Now})
	n := 0
	push := func() error {
		n++
		d, p := storetest.PushOf(n)
		_, err := s.AcceptPush(t.Context(), d, p)
		return err
	}
	wantReady := func(when string, want error) {
		t.Helper()
		if err := s.Ready(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	wantReady("at first", nil)
	s.LimitPages(t, 1)
	var full error
	for full == nil && n < 1000 {
		full = push()
	}
	if !errors.Is(full, core.ErrUnavailable) {
		t.Fatalf("a full disk: %v", full)
	}
	wantReady("with a full disk", core.ErrUnavailable)
	clock.advance(time.Minute)
	wantReady("a while later", nil)
	_ = push()
	wantReady("full still", core.ErrUnavailable)
	s.LimitPages(t, 1<<30)
	if err := push(); err != nil {
		t.Fatal(err)
	}
	wantReady("with room again", nil)
}

// Without traffic, who tries finds out that the disk is full, and that there is room again.
func TestTryWrite(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for range 3 {
			if err := s.TryWrite(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s.Shared() {
			return
		}
		s.LimitPages(t, 1)
		var full error
		for n := 1; full == nil && n < 1000; n++ { // until the pages are used up that there are
			d, p := storetest.PushOf(n)
			_, full = s.AcceptPush(t.Context(), d, p)
		}
		if err := s.TryWrite(t.Context()); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("on a full disk: %v", err)
		}
		s.LimitPages(t, 1<<30)
		if err := s.TryWrite(t.Context()); err != nil || s.Ready(t.Context()) != nil {
			t.Errorf("with room again: %v", err)
		}
	})
}
