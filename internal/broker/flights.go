package broker

import (
	"context"
	"sync"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// flights lets callers who want the same verification at the same time share one. The zero value is ready.
type flights struct {
	mu      sync.Mutex
	flights map[string]*flight // key → the verification under way
}

// flight is one verification under way.
type flight struct {
	done   chan struct{}
	result forgecroft.Verification
	err    error
}

// do runs fn, or waits for the one that already runs under the key. fn gets a context that outlives the first caller's, because
// others may wait for its result.
func (f *flights) do(ctx context.Context, key string, fn func(ctx context.Context) (forgecroft.Verification, error)) (forgecroft.Verification, error) {
	f.mu.Lock()
	running, shared := f.flights[key]
	if !shared {
		running = &flight{done: make(chan struct{})}
		if f.flights == nil {
			f.flights = map[string]*flight{}
		}
		f.flights[key] = running
		go f.run(context.WithoutCancel(ctx), key, running, fn)
	}
	f.mu.Unlock()
	select {
	case <-running.done:
		return running.result, running.err
	case <-ctx.Done():
		return forgecroft.Verification{}, ctx.Err()
	}
}

// run works for everybody who waits.
func (f *flights) run(ctx context.Context, key string, running *flight, fn func(ctx context.Context) (forgecroft.Verification, error)) {
	defer func() {
		f.mu.Lock()
		delete(f.flights, key)
		f.mu.Unlock()
		close(running.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, verifyDeadline)
	defer cancel()
	running.result, running.err = fn(ctx)
}
