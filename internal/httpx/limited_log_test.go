package httpx_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/httpx"
)

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
				t.Errorf("%s is not said in:\n%s", want, told)
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

func TestNetwork(t *testing.T) {
	t.Parallel()
	for client, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "no address": "no address",
	} {
		if got := httpx.Network(client); got != want {
			t.Errorf("Network(%q) = %q, want %q", client, got, want)
		}
	}
}
