package platforms

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

const (
	callTimeout  = 15 * time.Second // GitLab waits up to 10 s for the lock of a commit's status
	maxRedirects = 5
)

// NewClient makes the HTTP client for calls to a platform from base, or from nothing. It reads at most 16 MiB of an
// answer. It follows a redirect only within the same host and with the same method: another host would receive the
// token, and a POST that became a GET would look like a success. While a rate limit holds it makes no call and returns
// RateLimited, so all calls to a platform should share one client.
func NewClient(base *http.Client) *http.Client {
	client := http.Client{}
	if base != nil {
		client = *base
	}
	if client.Timeout == 0 {
		client.Timeout = callTimeout
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = &throttledTransport{base: boundedTransport{base: client.Transport}}
	client.CheckRedirect = func(next *http.Request, earlier []*http.Request) error {
		first := earlier[0]
		if next.Context().Value(withoutRedirects{}) != nil {
			return http.ErrUseLastResponse
		}
		same := next.URL.Host == first.URL.Host && next.URL.Scheme == first.URL.Scheme && next.Method == first.Method
		if same && len(earlier) < maxRedirects {
			return nil
		}
		return http.ErrUseLastResponse
	}
	return &client
}

type withoutRedirects struct{}

// WithoutRedirects marks calls that must reach exactly the project that they name: a client of NewClient follows no
// redirect. The old name of a moved project keeps redirecting, and its new owner may be somebody else.
func WithoutRedirects(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutRedirects{}, true)
}

// Excerpt is the part of a platform's answer that may stand in an error: short, printable and without the given secret.
func Excerpt(answer, secret string) string {
	if secret != "" {
		answer = strings.ReplaceAll(answer, secret, "[token]")
	}
	return core.Truncate(Clean(answer))
}
