package usagetest

import (
	"sync"
	"time"
)

// start is where the clock of a new book stands: noon UTC of 2 March 2026, a
// Monday.
var start = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// Clock is a clock that only the test moves. It is safe for concurrent use. The
// zero Clock stands at Go's zero time; [NewClock] is what a test wants.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that stands at an instant; the zero time stands for
// noon UTC of 2 March 2026, a Monday.
func NewClock(at time.Time) *Clock {
	if at.IsZero() {
		at = start
	}
	return &Clock{at: at}
}

// Now returns the instant at which the clock stands. It is what
// usage.Options.Now takes.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock and returns where it stands then. A negative duration
// moves it back, as clocks of real machines do at times.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

// Set puts the clock at an instant.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}
