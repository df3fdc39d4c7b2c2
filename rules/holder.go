package rules

import (
	"sync/atomic"
	"time"
)

// Source gives the Set to judge by at this moment, which may be nil. A Set is
// its own source, a Holder is one that changes. Who judges a batch takes the
// Set once, so that one batch is judged by one version.
type Source interface {
	Current() *Set
}

var (
	_ Source = (*Set)(nil)
	_ Source = (*Holder)(nil)
)

// Current returns the set itself.
func (s *Set) Current() *Set { return s }

// Holder holds the Set that is in force and lets it be swapped while records
// are being judged. The zero Holder holds none. It is safe for concurrent use
// and must not be copied.
type Holder struct {
	set atomic.Pointer[Set]
}

// Current returns the set that is in force; nil when there is none. A nil
// *Holder holds none either.
func (h *Holder) Current() *Set {
	if h == nil {
		return nil
	}
	return h.set.Load()
}

// Swap puts a set in force, or none for nil, and returns the one before.
// Judgements that have begun end by the set they began with.
func (h *Holder) Swap(set *Set) *Set { return h.set.Swap(set) }

// Judge judges a record by the set that is in force; see [Set.Judge].
func (h *Holder) Judge(sub Subject, now time.Time) Judgement { return h.Current().Judge(sub, now) }
