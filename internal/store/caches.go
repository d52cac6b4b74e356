package store

import (
	"sync"
	"sync/atomic"

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
}

func newCaches() *caches {
	return &caches{newCache[planKey, *forgecroft.DeliveryPlan](maxPlans), newCache[string, *forgecroft.APIKey](maxKeys)}
}

// invalidate is called when a change is committed and not yet acknowledged.
func (c *caches) invalidate(what change) {
	if what&changedPlans != 0 {
		c.plans.generation.Add(1)
	}
	if what&changedKeys != 0 {
		c.keys.generation.Add(1)
	}
}

// cache remembers answers exactly: an answer is tagged with the generation that was current before it was read from the database, and holds
// while that is current. A change ends the generation between its commit and its acknowledgement. So an answer that misses a change is
// never given to anyone who could know of the change.
type cache[K comparable, V any] struct {
	generation atomic.Int64
	limit      int

	mu      sync.RWMutex
	entries map[K]remembered[V]
}

type remembered[V any] struct {
	value      V
	generation int64
}

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{limit: limit, entries: map[K]remembered[V]{}}
}

// get returns the answer for key, from memory or else from load. Failures are not remembered.
func (c *cache[K, V]) get(key K, load func() (V, error)) (V, error) {
	generation := c.generation.Load()
	c.mu.RLock()
	found, ok := c.entries[key]
	c.mu.RUnlock()
	if ok && found.generation == generation {
		return found.value, nil
	}
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
