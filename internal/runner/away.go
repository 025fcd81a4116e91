package runner

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

// knockTimeout is how long a git server has to say anything at all.
const knockTimeout = 10 * time.Second

// isAway tells whether a git server is out of reach or broken, and will be back, or refuses us for good. Git exits alike
// for both.
func isAway(ctx context.Context, remote platforms.Remote) bool {
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, remote.URL+"/info/refs?service=git-upload-pack", nil)
	if err != nil {
		return false
	}
	if remote.Authorization != "" {
		request.Header.Set("Authorization", remote.Authorization)
	}
	response, err := http.DefaultTransport.RoundTrip(request) // follows no redirect with the credential
	if err != nil {
		return !errors.As(err, new(*tls.CertificateVerificationError))
	}
	defer response.Body.Close()
	return response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests
}
