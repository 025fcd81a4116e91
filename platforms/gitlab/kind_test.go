package gitlab_test

import (
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestKind(t *testing.T) {
	t.Parallel()
	platformtest.RunKind(t, gitlab.Kind(), platforms.Config{})
}

func TestSignWithASigningToken(t *testing.T) {
	t.Parallel()
	kind := gitlab.Kind()
	platform, err := kind.New(platforms.Config{Name: "gitlab", SigningTokens: []string{signing}})
	if err != nil {
		t.Fatal(err)
	}
	header, err := kind.Sign(platforms.Call{Event: "Push Hook", Body: []byte("{}"), SigningToken: signing})
	if err != nil {
		t.Fatal(err)
	}
	if verification, err := platform.Verify(header, []byte("{}")); err != nil || !verification.Signed {
		t.Errorf("verification %+v, %v", verification, err)
	}
	if _, err := kind.Sign(platforms.Call{SigningToken: "whsec_!"}); err == nil {
		t.Error("a broken signing token signs")
	}
}
