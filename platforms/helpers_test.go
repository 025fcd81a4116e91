package platforms_test

import (
	"io"
	"net/http"
	"strings"
)

// answering answers every call with 403 and a body.
type answering struct{ body string }

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}
