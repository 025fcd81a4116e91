package httpx

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	logEvery    = time.Minute // for each reason and client
	maxLogged   = 256         // reasons and clients that are told apart in a minute
	otherClient = "others"    // stands for the clients that are not
)

// LimitedLog is for lines that callers can cause as often as they like: refused calls, failures while the database is
// away. The first line of a reason and a client's network is logged at once. Further ones are counted, and the count is
// logged when a minute is over, so that there is at most one line a minute. Its memory is bounded.
type LimitedLog struct {
	log     *slog.Logger
	mu      sync.Mutex
	leftOut map[logged]int // by what was logged within the last minute
}

// logged is what lines are counted by. The reasons must be few: no text of the caller's may be part of one.
type logged struct{ reason, network string }

// NewLimitedLog writes to log.
func NewLimitedLog(log *slog.Logger) *LimitedLog {
	return &LimitedLog{log: log, leftOut: map[logged]int{}}
}

// Log logs message with args, the reason and the client, unless the same was logged less than a minute ago.
func (l *LimitedLog) Log(level slog.Level, message, reason, client string, args ...any) {
	key := logged{reason, Network(client)}
	if l.begin(level, &key) {
		l.log.Log(context.Background(), level, message, append(args, "reason", reason, "client", client)...)
	}
}

// begin counts a line, and tells whether it is the first one. Where too many clients are known, key becomes that of the
// others.
func (l *LimitedLog) begin(level slog.Level, key *logged) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.leftOut[*key]; !known && len(l.leftOut) >= maxLogged {
		key.network = otherClient
	}
	if n, known := l.leftOut[*key]; known {
		l.leftOut[*key] = n + 1
		return false
	}
	l.leftOut[*key] = 0
	time.AfterFunc(logEvery, func() { l.end(level, *key) })
	return true
}

// end logs how many lines were left out, which begins another minute, or forgets the key.
func (l *LimitedLog) end(level slog.Level, key logged) {
	l.mu.Lock()
	n := l.leftOut[key]
	if n == 0 {
		delete(l.leftOut, key)
	} else {
		l.leftOut[key] = 0
		time.AfterFunc(logEvery, func() { l.end(level, key) })
	}
	l.mu.Unlock()
	if n > 0 {
		l.log.Log(context.Background(), level, "left out of the log",
			"times", n, "within", logEvery, "reason", key.reason, "client", key.network)
	}
}
