// Package epss keeps what is known about the exploitation of vulnerabilities up to date: the daily scores of EPSS and
// CISA's catalog of known exploited vulnerabilities (KEV). Both are read from files or fetched on a schedule. After each
// import the heads of default branches are judged again.
package epss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store"
)

const (
	lookEvery    = 10 * time.Minute // between two looks at the schedule, and so before a failed fetch is tried again
	fetchTimeout = 5 * time.Minute  // of a whole list, 3 MB compressed
	maxETag      = 200              // bytes
	maxRedirects = 5
)

// errNotModified means that the server still has the edition that is stored.
var errNotModified = errors.New("not modified")

// Config holds what the importer needs.
type Config struct {
	Store  *store.Store
	URLs   map[core.FeedKind]string // where the lists are fetched from, http(s); a missing or empty one is not fetched
	Asked  []core.FeedKind          // lists that some gate asks for
	Every  time.Duration            // between two fetches of a list
	Client *http.Client             // one with a time-out when nil
	Log    *slog.Logger
	Now    func() time.Time // time.Now when nil
}

// Importer imports lists.
type Importer struct{ Config }

// New returns an importer. Run makes it fetch on the schedule.
func New(cfg Config) *Importer {
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: fetchTimeout, CheckRedirect: checkRedirect}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Importer{cfg}
}

// checkRedirect refuses to leave TLS for plain HTTP.
func checkRedirect(next *http.Request, before []*http.Request) error {
	if before[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return fmt.Errorf("%s redirects to an address without https", before[0].URL.Host)
	}
	if len(before) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// Run fetches what is due until ctx ends, and finishes what an interrupted import left.
func (i *Importer) Run(ctx context.Context) {
	i.warnOfMissing(ctx)
	poll.Loop{Name: "epss", Every: lookEvery, Once: i.once, Log: i.Log}.Run(ctx)
}

// warnOfMissing logs which gates let everything pass because the list that they ask for was never imported.
func (i *Importer) warnOfMissing(ctx context.Context) {
	for _, kind := range i.Asked {
		_, err := i.Store.LatestFeed(ctx, kind)
		if errors.Is(err, core.ErrNotFound) && i.URLs[kind] == "" {
			i.Log.Warn("a gate asks for a list that was never imported: set epss.enabled, or run scanhook epss import",
				"list", kind)
		}
	}
}

// once never asks to be called again at once: what failed waits for the next look, and delays nothing else.
func (i *Importer) once(ctx context.Context) (worked bool, err error) {
	for _, kind := range []core.FeedKind{core.FeedEPSS, core.FeedKEV} {
		if i.URLs[kind] != "" {
			err = errors.Join(err, i.refresh(ctx, kind))
		}
	}
	_, again := i.reevaluate(ctx)
	return false, errors.Join(err, again)
}

// Result is what an import did.
type Result struct {
	Feed   core.Feed // without its scores
	Rows   int       // in the list
	Change core.FeedChange
	Turned int // commit statuses that changed because of it
}

// Import reads a list, whose format is recognized by its content, stores it in place of the one before, and judges heads
// again. source names it in messages. Errors wrap core.ErrInvalid, with the line, for anything that is no such list, and
// core.ErrConflict for an edition older than the one stored; nothing is imported then.
func (i *Importer) Import(ctx context.Context, source string, r io.Reader, options store.FeedOptions) (Result, error) {
	feed, err := Read(r)
	if err != nil {
		return Result{}, fmt.Errorf("reading %s: %w", source, err)
	}
	feed.Source = source
	return i.put(ctx, feed, options)
}

// ImportURL does the same with a list at an http(s) address.
func (i *Importer) ImportURL(ctx context.Context, address string, options store.FeedOptions) (Result, error) {
	feed, err := i.fetch(ctx, address, "")
	if err != nil {
		return Result{}, err
	}
	return i.put(ctx, feed, options)
}

func (i *Importer) put(ctx context.Context, feed core.Feed, options store.FeedOptions) (Result, error) {
	change, err := i.Store.PutFeed(ctx, feed, options)
	if err != nil {
		return Result{}, err
	}
	result := Result{Feed: feed, Rows: len(feed.Scores), Change: change}
	result.Feed.Scores = nil
	result.Turned, err = i.reevaluate(ctx)
	return result, err
}

func (i *Importer) reevaluate(ctx context.Context) (turned int, err error) {
	turned, err = i.Store.ReevaluateHeads(ctx)
	if turned > 0 {
		i.Log.Info("verdicts turned", "scans", turned)
	}
	return turned, err
}

// refresh fetches a list when the stored edition was checked too long ago.
func (i *Importer) refresh(ctx context.Context, kind core.FeedKind) error {
	stored, err := i.Store.LatestFeed(ctx, kind)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}
	if err == nil && i.Now().Before(stored.CheckedAt.Add(i.Every)) {
		return nil
	}
	feed, err := i.fetchKind(ctx, kind, stored)
	if errors.Is(err, errNotModified) {
		return i.Store.KeepFeed(ctx, stored.ID)
	}
	if err != nil {
		return err
	}
	result, err := i.put(ctx, feed, store.FeedOptions{})
	if errors.Is(err, core.ErrConflict) {
		i.Log.Warn("list not imported", "source", feed.Source, "error", err)
		return i.Store.KeepFeed(ctx, stored.ID)
	}
	if err == nil {
		i.Log.Info("list imported", "source", feed.Source, "rows", result.Rows, "added", result.Change.Added,
			"changed", result.Change.Changed, "removed", result.Change.Removed)
	}
	return err
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
