// Package platformtest is what every platform must do, as a suite that the adapters' own tests run, and the tools that
// they share: recorded payloads of others, the official API descriptions as judge of each call, goldens.
package platformtest

import (
	"context"
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

// Run holds the subject to the port.
func Run(t *testing.T, subject Subject) {
	t.Run("verify", subject.verify)
	t.Run("verify without secrets", subject.verifyOff)
	t.Run("parse", subject.parse)
	t.Run("parse refuses", subject.parseRefuses)
	t.Run("deliveries are told apart", subject.keys)
	t.Run("remote", subject.remote)
	t.Run("post without token", subject.postWithoutToken)
	t.Run("post refuses what names nothing", subject.postRefuses)
	t.Run("post faults", subject.faults)
	t.Run("post within deadline", subject.deadline)
	t.Run("one limit for all calls", subject.throttled)
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
