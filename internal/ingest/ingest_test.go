package ingest_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/ingest"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// What an older version sets aside while it runs beside a newer one is not left behind when it ends.
func TestCallsThatAnOlderVersionSetsAsideAreDerived(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := storetest.Open(t, store.Config{Now: func() time.Time { return now }})
	hub, err := github.New(platforms.Config{Name: "github", WebhookSecrets: []string{"a secret of the tests"}})
	if err != nil {
		t.Fatal(err)
	}
	version := func(name string, set platforms.Set) *ingest.Ingester {
		return ingest.New(ingest.Config{Store: s, Platforms: set, Version: name, Log: slog.New(slog.DiscardHandler)})
	}
	newer, older := version("2", platforms.Set{"github": hub}), version("1", nil)
	once := func(calls *ingest.Ingester) {
		t.Helper()
		if _, err := calls.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	once(newer)
	receipt, err := s.Keep(t.Context(), core.Call{
		Delivery: core.Delivery{Platform: "github", Key: "1", Project: "acme/shop"}, Unread: true,
		Raw: httpx.Pack(http.Header{"X-Github-Event": {"push"}}, []byte(`{"ref":"refs/heads/main","after":"`+storetest.SHA(1)+
			`","repository":{"id":7,"full_name":"acme/shop"}}`)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		calls *ingest.Ingester
		later time.Duration
		want  core.DeliveryState
	}{{older, 0, core.DeliveryFailed}, {newer, time.Second, core.DeliveryFailed}, {newer, time.Hour, core.DeliveryDerived}} {
		now = now.Add(step.later)
		once(step.calls)
		if d, err := s.GetDelivery(t.Context(), receipt.Delivery); err != nil || d.State != step.want {
			t.Fatalf("%s later: %+v, %v, want it %s", step.later, d, err, step.want)
		}
	}
}
