package core_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestSecretName(t *testing.T) {
	t.Parallel()
	verification := core.Verification{Place: "webhook_secrets[1]", SecretID: "0a1b2c3d"}
	if got, want := verification.Secret(), "webhook_secrets[1] (0a1b2c3d)"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	if got := (core.Verification{}).Secret(); got != "" {
		t.Errorf("no verification: want no name, got %q", got)
	}
}
