package platformtest

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

func (s Subject) verify(t *testing.T) {
	t.Parallel()
	platform := s.platform(t, "")
	for _, secret := range []string{Secret, "an older secret"} {
		call := s.Push.clone()
		s.Sign(call, secret)
		if _, err := platform.Verify(call.Header, []byte(call.Body)); err != nil {
			t.Errorf("want %q to be accepted, got %v", secret, err)
		}
	}
	for _, secret := range []string{"", "another secret", strings.ToUpper(Secret), Secret + " "} {
		call := s.Push.clone()
		s.Sign(call, secret)
		_, err := platform.Verify(call.Header, []byte(call.Body))
		wantDenied(t, err)
	}
	_, err := platform.Verify(s.Push.Header, []byte(s.Push.Body))
	wantDenied(t, err)
}

// verifyOff makes sure that a platform without a secret accepts nothing, the empty secret included.
func (s Subject) verifyOff(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {""}} {
		platform := s.New(t, Setup{Secrets: secrets})
		call := s.Push.clone()
		s.Sign(call, "")
		_, err := platform.Verify(call.Header, []byte(call.Body))
		wantDenied(t, err)
		if !strings.Contains(err.Error(), "off") {
			t.Errorf("want an error that says that the platform is off, got %v", err)
		}
	}
}

func wantDenied(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrDenied) {
		t.Fatalf("want core.ErrDenied, got %v", err)
	}
	if strings.Contains(err.Error(), Secret) {
		t.Errorf("the error repeats the secret: %v", err)
	}
}
