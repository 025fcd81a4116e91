package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// callTimeout is GitHub's and GitLab.com's own.
const callTimeout = 10 * time.Second

// Call makes one request as the platforms make theirs: it follows no redirect. An answer of any status is no error; so many
// bytes of it are returned.
func Call(ctx context.Context, method, address string, header http.Header, body []byte, most int64) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if header != nil {
		request.Header = header
	}
	client := http.Client{
		Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, most))
	return response.StatusCode, answer, err
}
