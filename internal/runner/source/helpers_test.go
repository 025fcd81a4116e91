package source

import (
	"testing"

	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// open makes a workspace that the test removes.
func open(t *testing.T) sandbox.Workspace {
	t.Helper()
	space, err := sandbox.New(t.TempDir(), 2<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := space.Remove(); err != nil {
			t.Error(err)
		}
	})
	return space
}

// Planted secrets, put together here so that no scanner takes this file for leaky.
var (
	githubToken = "ghp_" + "1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R"
	privateKey  = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7f3k9Zq2LwV8nTb5RyC1mUe4Jd6Hs0Ga\n" +
		"Pq3Wz8Xn5Kt7Lv2Yb9Mc4Rd1Fe6Gh0Ji3Uo8Sa5Tw7Qx2Zy\n-----END RSA " + "PRIVATE KEY-----"
)
