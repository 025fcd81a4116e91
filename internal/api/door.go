package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/reports"
)

const (
	maxUpload   = 256 << 20 // bytes on the wire
	maxUnpacked = 512 << 20 // bytes
	maxResults  = 250_000
	maxRatio    = 800     // reports unpack to 10 to 30 times their size, the dullest to some 300; gzip ends at 1032
	freeRatio   = 4 << 20 // bytes that may be unpacked at any ratio
	perObject   = 500     // bytes in memory that three bytes of a report can make, those of an empty result
	uploadWait  = 30 * time.Second
)

// newUploads has a place for one large report at a time, and for so many small ones that a platform which is slow to
// tell a merge base keeps nobody out. Sizes are what a report can take in memory until it is stored.
func newUploads() *httpx.Bodies {
	return httpx.NewBodies(uploadWait,
		httpx.Class{UpTo: 64 << 10, AtOnce: 128}, httpx.Class{UpTo: 1 << 20, AtOnce: 16},
		httpx.Class{UpTo: 8 << 20, AtOnce: 4}, httpx.Class{UpTo: math.MaxInt64, AtOnce: 1})
}

// limits are those of the configuration, or our own.
func (a *API) limits() reports.Limits {
	limits := a.Limits
	limits.Verbatim = true
	if limits.MaxResults == 0 {
		limits.MaxResults = maxResults
	}
	if limits.MaxBytes == 0 {
		limits.MaxBytes = maxUnpacked
	}
	return limits
}

// readReport parses a report while it arrives, as fast as place allows.
func (a *API) readReport(ctx context.Context, in Upload, place *httpx.Place) (core.Report, error) {
	wire := &counter{source: http.MaxBytesReader(nil, io.NopCloser(in.reader), maxUpload)}
	reader, err := unpack(wire, in.encoding)
	if err != nil {
		return core.Report{}, err
	}
	entrance := &door{ctx: ctx, source: reader, wire: wire, place: place, digest: sha256.New()}
	report, err := reports.ParsePacked(entrance, a.limits())
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return core.Report{}, fmt.Errorf("%w: the upload exceeds %d bytes", core.ErrTooLarge, tooLarge.Limit)
	}
	report.Digest = hex.EncodeToString(entrance.digest.Sum(nil))
	return report, err
}

// door lets a report in as long as there is a place for what has come, and ends one that is a bomb.
type door struct {
	ctx      context.Context
	source   io.Reader
	wire     *counter
	place    *httpx.Place
	digest   hash.Hash // of what was unpacked
	unpacked int64
	objects  int64
}

// Read implements io.Reader.
func (d *door) Read(p []byte) (int, error) {
	n, err := d.source.Read(p)
	d.unpacked += int64(n)
	_, _ = d.digest.Write(p[:n]) // never fails
	d.objects += int64(bytes.Count(p[:n], []byte("{")))
	if d.unpacked > freeRatio && d.unpacked/maxRatio > d.wire.read {
		return 0, fmt.Errorf("%w: the report unpacks to more than %d times what was sent, which no report does",
			core.ErrTooLarge, maxRatio)
	}
	if crowded := d.place.Grow(d.ctx, d.unpacked+d.objects*perObject); crowded != nil {
		return 0, crowded
	}
	return n, err
}

// counter counts what has been read.
type counter struct {
	source io.Reader
	read   int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	c.read += int64(n)
	return n, err
}

func unpack(reader io.Reader, encoding string) (io.Reader, error) {
	switch encoding {
	case "", "identity":
		return reader, nil
	case "gzip":
		unzipped, err := gzip.NewReader(reader)
		if err != nil {
			return nil, fmt.Errorf("%w: the body is not gzip, though Content-Encoding says so: %w", core.ErrInvalid, err)
		}
		return unzipped, nil
	}
	return nil, fmt.Errorf("%w: Content-Encoding %q is not understood; send gzip or none", core.ErrInvalid, encoding)
}
