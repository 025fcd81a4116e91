package httpx

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
)

// firstRead is what a request gets before it has sent anything, in bytes. Most webhooks' bodies are not much larger.
const firstRead = 8 << 10

// Read reads a request's body whole, and never further than there is a place for it; the caller leaves the place when
// nothing refers to the body any more. A sender gets limit for the beginning, and again when it has a larger place.
//
// Errors are those of Grow, and core.ErrInvalid for a body that ended early or came too slowly.
func (p *Place) Read(w http.ResponseWriter, r *http.Request, limit time.Duration) (body []byte, err error) {
	largest := p.bodies.largest()
	if r.ContentLength > largest {
		return nil, p.Grow(r.Context(), r.ContentLength)
	}
	connection := http.NewResponseController(w)
	p.cut = func() { _ = connection.SetReadDeadline(time.Now()) }
	defer func() {
		p.arrived()
		if err != nil {
			LeaveUnread(w)
			return
		}
		_ = connection.SetReadDeadline(time.Time{}) // one that passes later ends the request's context
	}()
	source := http.MaxBytesReader(w, r.Body, largest)
	size := int64(firstRead)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	for whole := false; ; size = p.nextSize(r.ContentLength) {
		if err := p.Grow(r.Context(), min(size, largest)); err != nil {
			return nil, err
		}
		_ = connection.SetReadDeadline(time.Now().Add(limit)) // fails in tests without a connection only
		if body, whole, err = p.fill(body, source, int(size)); err != nil {
			return nil, bodyError(err)
		}
		if whole || int64(len(body)) == r.ContentLength {
			return body, nil
		}
	}
}

// CheckAddress is core.ErrInvalid for a path or query that holds what no database stores, or that cannot be read.
func CheckAddress(address *url.URL) error {
	if err := core.CheckText("the path", address.Path); err != nil {
		return err
	}
	query, err := url.ParseQuery(address.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: the query cannot be read: %w", core.ErrInvalid, err)
	}
	return CheckValues(query)
}

// CheckValues is CheckAddress for the fields of a query or form.
func CheckValues(fields url.Values) error {
	for name, values := range fields {
		for _, text := range append(values, name) {
			if err := core.CheckText(fmt.Sprintf("the field %.40q", name), text); err != nil {
				return err
			}
		}
	}
	return nil
}

// unreadTime is how long the rest of a body that nobody wants may take to arrive.
const unreadTime = 2 * time.Second

// LeaveUnread is for a request that is answered before its body has been read to the end: net/http reads on before it
// answers, and would wait for a sender that stalls as long as he likes.
func LeaveUnread(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTime)) // fails in tests only, as above
}

// nextSize is as far as a body that goes on may be read: to the end that it has declared, or through the next class
// and, after the last one, to the byte that is too much.
func (p *Place) nextSize(declared int64) int64 {
	if declared >= 0 {
		return declared
	}
	if next := p.class + 1; next < len(p.bodies.classes) {
		return p.bodies.classes[next].UpTo
	}
	return p.bodies.largest() + 1
}

// fill reads on until body has size bytes or, whole then, its end has come.
func (p *Place) fill(body []byte, source io.Reader, size int) (filled []byte, whole bool, err error) {
	body = slices.Grow(body, size-len(body))
	for len(body) < size && err == nil {
		var n int
		n, err = p.arrival.Read(source, body[len(body):size])
		body = body[:len(body)+n]
	}
	if errors.Is(err, io.EOF) {
		return body, true, nil
	}
	return body, false, err
}

func bodyError(err error) error {
	tooLarge := new(http.MaxBytesError)
	switch {
	case errors.As(err, &tooLarge):
		return fmt.Errorf("%w: the body exceeds %d bytes", core.ErrTooLarge, tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: the body came too slowly: %w", core.ErrInvalid, err)
	}
	return fmt.Errorf("%w: the body ended early: %w", core.ErrInvalid, err)
}
