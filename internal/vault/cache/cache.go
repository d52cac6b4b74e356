// Package cache remembers sealed secret versions, so that a delivery need not ask the vault each time. Both vaults use it. It holds nothing that is
// worth anything without the key ring.
package cache

import (
	"container/list"
	"sync"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// entryOverhead is about what an entry takes beside its blob, in bytes.
const entryOverhead = 256

// Cache remembers sealed blobs, the least recently used going first. It is exact for the changes it is told of: a change is told between its commit
// and its acknowledgement, and a blob that was read before a change is not filled in after it. It is safe for concurrent use.
type Cache struct {
	limit int64 // bytes

	mu         sync.Mutex
	size       int64
	generation int64                                  // counts the changes that make what was read before them wrong
	entries    map[forgecroft.Reference]*list.Element // reference → *cached in order
	order      list.List                              // the most recently used first
}

// cached is one entry. The blob is shared and never written to.
type cached struct {
	reference forgecroft.Reference
	blob      []byte
}

// New makes a cache that takes up to limit bytes.
func New(limit int64) *Cache {
	return &Cache{limit: limit, entries: map[forgecroft.Reference]*list.Element{}}
}

// Get returns the blob, or the generation with which one that is read now may be filled in. The blob must not be changed.
func (c *Cache) Get(ref forgecroft.Reference) (blob []byte, generation int64, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, found := c.entries[ref]
	if !found {
		return nil, c.generation, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).blob, c.generation, true
}

// Fill remembers a blob that was read in a generation, unless that has passed.
func (c *Cache) Fill(ref forgecroft.Reference, blob []byte, generation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.set(ref, blob)
	}
}

// Put remembers a blob whose reference did not exist before.
func (c *Cache) Put(ref forgecroft.Reference, blob []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(ref, blob)
}

// Replace exchanges a blob if it is remembered.
func (c *Cache) Replace(ref forgecroft.Reference, blob []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	if _, found := c.entries[ref]; found {
		c.set(ref, blob)
	}
}

// Remove forgets a blob.
func (c *Cache) Remove(ref forgecroft.Reference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.drop(ref)
}

// set remembers a blob and makes room.
func (c *Cache) set(ref forgecroft.Reference, blob []byte) {
	c.drop(ref)
	c.entries[ref] = c.order.PushFront(&cached{ref, blob})
	c.size += int64(len(blob)) + entryOverhead
	for c.size > c.limit {
		c.drop(c.order.Back().Value.(*cached).reference)
	}
}

// drop forgets a blob.
func (c *Cache) drop(ref forgecroft.Reference) {
	e, found := c.entries[ref]
	if !found {
		return
	}
	delete(c.entries, ref)
	c.size -= int64(len(c.order.Remove(e).(*cached).blob)) + entryOverhead
}
