package gitea_test

import (
	"net/url"
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitea"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestKind(t *testing.T) {
	t.Parallel()
	platformtest.RunKind(t, gitea.Kind(), platforms.Config{URL: "https://git.example.com"})
}

func TestClaims(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://git.example.com/api/v1": true, "https://git.example.com/sub/api/v1/": true,
		"https://api.github.com": false, "https://ghes.example.com/api/v3": false,
	} {
		api, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := gitea.Kind().Claims(api); got != want {
			t.Errorf("%s: %t, want %t", address, got, want)
		}
	}
}
