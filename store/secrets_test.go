package store_test

import (
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestUsesOfSecretsAreKept(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		now := start
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		proof := core.Proof{SecretID: "aa", Place: "webhook_secrets[0]", Signed: true}
		want := core.SecretUse{
			Platform: "gitlab", SecretID: "aa", Place: "webhook_secrets[0]", FirstUsedAt: start, LastUsedAt: start,
		}
		for i, after := range []time.Duration{0, 59 * time.Second, time.Minute, 100 * time.Second, time.Hour} {
			now = start.Add(after)
			if after == time.Hour {
				proof.Place = "webhook_secrets[1]"
				want.Place = proof.Place
			}
			if after == time.Minute || after == time.Hour {
				want.LastUsedAt = now
			}
			if _, err := offer(t, s, provenBy(strconv.Itoa(i), proof)); err != nil {
				t.Fatal(err)
			}
			evidence, err := s.ListEvidence(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]core.SecretUse{want}, evidence.Secrets); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", after, diff)
			}
		}
	})
}

// Duplicates and ignored events show as well that a secret is in use; calls that no secret verified show nothing.
func TestEveryVerifiedCallUsesItsSecret(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for i, id := range []string{"", "first", "repeated"} {
			s, err := store.Open(t.Context(), store.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			ping := core.Delivery{Platform: "github", Key: "same", Proof: core.Proof{SecretID: id, Place: "x"}}
			if _, err := s.AcceptIgnored(t.Context(), ping, "ping"); err != nil {
				t.Fatal(err)
			}
			if evidence, err := s.ListEvidence(t.Context()); err != nil || len(evidence.Secrets) != i {
				t.Errorf("%q: want %d secrets, got %+v, %v", id, i, evidence.Secrets, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		evidence, err := store.ReadEvidence(t.Context(), url)
		unknown := evidence.UseOf("github", "x")
		if err != nil || evidence.UseOf("github", "repeated").LastUsedAt.IsZero() || unknown != (core.SecretUse{}) {
			t.Errorf("want what was kept, got %+v, %v", evidence, err)
		}
	})
}

func TestReadEvidenceTouchesNoSchema(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for range 2 {
			if _, err := store.ReadEvidence(t.Context(), url); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("want core.ErrNotFound, got %v", err)
			}
		}
		if n, err := store.Migrate(t.Context(), store.Config{URL: url}, store.Up, 0); err != nil || n == 0 {
			t.Errorf("want a schema to be made now, got %d, %v", n, err)
		}
		if evidence, err := store.ReadEvidence(t.Context(), url); err != nil || evidence.Secrets != nil {
			t.Errorf("want nothing kept, got %+v, %v", evidence, err)
		}
	})
	missing := "sqlite:" + filepath.Join(t.TempDir(), "none", "scanhook.db")
	if _, err := store.ReadEvidence(t.Context(), missing); err == nil || errors.Is(err, core.ErrNotFound) {
		t.Errorf("no folder: want an error of the file system, got %v", err)
	}
}
