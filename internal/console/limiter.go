package console

import (
	"sync"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// Limits of failed sign-ins.
const (
	maxFailures   = 10 // per address and per key id, within failureWindow
	failureWindow = 15 * time.Minute
	maxSuspects   = 10_000 // beyond, the memory starts afresh: it bounds itself, and slows nobody else
)

// limiter counts failed sign-ins. A success counts for nothing, so that other people behind one address are not kept out by it.
type limiter struct {
	now func() time.Time

	mu       sync.Mutex
	suspects map[string]suspect // address or key id → its failures
}

type suspect struct {
	since    time.Time
	failures int
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, suspects: map[string]suspect{}}
}

// check refuses who has failed too often.
func (l *limiter) check(names ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, name := range names {
		s := l.suspects[name]
		if wait := failureWindow - now.Sub(s.since); s.failures >= maxFailures && wait > 0 {
			return &forgecroft.Error{
				Kind: kindTooMany, Code: "too_many_attempts", RetryAfter: wait,
				Message: "Too many sign-ins have failed from here or with this key. Wait a quarter of an hour, then try again.",
			}
		}
	}
	return nil
}

// failed counts a failure.
func (l *limiter) failed(names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.suspects) > maxSuspects {
		clear(l.suspects)
	}
	now := l.now()
	for _, name := range names {
		s := l.suspects[name]
		if now.Sub(s.since) >= failureWindow {
			s = suspect{since: now}
		}
		s.failures++
		l.suspects[name] = s
	}
}
