package usagetest

import (
	"sync"
	"time"
)

// Epoch returns where clocks and records begin unless a test says otherwise:
// 2026-01-01T00:00:00Z, a Thursday.
func Epoch() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// Clock is a clock that stands still until the test moves it. Its method Now is
// made for usage.Options.Now. The zero Clock stands at [Epoch]. It is safe for
// concurrent use and must not be copied.
type Clock struct {
	mu    sync.Mutex
	moved time.Duration // from base
	base  time.Time     // zero: Epoch
}

// NewClock returns a clock that stands at an instant.
func NewClock(at time.Time) *Clock { return &Clock{base: at} }

// Now returns the instant at which the clock stands, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	base := c.base
	if base.IsZero() {
		base = Epoch()
	}
	return base.Add(c.moved).UTC()
}

// Advance moves the clock by d, backwards where d is negative, and returns
// where it stands then.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
	return c.now()
}

// Set puts the clock to an instant, whether later or earlier.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.moved = at, 0
}
