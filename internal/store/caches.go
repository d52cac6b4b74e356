package store

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// change says which answers from memory a transaction makes wrong. Audit entries, touches, intents, leases, idempotency records and results of
// verifications make none wrong; a delivery plan may therefore show an older verification or time of delivery.
type change uint8

const (
	changedPlans change = 1 << iota // workspaces, attachments, credential configs
	changedKeys                     // API keys
)

// How many answers are remembered: a plan takes a few KiB, a key half of one.
const (
	maxPlans = 1024
	maxKeys  = 4096
)

// planKey identifies a workspace.
type planKey struct{ organizationID, workspaceID string }

// caches are the answers of the hot path.
type caches struct {
	plans *cache[planKey, *forgecroft.DeliveryPlan]
	keys  *cache[string, *forgecroft.APIKey]
	term  *term

	doubtful atomic.Bool // a commit of our own failed, and may come about yet
}

func newCaches() *caches {
	t := &term{}
	return &caches{plans: newCache[planKey, *forgecroft.DeliveryPlan](maxPlans, t), keys: newCache[string, *forgecroft.APIKey](maxKeys, t), term: t}
}

// term is until when answers from memory hold, where others change the database too.
type term struct {
	bounded atomic.Bool
	until   atomic.Pointer[time.Time] // with the monotonic clock, which goes on while a process is frozen
}

// over reports whether nothing may be answered from memory.
func (t *term) over() bool {
	if !t.bounded.Load() {
		return false
	}
	until := t.until.Load()
	return until == nil || !time.Now().Before(*until)
}

// bound makes answers hold only as long as [caches.extend] says.
func (c *caches) bound() { c.term.bounded.Store(true) }

// extend says until when answers hold that were not invalidated.
func (c *caches) extend(until time.Time) { c.term.until.Store(&until) }

// invalidate is called when a change is committed and not yet acknowledged.
func (c *caches) invalidate(what change) {
	if what&changedPlans != 0 {
		c.plans.generation.Add(1)
	}
	if what&changedKeys != 0 {
		c.keys.generation.Add(1)
	}
}

// doubt is called when nobody knows whether a change was committed, or will be: then our own notice of it is news.
func (c *caches) doubt(what change) {
	if what != 0 {
		c.doubtful.Store(true)
	}
	c.invalidate(what)
}

// cache remembers answers exactly: an answer is tagged with the generation that was current before it was read from the database, and holds
// while that is current. A change ends the generation between its commit and its acknowledgement. So an answer that misses a change is
// never given to anyone who could know of the change.
type cache[K comparable, V any] struct {
	generation atomic.Int64
	loads      atomic.Int64 // answers that did not come from memory
	limit      int
	term       *term

	mu      sync.RWMutex
	entries map[K]remembered[V]
}

type remembered[V any] struct {
	value      V
	generation int64
}

func newCache[K comparable, V any](limit int, t *term) *cache[K, V] {
	return &cache[K, V]{limit: limit, term: t, entries: map[K]remembered[V]{}}
}

// get returns the answer for key, from memory or else from load. Failures are not remembered.
func (c *cache[K, V]) get(key K, load func() (V, error)) (V, error) {
	generation := c.generation.Load()
	c.mu.RLock()
	found, ok := c.entries[key]
	c.mu.RUnlock()
	if ok && found.generation == generation && !c.term.over() {
		return found.value, nil
	}
	c.loads.Add(1)
	value, err := load()
	if err != nil {
		return value, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.entries[key]; !known && len(c.entries) >= c.limit {
		for victim := range c.entries { // Any: the order of a map is random enough.
			delete(c.entries, victim)
			break
		}
	}
	c.entries[key] = remembered[V]{value, generation}
	return value, nil
}
