package check

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/scanhook/scanhook/store/sqldb"
)

const (
	// wrongClock is the difference from which on a clock is reported; platforms send whole seconds.
	wrongClock = 10 * time.Second
	// uselessClock is the difference from which on signed webhooks, and soon tokens of GitHub Apps, are refused.
	uselessClock = 4 * time.Minute
)

// clocks compares this host's clock with the database's and with those of the platforms that it has to do with.
func (c Check) clocks(ctx context.Context) (lines []Line) {
	if skew := c.databaseSkew(ctx); skew != 0 {
		text := ClockAdvice(skew, "the database's") + "; until then the database's is used"
		lines = append(lines, Line{Warn, "clock of the database", text})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Platforms)) {
		if c.Verifies(name) {
			lines = append(lines, platformClock(ctx, name, c.Platforms[name].URL))
		}
	}
	return lines
}

// databaseSkew is 0 where the database cannot be asked, which another line reports.
func (c Check) databaseSkew(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	skew, err := sqldb.Skew(ctx, c.Database.URL.Reveal())
	if err != nil {
		return 0
	}
	return skew
}

func platformClock(ctx context.Context, name, address string) Line {
	subject := "clock of " + name
	skew, err := skewOf(ctx, address)
	switch {
	case err != nil:
		return Line{Warn, subject, fmt.Sprintf("%s does not tell the time: %v; let this host reach it", address, err)}
	case skew.Abs() >= uselessClock:
		return Line{Fail, subject, ClockAdvice(skew, "its") + ": signed webhooks and App tokens are refused otherwise"}
	case skew.Abs() >= wrongClock:
		return Line{Warn, subject, ClockAdvice(skew, "its")}
	}
	return Line{OK, subject, "agrees with this host's"}
}

// skewOf is how far the clock of the server at address is ahead of ours, by the Date header of its answer.
func skewOf(ctx context.Context, address string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return 0, err
	}
	asked := time.Now()
	response, err := http.DefaultTransport.RoundTrip(request) // a redirect is an answer too
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("its answer has no date: %w", err)
	}
	return theirs.Sub(asked.Add(time.Since(asked) / 2)), nil
}

// ClockAdvice says how far another clock is ahead of this host's, and what to do.
func ClockAdvice(skew time.Duration, whose string) string {
	word := "behind"
	if skew < 0 {
		word = "ahead of"
	}
	return fmt.Sprintf("this host's clock is %s %s %s; synchronise it (NTP)", skew.Abs().Round(time.Second), word, whose)
}
