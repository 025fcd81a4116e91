package platforms_test

import (
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

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
