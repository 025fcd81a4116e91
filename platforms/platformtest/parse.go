package platformtest

import (
	"errors"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

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
