// Package remote is what commands share that talk to a running Scanhook, usually from a CI job: which server and which commit they
// are about, and what is known of its scan.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
)

const (
	firstPause   = time.Second
	longestPause = 8 * time.Second
	maxAnswer    = 8 << 20 // bytes that are read of an answer
)

// Client calls a running Scanhook. While that cannot be reached or asks to come again later, it tries again until a
// time; say receives what it waits for.
type Client struct {
	server  string
	token   Token
	version string // of this program
	until   time.Time
	say     io.Writer
	cause   string // of the next try
}

// Get fills out with the answer to GET of a path below /api/v1.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, func(body io.Reader) error { return decode(body, out) })
}

// Put sends what open returns, a new reader at each try, compressed with gzip.
func (c *Client) Put(ctx context.Context, path string, open func() (io.Reader, error), out any) error {
	return c.call(ctx, http.MethodPut, path, open, func(body io.Reader) error { return decode(body, out) })
}

// Download copies the answer to GET. With an error, out holds a part of it.
func (c *Client) Download(ctx context.Context, path string, out io.Writer) error {
	return c.call(ctx, http.MethodGet, path, nil, func(body io.Reader) error {
		if _, err := io.Copy(out, body); err != nil {
			return &cli.NoAnswer{Err: fmt.Errorf("reading the answer: %w", err)}
		}
		return nil
	})
}

func decode(body io.Reader, out any) error {
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return &cli.NoAnswer{Err: fmt.Errorf("reading the answer: %w", err)}
	}
	if err := json.Unmarshal(text, out); err != nil {
		return ErrNotScanhook
	}
	return nil
}

func (c *Client) call(ctx context.Context, method, path string, open func() (io.Reader, error), read func(io.Reader) error) error {
	request, err := c.request(ctx, method, path, open)
	if err != nil {
		return err
	}
	response, err := c.retrying().Do(request)
	if err != nil {
		return &cli.NoAnswer{Err: fmt.Errorf("%w: is that where Scanhook is reached? --server names another address", err)}
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 == 2 {
		return read(response.Body)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil {
		err = refused(response, body)
	}
	if causeOfStatus(response) != "" {
		return &cli.NoAnswer{Err: err}
	}
	return err
}

func (c *Client) request(ctx context.Context, method, path string, open func() (io.Reader, error)) (*retryablehttp.Request, error) {
	request, err := retryablehttp.NewRequestWithContext(ctx, method, c.server+"/api/v1"+path, nil)
	if err != nil {
		return nil, err
	}
	if err := c.authorize(request.Request); err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "scanhook/"+c.version)
	if open != nil {
		if err := request.SetBody(open); err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Content-Encoding", "gzip")
		request.Header.Set("Expect", "100-continue") // a refused token is answered before the report is on its way
	}
	return request, nil
}

// authorize puts the token into a request, a new one before another try where the first may have ended.
func (c *Client) authorize(request *http.Request) error {
	token, err := c.token(request.Context())
	if err == nil {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// retrying follows no redirect: it would turn the PUT into a GET, or carry the token elsewhere.
func (c *Client) retrying() *retryablehttp.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 2 * time.Minute // of storing, after the last byte
	return &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryWaitMin: firstPause, RetryWaitMax: longestPause, RetryMax: math.MaxInt, // the time is the limit
		CheckRetry: c.check, Backoff: c.pause, PrepareRetry: c.authorize, ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// check reports whether to try once more.
func (c *Client) check(ctx context.Context, response *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if c.cause = causeOfStatus(response); err != nil {
		c.cause = causeOfError(err)
	}
	return c.cause != "" && time.Now().Before(c.until), nil
}

// pause waits as long as the server asks for, else longer from try to try, and never beyond the time that is left. All
// jobs of a CI system would come back at once without the random part.
func (c *Client) pause(least, most time.Duration, tries int, response *http.Response) time.Duration {
	wait := max(retryablehttp.DefaultBackoff(least, most, tries, response), least)
	wait += rand.N(wait/4 + 1)
	wait = min(wait, time.Until(c.until))
	fmt.Fprintf(c.say, "%s; trying again in %s, until %s\n", cli.Printable(c.cause), wait.Round(time.Second/10),
		c.until.Format(time.TimeOnly))
	return max(wait, 0)
}

// causeOfStatus is empty for an answer that will be the same the next time.
func causeOfStatus(response *http.Response) string {
	if response == nil || !slices.Contains([]int{http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout}, response.StatusCode) {
		return ""
	}
	return fmt.Sprintf("the server answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
}

// causeOfError is empty for an error that stays: a name that does not exist, a certificate, our own report.
func causeOfError(err error) string {
	var (
		timeout   net.Error
		operation *net.OpError
		name      *net.DNSError
		call      *url.Error
	)
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return ""
	case errors.As(err, &timeout) && timeout.Timeout(), errors.As(err, &operation),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if errors.As(err, &call) {
			err = call.Err // without the address, which is long
		}
		return err.Error()
	}
	return ""
}

// refusal is an answer that is no success: a problem document (RFC 9457), or whatever a proxy says.
type refusal struct {
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// ErrNotScanhook is the error of an answer that another program gave.
var ErrNotScanhook = errors.New("the answer is not Scanhook's: does the address lead to it?")

func refused(response *http.Response, body []byte) error {
	if to := response.Header.Get("Location"); response.StatusCode/100 == 3 && to != "" {
		return fmt.Errorf("the server redirects to %s: give the address that does not", cli.Printable(to))
	}
	var problem refusal
	if err := json.Unmarshal(body, &problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("the server answered %d %s, and not as Scanhook does: does the address lead to it?",
			response.StatusCode, http.StatusText(response.StatusCode))
	}
	details := []string{problem.Detail}
	for _, e := range problem.Errors {
		details = append(details, strings.TrimSpace(e.Message+" "+e.Location))
	}
	return fmt.Errorf("the server answered %d: %s", response.StatusCode, cli.Printable(strings.Join(details, "; ")))
}
