package gitea_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestParseGoldens(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{URL: "https://git.example.com/sub"})
	platformtest.ParseGoldens(t, platform, func(event string) http.Header {
		header := headerOf(event)
		header.Set("X-Gitea-Delivery", "guid")
		return header
	})
}

const tinyPush = `{"ref":"refs/heads/main","after":"` + platformtest.SHA + `","repository":{"full_name":"acme/widgets"}}`

// A platform that was configured as a GitHub gets the same deliveries under the same keys.
func TestCopiedHeaders(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{WebhookSecrets: []string{"secret"}})
	header := http.Header{}
	header.Set("X-GitHub-Event", "push")
	header.Set("X-GitHub-Delivery", "guid")
	header.Set("X-GitHub-Hook-Installation-Target-Type", "repository")
	header.Set("X-Hub-Signature-256", "sha256="+ghapi.Sign("secret", []byte(tinyPush)))
	if _, err := platform.Verify(header, []byte(tinyPush)); err != nil || !platform.Signed(header) {
		t.Errorf("not verified: %v", err)
	}
	delivery, err := platform.Parse(header, []byte(tinyPush))
	if err != nil || delivery.Key != "delivery/guid" || delivery.Name != "push" {
		t.Errorf("delivery %+v, %v", delivery, err)
	}
}

func TestVerifyRefusesWeakSignatures(t *testing.T) {
	t.Parallel()
	right := ghapi.Sign("secret", []byte("{}"))
	tests := map[string]struct{ name, value string }{
		"without a secret": {"X-Hub-Signature-256", "sha256="},
		"another hash":     {"X-Hub-Signature-256", "sha1=" + right},
		"cut short":        {"X-Gitea-Signature", right[:len(right)-2]},
		"with a prefix":    {"X-Gitea-Signature", "sha256=" + right},
		"no hex":           {"X-Gitea-Signature", strings.Repeat("z", 64)},
		"older header":     {"X-Hub-Signature", right},
	}
	platform := newPlatform(t, platforms.Config{WebhookSecrets: []string{"secret"}})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			header.Set(test.name, test.value)
			if _, err := platform.Verify(header, []byte("{}")); !errors.Is(err, core.ErrDenied) {
				t.Errorf("want core.ErrDenied, got %v", err)
			}
		})
	}
}

// The API numbers statuses otherwise: compared with the number of a post, our own status would look like a stranger's.
func TestStatusEventHasNoNumber(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	delivery, err := platform.Parse(headerOf("status"), []byte(`{"id":57,"sha":"`+platformtest.SHA+
		`","context":"scanhook","state":"pending","repository":{"full_name":"acme/widgets"},"sender":{"login":"scanhook"}}`))
	seen, used := delivery.Event.(core.ObservedStatus)
	if err != nil || !used || seen.ID != 0 || seen.State != core.StatusPending || delivery.Project != "acme/widgets" {
		t.Errorf("delivery %+v, %v", delivery, err)
	}
}

// Of a branch that is deleted or renamed, Gitea sends no push.
func TestBranchesThatComeAndGo(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 40)
	for body, want := range map[string]core.Push{
		`create {"sha":"` + platformtest.SHA + `","ref":"feature/a","ref_type":"branch"`: {
			Ref: "refs/heads/feature/a", Before: zeros, After: platformtest.SHA, CommitSHA: platformtest.SHA, Created: true,
		},
		`delete {"ref":"feature/a","ref_type":"branch"`:                        {Ref: "refs/heads/feature/a", Deleted: true},
		`create {"sha":"` + platformtest.SHA + `","ref":"v1","ref_type":"tag"`: {},
		`create {"sha":"","ref":"main","ref_type":"branch"`:                    {},
		`delete {"ref":"v1","ref_type":"tag"`:                                  {},
	} {
		name, body, _ := strings.Cut(body, " ")
		platform := newPlatform(t, platforms.Config{})
		delivery, err := platform.Parse(headerOf(name), []byte(body+`,"repository":{"full_name":"acme/widgets"}}`))
		if err != nil || delivery.Project != "acme/widgets" {
			t.Fatalf("%s: %+v, %v", body, delivery, err)
		}
		push, _ := delivery.Event.(core.Push)
		push.Project = core.Project{}
		if push != want {
			t.Errorf("%s: %+v, want %+v", body, push, want)
		}
	}
}
