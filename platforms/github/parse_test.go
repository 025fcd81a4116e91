package github_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestParseGoldens(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{URL: "https://git.example.com/sub"})
	platformtest.ParseGoldens(t, platform, func(event string) http.Header {
		header := headerOf(event)
		header.Set("X-GitHub-Delivery", "guid")
		return header
	})
}

const tinyPush = `{"ref":"refs/heads/main","after":"` + platformtest.SHA + `",` +
	`"repository":{"full_name":"acme/widgets"}}`

func TestParseReadsForms(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	tests := map[string]struct {
		contentType, body string
		valid             bool
	}{
		"form":            {"application/x-www-form-urlencoded", url.Values{"payload": {tinyPush}}.Encode(), true},
		"form of utf-8":   {"application/x-www-form-urlencoded; charset=utf-8", "payload=" + url.QueryEscape(tinyPush), true},
		"empty form":      {"application/x-www-form-urlencoded", "", false},
		"form of another": {"application/x-www-form-urlencoded", "data=1", false},
		"json as form":    {"application/x-www-form-urlencoded", tinyPush, false},
		"json of utf-8":   {"application/json; charset=utf-8", tinyPush, true},
		"no content type": {"", tinyPush, true},
		"form as json":    {"application/json", "payload=" + url.QueryEscape(tinyPush), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := headerOf("push")
			header.Set("Content-Type", test.contentType)
			_, err := platform.Parse(header, []byte(test.body))
			if got := err == nil; got != test.valid {
				t.Errorf("want valid %t, got %v", test.valid, err)
			}
			if err != nil && !platformtest.IsInvalid(err) {
				t.Errorf("want core.ErrInvalid, got %v", err)
			}
		})
	}
}

func TestDeliveryKey(t *testing.T) {
	t.Parallel()
	const target = "X-GitHub-Hook-Installation-Target-"
	tests := map[string]struct {
		header map[string]string
		want   string
	}{
		"hook":   {map[string]string{"X-GitHub-Hook-ID": "7", target + "Type": "repository", target + "ID": "1"}, "7/guid"},
		"target": {map[string]string{target + "Type": "integration", target + "ID": "9"}, "integration/9/guid"},
		"none":   {map[string]string{target + "Type": "repository"}, "delivery/guid"},
	}
	platform := newPlatform(t, platforms.Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := headerOf("push")
			header.Set("X-GitHub-Delivery", "guid")
			for key, value := range test.header {
				header.Set(key, value)
			}
			delivery, err := platform.Parse(header, []byte(tinyPush))
			if err != nil || delivery.Key != test.want {
				t.Errorf("want %s, got %s, %v", test.want, delivery.Key, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, payload := range platformtest.Payloads(f) {
		f.Add(payload.Event, "application/json", payload.Body)
	}
	f.Add("push", "application/x-www-form-urlencoded", []byte("payload="+url.QueryEscape(tinyPush)))
	platform := newPlatform(f, platforms.Config{})
	f.Fuzz(func(t *testing.T, event, contentType string, body []byte) {
		header := http.Header{"Content-Type": {contentType}, "X-Github-Event": {event}}
		delivery, err := platform.Parse(header, body)
		platformtest.CheckParsed(t, delivery, err)
	})
}

func TestIgnoredSaysWhy(t *testing.T) {
	t.Parallel()
	platform := newPlatform(t, platforms.Config{})
	for event, want := range map[string]string{
		"ping": "the webhook works", "status": "results", "delete": "push event",
		"invented": "not used",
	} {
		delivery, err := platform.Parse(headerOf(event), []byte(`{"repository":{"full_name":"../.."}}`))
		ignored, ok := delivery.Event.(core.Ignored)
		if err != nil || !ok || !strings.Contains(ignored.Reason, want) || delivery.Project != "" {
			t.Errorf("%s: want a reason with %q and no project, got %+v, %v", event, want, delivery, err)
		}
	}
}
