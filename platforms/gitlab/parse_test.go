package gitlab_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestParseGoldens(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{URL: "http://git.example.com:8080/gitlab"})
	platformtest.ParseGoldens(t, platform, func(event string) http.Header {
		header := headerOf(eventOf(event))
		header.Set("Idempotency-Key", "key")
		return header
	})
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

// Without an id of its own, a call is the same one if its event is: a branch that goes the same way twice sends the same bytes.
func TestDeliveryKeyOfOldServers(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	key := func(event, attempt, body string) string {
		header := headerOf("Push Hook")
		header.Set("X-Gitlab-Event-Uuid", event)
		header.Set("X-Gitlab-Webhook-Uuid", attempt)
		delivery, _ := platform.Parse(header, []byte(body))
		return delivery.Key
	}
	first := key("13792a34-cac6-4fda-95a8-c58e00a3954e", "1", "{}")
	if again := key("13792a34-cac6-4fda-95a8-c58e00a3954e", "2", "{}"); again != first {
		t.Errorf("the next attempt: %s, want %s", again, first)
	}
	for _, other := range []string{
		key("7f2c3b52-1c5e-4d0c-9f0e-5ca4a0000001", "3", "{}"), key("13792a34-cac6-4fda-95a8-c58e00a3954e", "4", "{ }"),
	} {
		if other == first || !strings.HasPrefix(other, "sha256/") {
			t.Errorf("another event: %s", other)
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
	for _, payload := range platformtest.Payloads(f) {
		f.Add(eventOf(payload.Event), payload.Body)
	}
	platform := newPlatform(f, platforms.Config{URL: "http://git.example.com:8080/gitlab"})
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		delivery, err := platform.Parse(http.Header{"X-Gitlab-Event": {event}}, body)
		platformtest.CheckParsed(t, delivery, err)
	})
}

// What is kept of a call says the same as the call, also where it says things twice: it was authorized as it came.
func TestKeptCallsAreReadAsTheyCame(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	const run = `"object_kind":"pipeline","object_attributes":{"id":7,"sha":"` + platformtest.SHA + `","variables":[{"value":"hunter2"}]}`
	for name, projects := range map[string]string{
		"a spelling that comes last":  `"project":{"id":99,"path_with_namespace":"acme/widgets"},"Project":{"id":null}`,
		"a name that comes twice":     `"project":{"id":99,"path_with_namespace":"acme/admin"},"project":{"path_with_namespace":"acme/widgets"}`,
		"an id in one, a path in two": `"project":{"id":99},"PROJECT":{"path_with_namespace":"acme/widgets"},"project_id":0`,
	} {
		for _, event := range []string{"Pipeline Hook", "System Hook"} {
			body := []byte("{" + run + "," + projects + "}")
			came, err := platform.Parse(headerOf(event), body)
			if err != nil {
				t.Fatal(err)
			}
			header, kept := platform.Keep(headerOf(event), body)
			read, err := platform.Parse(header, kept)
			if came.Key, read.Key = "", ""; err != nil || !cmp.Equal(came, read) {
				t.Errorf("%s, %s: %s, %v", name, event, cmp.Diff(came, read), err)
			}
			if strings.Contains(string(kept), "hunter2") {
				t.Errorf("%s, %s: kept %s", name, event, kept)
			}
		}
	}
}

// Whatever a body looks like, what is kept of it has no variables, or there is nothing of it.
func TestVariablesAreNotKept(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	for body, want := range map[string]string{
		` { "object_attributes" : {"id":1, "variables" : ["secret"] , "x":[2]} , "z":null } `: ` { "object_attributes" : {"id":1, "variables" : []         , "x":[2]} , "z":null } `,
		`{"OBJECT_attributes":{"variable\u0073":"s"},"object_attributes":{"Variables":{}}}`:   `{"OBJECT_attributes":{"variable\u0073":[] },"object_attributes":{"Variables":[]}}`,
		`{"object_attributes":{"variables":null,"variables":7},"variables":[1]}`:              `{"object_attributes":{"variables":[]  ,"variables":7},"variables":[1]}`,
		`{"object_attributes":[{}],"object_attributes":null}`:                                 `{"object_attributes":[{}],"object_attributes":null}`,
		`{}`:     `{}`,
		`{} {}`:  ``,
		`[{}]`:   ``,
		`{"a":}`: ``,
		`{"object_attributes":{"variables":["secret"]}`: ``,
		``: ``,
	} {
		if _, kept := platform.Keep(headerOf("Pipeline Hook"), []byte(body)); string(kept) != want {
			t.Errorf("%s: kept %s, want %s", body, kept, want)
		}
	}
}
