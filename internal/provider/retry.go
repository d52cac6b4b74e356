package provider

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	maxRetries    = 2
	maxRetryAfter = 5 * time.Second
	baseDelay     = 200 * time.Millisecond
)

// Retrier asks again after transient failures (PRV-4). The zero value waits for real.
type Retrier struct {
	// Sleep waits for d or until ctx ends, then returns ctx's error; nil: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter returns a number in [0,1) that spreads the waits; nil: random.
	Jitter func() float64
}

// Do calls op, and calls it again at most twice while it fails with a transient [*Error]. It waits between calls as long as the
// provider asked for, else 200 ms doubling with jitter; a provider that asks for more than 5 s gets no second call. All that is
// bounded by ctx. The result is op's last.
func (r Retrier) Do(ctx context.Context, op func(ctx context.Context) error) error {
	for attempt := 0; ; attempt++ {
		err := op(ctx)
		var failure *Error
		if attempt == maxRetries || !errors.As(err, &failure) || !failure.Transient() || failure.RetryAfter > maxRetryAfter {
			return err
		}
		if r.Wait(ctx, r.delay(attempt, failure.RetryAfter)) != nil {
			return err // the last answer says more than "time is up"
		}
	}
}

// Wait sleeps for d, unless ctx ends first or could not outlast it.
func (r Retrier) Wait(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	if r.Sleep != nil {
		return r.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (r Retrier) delay(attempt int, asked time.Duration) time.Duration {
	if asked > 0 {
		return asked
	}
	jitter := rand.Float64
	if r.Jitter != nil {
		jitter = r.Jitter
	}
	step := baseDelay << attempt
	return step/2 + time.Duration(jitter()*float64(step))
}
