package embedded

import (
	"container/list"
	"sync"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// entryOverhead is about what an entry takes beside its blob, in bytes.
const entryOverhead = 256

// cache remembers sealed blobs, the least recently used going first. It is exact: a change takes effect in it between its commit and its
// acknowledgement, and a blob that was read before a change is not filled in after it.
type cache struct {
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

func newCache(limit int64) *cache {
	return &cache{limit: limit, entries: map[forgecroft.Reference]*list.Element{}}
}

// get returns the blob, or the generation with which one that is read now may be filled in.
func (c *cache) get(ref forgecroft.Reference) (blob []byte, generation int64, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, found := c.entries[ref]
	if !found {
		return nil, c.generation, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).blob, c.generation, true
}

// fill remembers a blob that was read in a generation, unless that has passed.
func (c *cache) fill(ref forgecroft.Reference, blob []byte, generation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.set(ref, blob)
	}
}

// put remembers a blob whose reference did not exist before.
func (c *cache) put(ref forgecroft.Reference, blob []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(ref, blob)
}

// replace exchanges a blob if it is remembered.
func (c *cache) replace(ref forgecroft.Reference, blob []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	if _, found := c.entries[ref]; found {
		c.set(ref, blob)
	}
}

// remove forgets a blob.
func (c *cache) remove(ref forgecroft.Reference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.drop(ref)
}

// set remembers a blob and makes room.
func (c *cache) set(ref forgecroft.Reference, blob []byte) {
	c.drop(ref)
	c.entries[ref] = c.order.PushFront(&cached{ref, blob})
	c.size += int64(len(blob)) + entryOverhead
	for c.size > c.limit {
		c.drop(c.order.Back().Value.(*cached).reference)
	}
}

// drop forgets a blob.
func (c *cache) drop(ref forgecroft.Reference) {
	e, found := c.entries[ref]
	if !found {
		return
	}
	delete(c.entries, ref)
	c.size -= int64(len(c.order.Remove(e).(*cached).blob)) + entryOverhead
}
