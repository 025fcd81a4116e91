package httpx_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

func TestLogLeavesOutProbesAndAssets(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	router := httpx.NewRouter(slog.New(slog.NewTextHandler(&log, nil)))
	for _, route := range []string{"/healthz", "/static/:file", "/sub/static/:file", "/scans/:reference"} {
		router.GET(route, func(c *gin.Context) { c.Status(http.StatusOK) })
	}
	for _, path := range []string{"/healthz", "/static/style.css", "/sub/static/live.js", "/scans/static"} {
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	if n := strings.Count(log.String(), "msg=request"); n != 1 || !strings.Contains(log.String(), "path=/scans/static") {
		t.Errorf("%d requests logged, want that of /scans/static:\n%s", n, log.String())
	}
}

// The log and the answer have the same id: the request's own if it is one, else a new one.
func TestRequestsHaveIDs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	router := httpx.NewRouter(logger)
	router.GET("/page", httpx.Handle(logger, func(c *gin.Context) error {
		if c.Query("fail") != "" {
			return errors.New("broken")
		}
		return nil
	}))
	for given, kept := range map[string]bool{"": false, "a-1.B_2": true, strings.Repeat("a", 65): false, "a b": false, "a\nb": false} {
		log.Reset()
		answer, request := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/page?fail=yes", nil)
		request.Header.Set("X-Request-Id", given)
		router.ServeHTTP(answer, request)
		id := answer.Header().Get("X-Request-Id")
		if (id == given) != kept || !regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString(id) {
			t.Errorf("given %q: answered with %q", given, id)
		}
		if n := strings.Count(log.String(), "request="+id); n != 2 { // why it failed, and that it was answered
			t.Errorf("the log has the id %d times:\n%s", n, log.String())
		}
	}
}

// A refusal is in the log once, however often it happens, with the reason of the handler.
func TestLogHasRefusalsOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	router := httpx.NewRouter(slog.New(slog.NewTextHandler(&log, nil)))
	router.POST("/hooks/:name", httpx.Handle(slog.New(slog.DiscardHandler), func(c *gin.Context) error {
		if c.Param("name") != "known" {
			return core.ErrNotFound
		}
		httpx.Refuse(c, "no signature")
		return fmt.Errorf("%w: sign it", core.ErrDenied)
	}))
	for i := range 50 {
		for _, path := range []string{"/hooks/known", fmt.Sprintf("/hooks/x%d", i), fmt.Sprintf("/%d", i), strings.Repeat("/x", 9000)} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
			router.ServeHTTP(httptest.NewRecorder(), request)
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || log.Len() > 2000 {
		t.Errorf("%d lines, %d bytes:\n%s", len(lines), log.Len(), log.String())
	}
	for _, want := range []string{
		`level=WARN msg="request refused" method=POST path=/hooks/known status=401`, `error="denied: sign it" reason="no signature" client=192.0.2.1`,
		`reason="404 /hooks/:name"`, `reason="404 no route"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in:\n%s", want, log.String())
		}
	}
}

// Internal errors are logged each time. Failures because the database is unreachable are logged once a minute.
func TestLogHasInternalErrors(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	router := httpx.NewRouter(logger)
	for path, err := range map[string]error{"/broken": errors.New("broken"), "/unreachable": core.ErrUnavailable} {
		router.GET(path, httpx.Handle(logger, func(*gin.Context) error { return err }))
	}
	for range 5 {
		for _, path := range []string{"/broken", "/unreachable"} {
			router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		}
	}
	if n := strings.Count(log.String(), "error=broken"); n != 5 {
		t.Errorf("%d internal errors logged, want 5:\n%s", n, log.String())
	}
	if n := strings.Count(log.String(), "path=/unreachable"); n != 1 || !strings.Contains(log.String(), "level=ERROR msg=\"request failed\"") {
		t.Errorf("the unreachable database is logged %d times, want once:\n%s", n, log.String())
	}
}

// logText collects the lines of a text log, without their times.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns the lines since the last call.
func (l *logText) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := regexp.MustCompile(`time=\S+ level=`).ReplaceAllString(l.text.String(), "")
	l.text.Reset()
	return strings.Split(strings.TrimSpace(text), "\n")
}

func TestLimitedLogCountsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text logText
		log := httpx.NewLimitedLog(slog.New(slog.NewTextHandler(&text, nil)))
		refuse := func(reason, client string) {
			log.Log(slog.LevelWarn, "refused", reason, client, "path", "/x")
		}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, text.take()); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		}
		for range 1000 {
			refuse("signature", "192.0.2.1")
			refuse("signature", "2001:db8::1")
			refuse("signature", "2001:db8::2:1")
			refuse("token", "192.0.2.1")
		}
		expect("WARN msg=refused path=/x reason=signature client=192.0.2.1",
			"WARN msg=refused path=/x reason=signature client=2001:db8::1",
			"WARN msg=refused path=/x reason=token client=192.0.2.1")
		time.Sleep(30 * time.Second)
		refuse("token", "192.0.2.1")
		expect("")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		told := strings.Join(text.take(), "\n")
		for _, want := range []string{
			`times=999 within=1m0s reason=signature client=192.0.2.1`, `times=1999 within=1m0s reason=signature client=2001:db8::/64`,
			`times=1000 within=1m0s reason=token client=192.0.2.1`,
		} {
			if !strings.Contains(told, `WARN msg="left out of the log" `+want) {
				t.Errorf("%s is missing in:\n%s", want, told)
			}
		}
		refuse("token", "192.0.2.1")
		expect("") // the count was the line of this minute
		time.Sleep(time.Minute)
		expect(`WARN msg="left out of the log" times=1 within=1m0s reason=token client=192.0.2.1`)
		time.Sleep(time.Minute)
		refuse("token", "192.0.2.1")
		expect("WARN msg=refused path=/x reason=token client=192.0.2.1")
		time.Sleep(2 * time.Minute)
	})
}

// However many clients there are, a minute has a bounded number of lines.
func TestLimitedLogIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text logText
		log := httpx.NewLimitedLog(slog.New(slog.NewTextHandler(&text, nil)))
		for i := range 10_000 {
			log.Log(slog.LevelWarn, "refused", "signature", fmt.Sprintf("10.0.%d.%d", i/256, i%256))
		}
		if n := len(text.take()); n > 260 {
			t.Errorf("%d lines of 10,000 clients", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{`WARN msg="left out of the log" times=9743 within=1m0s reason=signature client=others`},
			text.take()); diff != "" {
			t.Errorf("count (-want +got):\n%s", diff)
		}
		time.Sleep(2 * time.Minute)
	})
}
