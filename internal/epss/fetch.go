package epss

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/scanhook/scanhook/core"
)

const (
	fetchTimeout = 5 * time.Minute // the whole of a list, 3 MB packed
	maxETag      = 200
	maxRedirects = 5
)

// errNotModified: the server says that the edition stored is still the current one.
var errNotModified = errors.New("not modified")

// checkRedirect keeps what was asked for over TLS on TLS.
func checkRedirect(next *http.Request, before []*http.Request) error {
	if before[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return fmt.Errorf("%s redirects to an address without https", before[0].URL.Host)
	}
	if len(before) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// fetchKind gets a list of one kind from its address. errNotModified when it is the stored edition.
func (i *Importer) fetchKind(ctx context.Context, kind core.FeedKind, stored core.FeedImport) (core.Feed, error) {
	address, etag := i.URLs[kind], ""
	if stored.Source == address {
		etag = stored.ETag
	}
	feed, err := i.fetch(ctx, address, etag)
	if err != nil {
		return core.Feed{}, err
	}
	if feed.Kind != kind {
		return core.Feed{}, fmt.Errorf("fetching %s: %w: it is a list of %s where one of %s is configured",
			address, core.ErrInvalid, feed.Kind, kind)
	}
	return feed, nil
}

// fetch reads a list from an http(s) address. etag, when not empty, is that of an edition already known.
func (i *Importer) fetch(ctx context.Context, address, etag string) (core.Feed, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return core.Feed{}, fmt.Errorf("fetching list: %w", err)
	}
	request.Header.Set("User-Agent", "scanhook")
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := i.Client.Do(request)
	if err != nil {
		return core.Feed{}, fmt.Errorf("fetching list: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode == http.StatusNotModified && etag != "":
		return core.Feed{}, errNotModified
	case response.StatusCode != http.StatusOK:
		return core.Feed{}, fmt.Errorf("fetching %s: the server answers %s", request.URL.Redacted(), response.Status)
	}
	feed, err := Read(response.Body)
	if err != nil {
		return core.Feed{}, fmt.Errorf("reading %s: %w", request.URL.Redacted(), err)
	}
	feed.Source, feed.ETag = address, response.Header.Get("ETag")
	if len(feed.ETag) > maxETag {
		feed.ETag = ""
	}
	return feed, nil
}
