package ghapi_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

const secondary = `{"documentation_url":"https://docs.github.com/rest/overview/rate-limits#secondary-rate-limits"}`

// errDone stands for success in tables of errors.
var errDone = errors.New("done")

func TestPostStatusTellsRefusalsApart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code int
		body string
		want error // nil is an error without a sentinel
	}{
		"unknown commit":     {422, `{"message":"No commit found for SHA: x"}`, platforms.ErrUnknownCommit},
		"field at fault":     {422, `{"message":"Invalid","errors":[{"field":"description"}]}`, platforms.ErrRefused},
		"no reason":          {422, ``, platforms.ErrRefused},
		"no access":          {404, `{"message":"Not Found"}`, nil},
		"unknown on gitea":   {500, `{"message":"object does not exist"}`, nil},
		"created, no json":   {201, `<html>`, errDone},
		"accepted for later": {202, `{}`, errDone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform, _ := answering(t, test.code, nil, test.body)
			_, err := platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
			switch {
			case errors.Is(test.want, errDone):
				if err != nil {
					t.Errorf("want success, got %v", err)
				}
			case test.want != nil:
				if !errors.Is(err, test.want) {
					t.Errorf("want %v, got %v", test.want, err)
				}
			case err == nil || errors.Is(err, platforms.ErrRefused) || errors.Is(err, platforms.ErrUnknownCommit):
				t.Errorf("want an error that is worth another try, got %v", err)
			}
		})
	}
}

func TestPostStatusPausesAtLimits(t *testing.T) {
	t.Parallel()
	date := http.Header{"Retry-After": {"Sun, 01 Mar 2026 12:00:20 GMT"}}
	reset := http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1772367000"}} // 10 minutes past noon
	tests := map[string]struct {
		code   int
		header http.Header
		body   string
		want   time.Duration
	}{
		"primary as 403":            {403, reset, `{}`, 10 * time.Minute},
		"primary as 429":            {429, reset, `{}`, 10 * time.Minute},
		"secondary without headers": {403, nil, secondary, time.Minute},
		"secondary with a time":     {403, http.Header{"Retry-After": {"30"}}, secondary, 30 * time.Second},
		"date":                      {429, date, `{}`, 20 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform, _ := answering(t, test.code, test.header, test.body)
			_, err := platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
			var limit *platforms.RateLimited
			if !errors.As(err, &limit) || limit.After != test.want {
				t.Errorf("want a pause of %s, got %v", test.want, err)
			}
		})
	}
}

// TestPostStatusPausesWithoutACall: go-github refuses further calls itself until the limit is over.
func TestPostStatusPausesWithoutACall(t *testing.T) {
	t.Parallel()
	platform, calls := answering(t, http.StatusForbidden, http.Header{"Retry-After": {"60"}}, secondary)
	for range 3 {
		_, err := platform.PostStatus(t.Context(), platformtest.Status(core.StatusSuccess))
		var limit *platforms.RateLimited
		if !errors.As(err, &limit) || limit.After <= 0 {
			t.Errorf("want a pause, got %v", err)
		}
	}
	if got := calls(); got != 1 {
		t.Errorf("want one call, got %d", got)
	}
}
