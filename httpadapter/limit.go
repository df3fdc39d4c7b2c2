package httpadapter

import (
	"container/list"
	"fmt"
	"sync"
	"time"
)

// Limiter bounds how often a caller may ask. Allow takes one request of a
// subject and class; when it refuses, wait is when to try again. It is called
// concurrently and must not block. golang.org/x/time/rate does it in a few
// lines: a map of limiters by subject and class.
type Limiter interface {
	Allow(subject string, class RouteClass) (ok bool, wait time.Duration)
}

// Rate is so many requests a second, and Burst at once. A PerSecond of 0 is no
// limit.
type Rate struct {
	PerSecond float64 `json:"perSecond"`
	Burst     int     `json:"burst"`
}

// LimitOptions are the settings of [NewLimiter].
type LimitOptions struct {
	// Rates by class. A class that is not in it is not limited. Defaults to 200
	// a second and 400 at once for reads and writes, 20 and 100 for starts.
	Rates map[RouteClass]Rate
	// Callers is the number of callers that are remembered; the one that was
	// silent for longest is forgotten first, and begins anew. Defaults to
	// 10,000.
	Callers int
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// RateLimiter is a [Limiter] with a token bucket for each subject and class, in
// bounded memory. Make one with [NewLimiter].
type RateLimiter struct {
	o       LimitOptions
	mu      sync.Mutex
	buckets map[bucketKey]*list.Element
	order   list.List // of *bucket, the last asked first
}

type bucketKey struct {
	subject string
	class   RouteClass
}

type bucket struct {
	key    bucketKey
	tokens float64
	at     time.Time
}

// NewLimiter returns a limiter; nil options are the defaults.
func NewLimiter(o *LimitOptions) (*RateLimiter, error) {
	l := &RateLimiter{buckets: map[bucketKey]*list.Element{}}
	if o != nil {
		l.o = *o
	}
	if l.o.Rates == nil {
		l.o.Rates = map[RouteClass]Rate{ReadClass: {200, 400}, WriteClass: {200, 400}, StartClass: {20, 100}}
	}
	rates := make(map[RouteClass]Rate, len(l.o.Rates))
	for class, r := range l.o.Rates {
		if r.PerSecond < 0 || r.PerSecond > 0 && r.Burst < 1 || r.PerSecond != r.PerSecond {
			return nil, fmt.Errorf("httpadapter: the rate of %s is %v a second and %d at once; not negative, and at least 1 at once are allowed", class, r.PerSecond, r.Burst)
		}
		rates[class] = r
	}
	l.o.Rates = rates
	if l.o.Callers == 0 {
		l.o.Callers = 10_000
	}
	if l.o.Callers < 0 {
		return nil, fmt.Errorf("httpadapter: Callers is %d, at least 0 is allowed", l.o.Callers)
	}
	if l.o.Now == nil {
		l.o.Now = time.Now
	}
	return l, nil
}

// Allow implements [Limiter].
func (l *RateLimiter) Allow(subject string, class RouteClass) (bool, time.Duration) {
	rate := l.o.Rates[class]
	if rate.PerSecond == 0 {
		return true, 0
	}
	now := l.o.Now()
	key := bucketKey{subject, class}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.buckets[key]
	if e == nil {
		if len(l.buckets) >= l.o.Callers {
			oldest := l.order.Back()
			delete(l.buckets, oldest.Value.(*bucket).key)
			l.order.Remove(oldest)
		}
		e = l.order.PushFront(&bucket{key: key, tokens: float64(rate.Burst), at: now})
		l.buckets[key] = e
	} else {
		l.order.MoveToFront(e)
	}
	b := e.Value.(*bucket)
	if since := now.Sub(b.at); since > 0 {
		b.tokens = min(float64(rate.Burst), b.tokens+since.Seconds()*rate.PerSecond)
		b.at = now
	}
	if b.tokens < 1 {
		return false, time.Duration((1 - b.tokens) / rate.PerSecond * float64(time.Second))
	}
	b.tokens--
	return true, 0
}

// Unlimited is a [Limiter] that refuses nobody.
type Unlimited struct{}

// Allow implements [Limiter].
func (Unlimited) Allow(string, RouteClass) (bool, time.Duration) { return true, 0 }
