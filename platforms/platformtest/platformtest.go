// Package platformtest is the suite that the tests of every adapter run, and the tools that they share: recorded payloads,
// the official API descriptions, which check each call, and goldens.
package platformtest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// Secret and Token are the ones that the suite configures.
const (
	Secret = "the first secret of the suite"
	Token  = "token-of-the-suite"
)

// SHA is the commit of the suite's statuses.
const SHA = "6d0f6b5b1f0c4a5b8e9d7c3a2b1f0e9d8c7b6a59"

// Setup is how the suite wants a platform to be configured.
type Setup struct {
	URL     string // address for people, below a sub-path; the address of the API is to be derived from it
	Secrets []string
	Token   string
}

// Call is one webhook call.
type Call struct {
	Header http.Header
	Body   string
}

func (c Call) clone() Call { return Call{Header: c.Header.Clone(), Body: c.Body} }

// Subject is an adapter under test.
type Subject struct {
	New         func(t testing.TB, setup Setup) platforms.Platform
	Sign        func(call Call, secret string) // adds what proves that the call comes from the platform
	Push        Call                           // unsigned push of SHA to the branch main of acme/widgets
	EventHeader string                         // names the event of a call
	IDHeader    string                         // tells deliveries apart
	Host        string                         // of the platform's default URL
	// KeepsMethods tells that a 301 is followed with the method of the call, as if it were a 308.
	KeepsMethods bool
}

// Run checks that the subject does what the port promises.
func Run(t *testing.T, subject Subject) {
	t.Run("verify", subject.verify)
	t.Run("verify without secrets", subject.verifyOff)
	t.Run("parse", subject.parse)
	t.Run("parse refuses", subject.parseRefuses)
	t.Run("deliveries are told apart", subject.keys)
	t.Run("remote", subject.remote)
	subject.RunPosts(t)
}

// Status is a wanted status that every platform can post.
func Status(state core.StatusState) core.Status {
	return core.Status{
		ProjectName: "acme/widgets", CommitSHA: SHA, Branch: "main", Context: "scanhook", State: state,
		Description: "2 new, 14 known", TargetURL: "https://scanhook.example.com/scans/1",
	}
}

func (s Subject) platform(t testing.TB, url string) platforms.Platform {
	return s.New(t, Setup{URL: url, Secrets: []string{"", Secret, "an older secret"}, Token: Token})
}

func (s Subject) remote(t *testing.T) {
	t.Parallel()
	platform := s.platform(t, "https://git.example.com/sub/path/")
	got, err := platform.Remote(context.Background(), "acme/widgets")
	if err != nil {
		t.Fatal(err)
	}
	if want := "https://git.example.com/sub/path/acme/widgets.git"; got.URL != want {
		t.Errorf("URL: want %s, got %s", want, got.URL)
	}
	if !strings.HasPrefix(got.Authorization, "Basic ") {
		t.Errorf("want basic authorization, got %q", got.Authorization)
	}
	for _, project := range []string{"", "acme/../../etc", "acme//widgets", "/acme", "acme/wid gets", "a?b/c", "a@b/c"} {
		if remote, err := platform.Remote(context.Background(), project); err == nil {
			t.Errorf("%q: want an error, got %s", project, remote.URL)
		}
	}
	public, err := s.New(t, Setup{}).Remote(context.Background(), "acme/widgets")
	if want := "https://" + s.Host + "/acme/widgets.git"; err != nil || public.URL != want || public.Authorization != "" {
		t.Errorf("without a token: want %s and no authorization, got %+v, %v", want, public, err)
	}
}

func (s Subject) verify(t *testing.T) {
	t.Parallel()
	platform := s.platform(t, "")
	for _, secret := range []string{Secret, "an older secret"} {
		call := s.Push.clone()
		s.Sign(call, secret)
		if _, err := platform.Verify(call.Header, []byte(call.Body)); err != nil {
			t.Errorf("want %q to be accepted, got %v", secret, err)
		}
	}
	for _, secret := range []string{"", "another secret", strings.ToUpper(Secret), Secret + " "} {
		call := s.Push.clone()
		s.Sign(call, secret)
		_, err := platform.Verify(call.Header, []byte(call.Body))
		wantDenied(t, err)
	}
	_, err := platform.Verify(s.Push.Header, []byte(s.Push.Body))
	wantDenied(t, err)
}

// verifyOff makes sure that a platform without a secret accepts nothing, the empty secret included.
func (s Subject) verifyOff(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {""}} {
		platform := s.New(t, Setup{Secrets: secrets})
		call := s.Push.clone()
		s.Sign(call, "")
		_, err := platform.Verify(call.Header, []byte(call.Body))
		wantDenied(t, err)
		if !strings.Contains(err.Error(), "off") {
			t.Errorf("want an error that says that the platform is off, got %v", err)
		}
	}
}

func wantDenied(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrDenied) {
		t.Fatalf("want core.ErrDenied, got %v", err)
	}
	if strings.Contains(err.Error(), Secret) {
		t.Errorf("the error repeats the secret: %v", err)
	}
}

func (s Subject) parse(t *testing.T) {
	t.Parallel()
	platform := s.platform(t, "")
	delivery, err := platform.Parse(s.Push.Header, []byte(s.Push.Body))
	if err != nil {
		t.Fatal(err)
	}
	push, ok := delivery.Event.(core.Push)
	if !ok || push.CommitSHA != SHA || push.Branch() != "main" || push.Project.Name != "acme/widgets" {
		t.Errorf("want a push of %s to main of acme/widgets, got %+v", SHA, delivery.Event)
	}
	if delivery.Project != "acme/widgets" || delivery.ReceivedAt.IsZero() || delivery.Platform == "" {
		t.Errorf("want a delivery of acme/widgets with a time and its platform, got %+v", delivery)
	}
	unknown := s.Push.clone()
	unknown.Header.Set(s.EventHeader, "invented yesterday")
	delivery, err = platform.Parse(unknown.Header, []byte(unknown.Body))
	if ignored, ok := delivery.Event.(core.Ignored); err != nil || !ok || ignored.Reason == "" {
		t.Errorf("an unknown event: want core.Ignored with a reason, got %+v, %v", delivery.Event, err)
	}
	if delivery.Project != "acme/widgets" {
		t.Errorf("an unknown event: want its project, got %q", delivery.Project)
	}
}

func (s Subject) parseRefuses(t *testing.T) {
	t.Parallel()
	platform := s.platform(t, "")
	for _, body := range []string{"", "null", "[]", `"text"`, "1", "{", "{} {}", `{"a":1,}`, "{}"} {
		if _, err := platform.Parse(s.Push.Header, []byte(body)); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%q: want core.ErrInvalid, got %v", body, err)
		}
	}
	nameless := s.Push.clone()
	nameless.Header.Del(s.EventHeader)
	if _, err := platform.Parse(nameless.Header, []byte(nameless.Body)); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("without %s: want core.ErrInvalid, got %v", s.EventHeader, err)
	}
}

func (s Subject) keys(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, id := range []string{"", "1", "2"} {
		call := s.Push.clone()
		call.Header.Del(s.IDHeader)
		if id != "" {
			call.Header.Set(s.IDHeader, id)
		}
		key := s.key(t, call)
		if key == "" || key != s.key(t, call) {
			t.Errorf("id %q: want the same key each time, got %q", id, key)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("ids %q and %q share the key %s", id, other, key)
		}
		seen[key] = id
	}
}

func (s Subject) key(t testing.TB, call Call) string {
	delivery, err := s.platform(t, "").Parse(call.Header, []byte(call.Body))
	if err != nil {
		t.Fatal(err)
	}
	return delivery.Key
}

// CheckParsed is what holds for every outcome of Parse, whatever the input: a clear error, or a delivery that is safe
// to store and to build addresses from.
func CheckParsed(t testing.TB, delivery core.Delivery, err error) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, core.ErrInvalid) {
			t.Fatalf("want core.ErrInvalid, got %v", err)
		}
		return
	}
	if delivery.Key == "" || delivery.Name == "" || delivery.Event == nil {
		t.Fatalf("want key, name and event, got %+v", delivery)
	}
	switch event := delivery.Event.(type) {
	case core.Push:
		checkSafe(t, event.Project, event.CommitSHA, event.Ref)
		if event.Deleted != (event.CommitSHA == "") {
			t.Errorf("want a commit exactly where the ref is not deleted, got %+v", event)
		}
	case core.ObservedStatus:
		checkSafe(t, event.Project, event.CommitSHA, event.Context)
		if event.ID <= 0 || event.CommitSHA == "" {
			t.Errorf("want a number and a commit, got %+v", event)
		}
	case core.Pipeline:
		checkSafe(t, event.Project, event.CommitSHA, event.Branch)
		if event.Duration != nil && *event.Duration < 0 || event.ArtifactBytes != nil && *event.ArtifactBytes < 0 {
			t.Errorf("want no negative measures, got %+v", event)
		}
	}
}

func checkSafe(t testing.TB, project core.Project, commit, ref string) {
	t.Helper()
	if commit != "" && !core.IsCommitSHA(commit) {
		t.Errorf("%q is no commit", commit)
	}
	if err := platforms.CheckProject(project.Name); err != nil {
		t.Error(err)
	}
	if ref != platforms.Clean(ref) {
		t.Errorf("%q is not safe to store", ref)
	}
}
