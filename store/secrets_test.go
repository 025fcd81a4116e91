package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestUsesOfSecretsAreKept(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		now := start
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		proof := core.Verification{SecretID: "aa", Place: "webhook_secrets[0]", Signed: true}
		want := core.SecretUsage{
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
			evidence, err := s.ListSecretUsages(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]core.SecretUsage{want}, evidence.Secrets); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", after, diff)
			}
		}
	})
}

// Duplicates and ignored events also show that a secret is in use; calls that no secret verified do not.
func TestEveryVerifiedCallUsesItsSecret(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for i, id := range []string{"", "first", "repeated"} {
			s := storetest.OpenAt(t, url, store.Config{})
			ping := core.Delivery{Platform: "github", Key: "same", Verification: core.Verification{SecretID: id, Place: "x"}}
			if _, err := offerIgnored(t, s, ping); err != nil {
				t.Fatal(err)
			}
			if evidence, err := s.ListSecretUsages(t.Context()); err != nil || len(evidence.Secrets) != i {
				t.Errorf("%q: want %d secrets, got %+v, %v", id, i, evidence.Secrets, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		evidence, err := store.ReadSecretUsages(t.Context(), url)
		unknown := evidence.Of("github", "x")
		if err != nil || evidence.Of("github", "repeated").LastUsedAt.IsZero() || unknown != (core.SecretUsage{}) {
			t.Errorf("want what was kept, got %+v, %v", evidence, err)
		}
	})
}

func TestReadSecretUsagesTouchesNoSchema(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for range 2 {
			if _, err := store.ReadSecretUsages(t.Context(), url); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("want core.ErrNotFound, got %v", err)
			}
		}
		if n, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil || n == 0 {
			t.Errorf("want a schema to be made now, got %d, %v", n, err)
		}
		if evidence, err := store.ReadSecretUsages(t.Context(), url); err != nil || evidence.Secrets != nil {
			t.Errorf("want nothing kept, got %+v, %v", evidence, err)
		}
	})
	missing := "sqlite:" + filepath.Join(t.TempDir(), "none", "scanhook.db")
	if _, err := store.ReadSecretUsages(t.Context(), missing); err == nil || errors.Is(err, core.ErrNotFound) {
		t.Errorf("no folder: want an error of the file system, got %v", err)
	}
}

// provenBy makes a delivery one of GitLab's, with a key of its own, that was verified in the given way.
func provenBy(key string, proof core.Verification) func(*core.Delivery, *core.Push) {
	return func(d *core.Delivery, _ *core.Push) {
		d.Platform, d.Key, d.Verification = "gitlab", key, proof
	}
}

var (
	signed = core.Verification{SecretID: "51", Place: "signing_tokens[0]", Signed: true, MaySign: true}
	token  = core.Verification{SecretID: "70", Place: "webhook_secrets[0]", MaySign: true}
	alone  = core.Verification{SecretID: "70", Place: "webhook_secrets[0]"} // no signing token is configured
)

func offer(t *testing.T, s *store.Store, change ...func(*core.Delivery, *core.Push)) (core.Receipt, error) {
	t.Helper()
	d := storetest.With(storetest.PushOf(1, change...))
	return s.Keep(t.Context(), core.Call{Delivery: d, Raw: []byte(storetest.SHA(1))})
}

// offerIgnored offers a call from which nothing follows.
func offerIgnored(t *testing.T, s *store.Store, d core.Delivery) (core.Receipt, error) {
	t.Helper()
	d.Event = core.Ignored{Reason: "not used"}
	return s.Keep(t.Context(), core.Call{Delivery: d, Raw: []byte("{}")})
}

func TestSignedProjectsStaySigned(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		cfg := store.Config{Now: func() time.Time { return now }}
		s := e.Open(t, cfg)
		steps := []struct {
			name, project, ref string
			proof              core.Verification
			want               bool
		}{
			{"a token comes first", "acme/shop", "42", token, true},
			{"then a signature", "acme/shop", "42", signed, true},
			{"the token again", "acme/shop", "42", token, false},
			{"in another spelling", "ACME/Shop.git", "", token, false},
			{"under another name, by its number", "acme/innocent", "42", token, false},
			{"another project", "acme/other", "43", token, true},
			{"another project without a number", "acme/third", "", token, true},
			{"while no signing token is configured", "acme/shop", "42", alone, true},
			{"signed still", "acme/shop", "42", signed, true},
		}
		for _, step := range steps {
			_, err := offer(t, s, provenBy(step.name, step.proof), called(step.project, step.ref))
			if step.want != (err == nil) || err != nil && !errors.Is(err, core.ErrDenied) {
				t.Errorf("%s: want accepted %t, got %v", step.name, step.want, err)
			}
			if err != nil && !strings.Contains(err.Error(), "signed since 2026-03-01 12:00:00") {
				t.Errorf("%s: want to hear since when, got %v", step.name, err)
			}
		}
		evidence, err := s.ListSecretUsages(t.Context())
		if err != nil || len(evidence.Refused) != 1 {
			t.Fatalf("want one project, got %+v, %v", evidence.Refused, err)
		}
		got := evidence.Refused[0]
		if got.ProjectName != "acme/shop" || got.NumRefused != 3 || !got.LastRefusedAt.Equal(now) {
			t.Errorf("want three calls for acme/shop, got %+v", got)
		}
	})
}

func TestSigningOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for _, step := range []struct {
			proof core.Verification
			want  bool
		}{{signed, true}, {token, false}} {
			s := storetest.OpenAt(t, url, store.Config{})
			_, err := offer(t, s, provenBy("a", step.proof))
			if step.want != (err == nil) {
				t.Errorf("want accepted %t, got %v", step.want, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A refused call leaves nothing: the same delivery, signed, is new.
func TestRefusedCallsLeaveNothing(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		if _, err := offerIgnored(t, s, core.Delivery{
			Platform: "gitlab", Key: "first", Project: "acme/shop", Verification: signed,
		}); err != nil {
			t.Fatal(err)
		}
		var waiting sync.WaitGroup
		for range 20 {
			waiting.Go(func() {
				if _, err := offer(t, s, provenBy("same", token)); !errors.Is(err, core.ErrDenied) {
					t.Errorf("a token: want core.ErrDenied, got %v", err)
				}
				if _, err := offer(t, s, provenBy("same", signed)); err != nil {
					t.Errorf("a signature: %v", err)
				}
			})
		}
		waiting.Wait()
		deriveAll(t, s, "1", sound)
		list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Limit: 10})
		if err != nil || len(list) != 2 {
			t.Fatalf("want two deliveries, got %+v, %v", list, err)
		}
		if got := list[0]; !got.Signed || got.VerifiedBy != "signing_tokens[0] (51)" || got.Outcome != core.ScanCreated {
			t.Errorf("want the signed delivery, got %+v", got)
		}
		scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 10})
		if err != nil || len(scans) != 1 {
			t.Errorf("want one scan, got %d, %v", len(scans), err)
		}
		if _, err := offer(t, s, provenBy("last", token)); !errors.Is(err, core.ErrDenied) {
			t.Errorf("a token again: want core.ErrDenied, got %v", err)
		}
		evidence, err := s.ListSecretUsages(t.Context())
		if err != nil || len(evidence.Refused) != 1 || evidence.Refused[0].NumRefused != 21 {
			t.Errorf("want 21 refused calls, got %+v, %v", evidence.Refused, err)
		}
	})
}

// Ids of deliveries are not signed: a caller of one project must not be able to use up those of another.
func TestDeliveryIDsBelongToTheirProject(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for _, project := range []string{"mallory/x", "acme/shop"} {
			got, err := offer(t, s, provenBy("guessed", alone), called(project, ""))
			if err != nil || got.Outcome != core.Accepted {
				t.Errorf("%s: want it accepted, got %+v, %v", project, got, err)
			}
		}
		if got, err := offer(t, s, provenBy("guessed", alone)); err != nil || got.Outcome != core.Duplicate {
			t.Errorf("the same again: want a duplicate, got %+v, %v", got, err)
		}
		deriveAll(t, s, "1", sound)
		if scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 10}); err != nil || len(scans) != 2 {
			t.Errorf("want a scan of each, got %+v, %v", scans, err)
		}
	})
}

// The signature is the project's: it goes with it to a new name, and another project may have the old one without.
func TestSignaturesFollowTheProject(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: storetest.Policy}}})
		for n, step := range []struct {
			project, ref string
			proof        core.Verification
			want         bool
		}{
			{"acme/shop", "42", signed, true},
			{"acme/shop", "43", token, false}, // says an eavesdropper
			{"acme/store", "42", signed, true},
			{"acme/store", "42", token, false},
			{"acme/store", "", token, false},
			{"acme/any", "42", token, false},
			{"acme/shop", "43", token, true},
			{"acme/shop", "43", signed, true},
			{"acme/shop", "", token, false},
			{"acme/store", "", token, false},
		} {
			_, err := offer(t, s, provenBy(fmt.Sprint(n), step.proof), called(step.project, step.ref))
			if step.want != (err == nil) || err != nil && !errors.Is(err, core.ErrDenied) {
				t.Errorf("call %d: want accepted %t, got %v", n, step.want, err)
			}
		}
		evidence, err := s.ListSecretUsages(t.Context())
		if err != nil || len(evidence.Refused) != 2 {
			t.Errorf("want two projects, got %+v, %v", evidence.Refused, err)
		}
	})
}

// A repaired webhook signs its calls again, and that ends the warning.
func TestRefusalsAreOverWithTheNextSignature(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		for i, step := range []struct {
			proof   core.Verification
			refused int // calls that somebody has to do something about
		}{{signed, 0}, {token, 1}, {signed, 0}, {token, 2}, {token, 3}, {signed, 0}, {signed, 0}} {
			_, err := offer(t, s, provenBy(fmt.Sprint("call ", i), step.proof))
			if err != nil && !errors.Is(err, core.ErrDenied) {
				t.Fatal(err)
			}
			evidence, err := s.ListSecretUsages(t.Context())
			refused := 0
			for _, project := range evidence.Refused {
				refused += project.NumRefused
			}
			if err != nil || refused != step.refused {
				t.Errorf("call %d: want %d refused, got %+v, %v", i, step.refused, evidence.Refused, err)
			}
			now = now.Add(time.Second)
		}
	})
}

// The first process makes the key, and all have the same one, also those that begin at the same time and those that come later.
func TestInstallationHasOneKey(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		if db, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil {
			t.Fatal(db, err)
		}
		var ids [4]string
		var starting sync.WaitGroup
		for i := range ids {
			starting.Go(func() {
				s, err := store.Open(t.Context(), store.Config{URL: url})
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = s.SecretKey().ID()
				_ = s.Close()
			})
		}
		starting.Wait()
		later := storetest.OpenAt(t, url, store.Config{}).SecretKey().ID()
		for _, id := range ids {
			if id != later || id == (secrets.Key{}).ID() {
				t.Errorf("want one key, got %v and %s", ids, later)
			}
		}
		if other := e.Open(t, store.Config{}).SecretKey().ID(); other == later {
			t.Error("want another key for another installation")
		}
	})
}

// asBefore is a finding as it was stored while secrets had no hashes, and hashed the same secret as it is found now.
func asBefore(s *store.Store, rule, secret string) (before, now core.Finding) {
	before = finding(rule, core.High)
	now = before
	before.Snippet, now.Snippet = "x := "+secrets.Keyless.Mask(secret), "x := "+s.SecretKey().Mask(secret)
	now.SecretHash = s.SecretKey().Hash(secret)
	now.SetFormer(&before)
	return before, now
}

// What was found and dismissed before secrets had hashes is the same for the same secret, and from then on for no other one,
// though both looked alike.
func TestFindingsOfBeforeHashesAreCarriedOver(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "gitleaks")
		before, now := asBefore(s, "token", "one")
		_, other := asBefore(s, "token", "another")
		other.Former = now.Former // it was ground to look alike
		put := func(n int, branch string, f core.Finding) core.Finding {
			scan := scanOn(t, s, n, branch, f)
			return findingsOf(t, s, scan)["token"]
		}
		first := put(1, "feature", before)
		say(t, s, first, core.FalsePositive)
		known := put(2, "feature", now)
		if known.AlertID != first.AlertID || known.SecretHash != now.SecretHash || decisionOf(known) != core.FalsePositive {
			t.Errorf("want the same alert, dismissed, and its hash, got %+v", known)
		}
		if fresh := put(3, "another", now); fresh.AlertID != first.AlertID || decisionOf(fresh) != core.FalsePositive {
			t.Errorf("want it dismissed on another branch, got %+v", fresh)
		}
		for n, branch := range []string{"feature", "third"} {
			if fresh := put(4+n, branch, other); fresh.AlertID == first.AlertID || decisionOf(fresh) != "" || fresh.BaselineState != core.New {
				t.Errorf("want another secret new on %s, got %+v", branch, fresh)
			}
		}
	})
}

// An alert that no branch has any more, of before there were hashes, is that of the first secret that comes with its looks.
func TestAlertOfBeforeHashesIsOfOneSecret(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "gitleaks")
		before, now := asBefore(s, "token", "one")
		_, other := asBefore(s, "token", "another")
		other.Former = now.Former
		first := findingsOf(t, s, scanOn(t, s, 1, "old", before))["token"]
		same := findingsOf(t, s, scanOn(t, s, 2, "new", now))["token"]
		third := findingsOf(t, s, scanOn(t, s, 3, "other", other))["token"]
		again := findingsOf(t, s, scanOn(t, s, 4, "again", now))["token"]
		if same.AlertID != first.AlertID || again.AlertID != first.AlertID || third.AlertID == first.AlertID {
			t.Errorf("want one alert for the first secret and one for the other, got %d, %d, %d, %d", first.AlertID, same.AlertID, again.AlertID, third.AlertID)
		}
	})
}
