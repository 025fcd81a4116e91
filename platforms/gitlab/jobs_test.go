package gitlab_test

import (
	"net/url"
	"testing"

	"github.com/scanhook/scanhook/platforms/gitlab"
)

func TestIssuersOfJobTokens(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://gitlab.com", "https://example.com/gitlab"} {
		web, err := url.Parse(address + "/")
		if err != nil {
			t.Fatal(err)
		}
		if got := gitlab.Kind().Jobs.Issuer(web); got != address {
			t.Errorf("%s: %s", address, got)
		}
	}
}
