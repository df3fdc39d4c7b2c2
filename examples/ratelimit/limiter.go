package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/usagebook/usagebook/httpadapter"
)

// Limiter allows each caller PerSecond requests of each class, and Burst at once.
// It is safe for concurrent use.
type Limiter struct {
	PerSecond rate.Limit
	Burst     int

	known sync.Map // of *rate.Limiter by key
}

type key struct {
	subject string
	class   httpadapter.RouteClass
}

// Allow implements httpadapter.Limiter.
func (l *Limiter) Allow(subject string, class httpadapter.RouteClass) (bool, time.Duration) {
	found, _ := l.known.LoadOrStore(key{subject, class}, rate.NewLimiter(l.PerSecond, l.Burst))
	r := found.(*rate.Limiter).Reserve()
	wait := r.Delay()
	if wait == 0 {
		return true, 0
	}
	r.Cancel() // the caller does not wait for its turn, it is told when to come back
	return false, wait
}

var _ httpadapter.Limiter = (*Limiter)(nil)
