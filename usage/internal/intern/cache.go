package intern

import "sync"

// Cache remembers at least the last limit and at most twice as many things that
// were asked for or put. It keeps two generations: what is found in the older
// one moves to the younger, and when that is full the older one is dropped. So
// a name that is used goes on being known, whatever floods past it, at the cost
// of a map look-up and no list to keep in order.
//
// The zero Cache is not usable; make one with [New]. It is safe for concurrent
// use.
type Cache[K comparable, V any] struct {
	limit int

	mu         sync.RWMutex // guards what follows
	young, old map[K]V
}

// New returns a cache of the given limit, at least 1.
func New[K comparable, V any](limit int) *Cache[K, V] {
	return &Cache[K, V]{limit: max(limit, 1), young: make(map[K]V)}
}

// Get returns what was put under a key, if it is remembered.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.RLock()
	v, ok := c.young[key]
	if !ok {
		v, ok = c.old[key]
		if ok {
			c.mu.RUnlock()
			c.Put(key, v)
			return v, true
		}
	}
	c.mu.RUnlock()
	return v, ok
}

// GetBytes is [Cache.Get] for a key that is at hand as bytes, and makes no string of
// them where it finds the value.
func GetBytes[V any](c *Cache[string, V], key []byte) (V, bool) {
	c.mu.RLock()
	v, ok := c.young[string(key)]
	if ok {
		c.mu.RUnlock()
		return v, true
	}
	v, ok = c.old[string(key)]
	c.mu.RUnlock()
	if ok {
		c.Put(string(key), v)
	}
	return v, ok
}

// Put remembers a value.
func (c *Cache[K, V]) Put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.limit {
		if _, ok := c.young[key]; !ok {
			c.young, c.old = make(map[K]V), c.young
		}
	}
	c.young[key] = v
}

// Len returns how many things are remembered, those in both generations twice.
func (c *Cache[K, V]) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}

// Clear forgets everything.
func (c *Cache[K, V]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = make(map[K]V), nil
}
