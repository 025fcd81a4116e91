package platforms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

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

func TestAddressesOfWebhooks(t *testing.T) {
	t.Parallel()
	const ours = "https://scan.example.com/sub/webhooks/github"
	tests := map[string]struct {
		same       bool
		own, shown string
	}{
		ours:       {true, ours, ours},
		ours + "/": {true, ours, ours + "/"},
		"http://Scan.Example.com:80/sub/webhooks/github": {true, ours, "http://Scan.Example.com:80/sub/webhooks/github"},
		"https://scan.example.com:443/sub/webhooks/github": {
			true, ours, "https://scan.example.com:443/sub/webhooks/github",
		},
		"https://ci:hunter2@scan.example.com/sub/webhooks/github": {
			true, "https://ci:hunter2@scan.example.com/sub/webhooks/github",
			"https://ci:xxxxx@scan.example.com/sub/webhooks/github",
		},
		"https://scan.example.com/sub/webhooks/ghes":        {own: ours, shown: "https://scan.example.com/sub/webhooks/ghes"},
		"https://scan.example.com/webhooks/github":          {own: ours, shown: "https://scan.example.com/webhooks/github"},
		"https://scan.example.com:8443/sub/webhooks/github": {own: ours, shown: "https://scan.example.com:8443/sub/webhooks/github"},
		"https://scan.example.com/sub/webhooks/github?x=y":  {own: ours, shown: "https://scan.example.com/sub/webhooks/github?x=y"},
		"https://evil.example.com/sub/webhooks/github":      {own: ours, shown: "https://evil.example.com/sub/webhooks/github"},
		"https://scan.example.com.evil/sub/webhooks/github": {own: ours, shown: "https://scan.example.com.evil/sub/webhooks/github"},
		"://": {own: ours, shown: "an address that cannot be read"},
	}
	for found, test := range tests {
		if got := platforms.SameAddress(found, ours); got != test.same {
			t.Errorf("%s: same %v", found, got)
		}
		if got := platforms.OwnAddress(found, ours); got != test.own {
			t.Errorf("%s: own %s", found, got)
		}
		if got := platforms.ShownAddress(found); got != test.shown {
			t.Errorf("%s: shown %s", found, got)
		}
	}
}
