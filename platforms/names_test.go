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
