package platforms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

func TestCheckProject(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"acme/widgets": true, "a/b/c/d": true, "größe/文字": true, "acme/.github": true, "a_b/c-d.e": true,
		strings.Repeat("a", 500): true, strings.Repeat("a", 501): false, "": false, "/a": false, "a/": false, "a//b": false,
		"a/..": false, "a/./b": false, "../b": false, "a/b..c": true, "acme/kernel.msm-4..14": true, "acme/...": true, "a b/c": false, "a\x00/b": false, "a\n/b": false, "a/b?c": false,
		"a/b#c": false, "a/b%2f": false, "a\\b": false, "user@host:a/b": false, "a/\xff": false, "a/\u202e": false,
	} {
		err := platforms.CheckProject(path)
		if got := err == nil; got != want {
			t.Errorf("%.30q: want %t, got %v", path, want, err)
		}
		if err != nil && !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%.30q: want core.ErrInvalid, got %v", path, err)
		}
	}
}

func TestDeliveryKeyIsStorable(t *testing.T) {
	t.Parallel()
	if got := platforms.DeliveryKey("7", "guid"); got != "7/guid" {
		t.Errorf("want 7/guid, got %s", got)
	}
	for _, part := range []string{strings.Repeat("x", 300), "a b", "ü", "\xff"} {
		key := platforms.DeliveryKey("7", part)
		if !strings.HasPrefix(key, "sha256/") || key == platforms.DeliveryKey("8", part) {
			t.Errorf("%.20q: want a hash of its own, got %s", part, key)
		}
	}
}

func TestWebAddressTakesNoOthers(t *testing.T) {
	t.Parallel()
	for stated, want := range map[platforms.Text]string{
		"https://example.com/a": "https://example.com/a", "http://10.0.0.1:3000/a": "http://10.0.0.1:3000/a",
		"": "fallback", "ssh://git@example.com/a": "fallback", "javascript:alert(1)": "fallback", "//example.com": "fallback",
		"https://user:secret@example.com/": "fallback", "https:///a": "fallback", "http://[::1": "fallback",
	} {
		if got := platforms.WebAddress(stated, "fallback"); got != want {
			t.Errorf("%s: want %s, got %s", stated, want, got)
		}
	}
}

func TestParseBase(t *testing.T) {
	t.Parallel()
	base, err := platforms.ParseBase("https://example.com/sub/path//")
	if err != nil || base.String() != "https://example.com/sub/path" {
		t.Errorf("want the address without slashes at its end, got %v, %v", base, err)
	}
	for _, address := range []string{
		"", "example.com", "ftp://example.com", "https://", "https://a:hunter2@b", "https://a?b", "https://a#b",
		"https://a:hunter2@b:port",
	} {
		_, err := platforms.ParseBase(address)
		if !errors.Is(err, core.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: want core.ErrInvalid without the password, got %v", address, err)
		}
	}
}
