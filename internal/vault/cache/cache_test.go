package cache_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
	"github.com/forgecroft/forgecroft/internal/vault/cache"
)

// has reports which of some references are remembered, as one word.
func has(c *cache.Cache, refs ...forgecroft.Reference) string {
	found := ""
	for _, ref := range refs {
		if _, _, there := c.Get(ref); there {
			found += string(ref)
		}
	}
	return found
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	c := cache.New(3 * (1000 + 256)) // three blobs with what an entry takes
	blob := make([]byte, 1000)
	for _, ref := range []forgecroft.Reference{"a", "b", "c"} {
		c.Put(ref, blob)
	}
	has(c, "a") // which makes it the most recent
	c.Put("d", blob)
	if got := has(c, "a", "b", "c", "d"); got != "acd" {
		t.Errorf("remembered: %s, want acd", got)
	}
	c.Put("big", make([]byte, 4000))
	if got := has(c, "a", "c", "d", "big"); got != "" {
		t.Errorf("after a blob that is too large: %s, want nothing", got)
	}
}

func TestWhatWasReadBeforeAChangeIsNotFilledIn(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *cache.Cache)
		want   string
	}{
		{"none", func(*cache.Cache) {}, "a"},
		{"another one was stored", func(c *cache.Cache) { c.Put("b", nil) }, "a"},
		{"it was destroyed", func(c *cache.Cache) { c.Remove("a") }, ""},
		{"it was moved to another key", func(c *cache.Cache) { c.Replace("a", []byte("moved")) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cache.New(1 << 20)
			_, generation, _ := c.Get("a")
			test.change(c)
			c.Fill("a", []byte("read before"), generation)
			if got := has(c, "a"); got != test.want {
				t.Errorf("remembered: %q, want %q", got, test.want)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	c := cache.New(1 << 20)
	c.Put("a", []byte("old"))
	c.Replace("a", []byte("new"))
	c.Replace("b", []byte("new"))
	if blob, _, _ := c.Get("a"); string(blob) != "new" {
		t.Errorf("got %q, want the new blob", blob)
	}
	if got := has(c, "b"); got != "" {
		t.Error("what was not remembered was put in")
	}
}

func TestConcurrentUse(t *testing.T) {
	c := cache.New(10_000)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 500 {
				ref := forgecroft.Reference(fmt.Sprint(n % 20))
				switch (n + i) % 4 {
				case 0:
					c.Put(ref, make([]byte, n))
				case 1:
					_, generation, _ := c.Get(ref)
					c.Fill(ref, make([]byte, n), generation)
				case 2:
					c.Replace(ref, make([]byte, n))
				default:
					c.Remove(ref)
				}
			}
		})
	}
	group.Wait()
	for n := range 20 {
		c.Remove(forgecroft.Reference(fmt.Sprint(n)))
	}
	c.Put("last", make([]byte, 9000))
	if got := has(c, "last"); got != "last" {
		t.Error("an empty cache has no room: its size was miscounted")
	}
}
