package platforms

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

const (
	callTimeout = 15 * time.Second // GitLab waits up to 10 s for the lock of a commit's status
	maxAnswer   = 16 << 20         // bytes read of one answer; comparisons of commits carry patches
)

// NewClient is the HTTP client for calls to a platform, made from base or from nothing. It reads at most 16 MiB of an
// answer, and follows a redirect only within the same host and with the same method: elsewhere it would carry the
// token along, and a POST that became a GET would look like a success. While the platform wants to be left alone, it
// makes no call and answers RateLimited: use one client for all calls to a platform.
func NewClient(base *http.Client) *http.Client {
	client := http.Client{Timeout: callTimeout}
	if base != nil {
		client = *base
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = &quietTransport{base: boundedTransport{base: client.Transport}}
	client.CheckRedirect = func(next *http.Request, earlier []*http.Request) error {
		first := earlier[0]
		if stays(next.Context()) {
			return http.ErrUseLastResponse
		}
		same := next.URL.Host == first.URL.Host && next.URL.Scheme == first.URL.Scheme && next.Method == first.Method
		if same && len(earlier) < 5 {
			return nil
		}
		return http.ErrUseLastResponse
	}
	return &client
}

type staying struct{}

// Stay marks calls that must reach the project that they name, or nobody: a client of NewClient follows no redirect.
// The name of a project that was moved leads to it for ever, and the name's owner can be another one by then.
func Stay(ctx context.Context) context.Context { return context.WithValue(ctx, staying{}, true) }

func stays(ctx context.Context) bool { return ctx.Value(staying{}) != nil }

type boundedTransport struct{ base http.RoundTripper }

func (t boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	request, refused := withRefusal(request)
	response, err := t.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Request = request
	if response.StatusCode >= http.StatusBadRequest {
		refused.keep(response)
		return response, nil
	}
	response.Body = boundedBody{Reader: io.LimitReader(response.Body, maxAnswer), Closer: response.Body}
	return response, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}

// closingBody does something more when it is closed.
type closingBody struct {
	io.ReadCloser
	then func()
}

func (b *closingBody) Close() error {
	defer b.then()
	return b.ReadCloser.Close()
}

// Excerpt is what of a platform's answer may stand in an error: short, printable and without the given secret.
func Excerpt(answer, secret string) string {
	if secret != "" {
		answer = strings.ReplaceAll(answer, secret, "[token]")
	}
	return core.Truncate(Clean(answer))
}
