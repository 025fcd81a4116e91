package gitlab_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestParseGoldens(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{URL: "http://git.example.com:8080/gitlab"})
	for _, path := range goldens(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			header := headerOf(eventOf(path))
			header.Set("Idempotency-Key", "key")
			delivery, err := platform.Parse(header, body)
			if err != nil {
				t.Fatal(err)
			}
			platformtest.Golden(t, filepath.Base(path)+".golden", delivery)
		})
	}
}

func TestParseRefusesOtherBodies(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	const project = `"project":{"path_with_namespace":"acme/widgets"}`
	for name, test := range map[string]struct{ event, body string }{
		"another kind":     {"Push Hook", `{"object_kind":"issue",` + project + `}`},
		"custom template":  {"Pipeline Hook", `{"text":"a message for chat"}`},
		"no commit":        {"Pipeline Hook", `{"object_kind":"pipeline","object_attributes":{"id":1},` + project + `}`},
		"no ref":           {"Push Hook", `{"after":"` + platformtest.SHA + `",` + project + `}`},
		"path upwards":     {"Push Hook", `{"ref":"refs/heads/main","project":{"path_with_namespace":"acme/../admin"}}`},
		"comments in json": {"Note Hook", "{ // comment\n}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if delivery, err := platform.Parse(headerOf(test.event), []byte(test.body)); !platformtest.IsInvalid(err) {
				t.Errorf("want core.ErrInvalid, got %+v, %v", delivery, err)
			}
		})
	}
}

// The hook test of GitLab can send a payload of which the project is known by number only; a 4xx would count as a failure
// of the webhook.
func TestParseIgnoresWhatNamesItsProjectByNumberOnly(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	for event, body := range map[string]string{
		"Push Hook":     `{"object_kind":"push","ref":"refs/heads/main","after":"` + platformtest.SHA + `","project_id":15}`,
		"Tag Push Hook": `{"object_kind":"tag_push","project_id":15}`,
		"Pipeline Hook": `{"object_kind":"pipeline","object_attributes":{"id":1},"project":{"id":15}}`,
		"System Hook":   `{"event_name":"push","project_id":15}`,
	} {
		delivery, err := platform.Parse(headerOf(event), []byte(body))
		ignored, ok := delivery.Event.(core.Ignored)
		if err != nil || !ok || !strings.Contains(ignored.Reason, "number") || delivery.Project != "" {
			t.Errorf("%s: want it ignored with a reason, got %+v, %v", event, delivery, err)
		}
	}
}

func TestDeliveryKeyPrefersTheSignedID(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	header := headerOf("Note Hook")
	header.Set("X-Gitlab-Webhook-UUID", "changes with every attempt")
	hashed, err := platform.Parse(header, []byte("{}"))
	if err != nil || !strings.HasPrefix(hashed.Key, "sha256/") {
		t.Errorf("want a hash, got %s, %v", hashed.Key, err)
	}
	header.Set("Idempotency-Key", "b")
	header.Set("Webhook-Id", "a")
	if named, err := platform.Parse(header, []byte("{}")); err != nil || named.Key != "delivery/a" {
		t.Errorf("want delivery/a, got %s, %v", named.Key, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, path := range goldens(f) {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(eventOf(path), body)
	}
	platform := newPlatform(f, platforms.Config{URL: "http://git.example.com:8080/gitlab"})
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		delivery, err := platform.Parse(http.Header{"X-Gitlab-Event": {event}}, body)
		platformtest.CheckParsed(t, delivery, err)
	})
}
