package openbao_test

import (
	"sync"
	"testing"
	"time"

	"github.com/forgecroft/forgecroft/internal/vault/openbao"
)

const minute = time.Minute

// clock is a clock that a test drives. It knows when whoever waits for it has done what was due.
type clock struct {
	mu      sync.Mutex
	arrived *sync.Cond
	now     time.Time
	waiting []waiter
}

type waiter struct {
	until time.Time
	wake  chan time.Time
}

func newClock() *clock {
	c := &clock{now: time.Now()}
	c.arrived = sync.NewCond(&c.mu)
	return c
}

// Now tells the clock's time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := waiter{c.now.Add(d), make(chan time.Time, 1)}
	c.waiting = append(c.waiting, w)
	c.arrived.Broadcast()
	return w.wake
}

// clock is what a vault is given.
func (c *clock) clock() openbao.Clock { return openbao.Clock{Now: c.Now, After: c.after} }

// advance lets time pass, second by second, and returns when the one goroutine that waits for this clock has done what was due and waits again.
func (c *clock) advance(t testing.TB, d time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for end := c.now.Add(d); c.now.Before(end); {
		for len(c.waiting) == 0 {
			c.arrived.Wait()
		}
		c.now = c.now.Add(min(time.Second, end.Sub(c.now)))
		if w := c.waiting[0]; !w.until.After(c.now) {
			c.waiting = c.waiting[1:]
			w.wake <- c.now
		}
	}
	for len(c.waiting) == 0 {
		c.arrived.Wait()
	}
}
