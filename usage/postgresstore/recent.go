package postgresstore

import (
	"errors"
	"hash/maphash"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/usagebook/usagebook/usage"
)

// recent remembers most of the identities that this process has booked lately, by
// their hashes: what is sent again is mostly sent again soon. It decides what is
// looked up before records are numbered, and nothing else, so that it may forget, and
// writers need no lock: each hash has a set of places, where it pushes out the oldest.
type recent struct {
	seed maphash.Seed
	sets [][recentWays]atomic.Uint64
}

// With as many sets as identities that are to be remembered, one in 250 of them meets
// more of its kind than its set has places.
const (
	recentSets = 1 << 16
	recentWays = 4
)

func newRecent() *recent {
	return &recent{seed: maphash.MakeSeed(), sets: make([][recentWays]atomic.Uint64, recentSets)}
}

// hash is never 0, which stands for nothing.
func (r *recent) hash(h *maphash.Hash, of *usage.Record) uint64 {
	h.Reset()
	for _, text := range [...]string{of.Tenant, of.Source, of.ID} {
		h.WriteString(text)
		h.WriteByte(0xff) // which no text has
	}
	return h.Sum64() | 1<<63
}

// among returns those of some places of a batch whose identities were seen.
func (r *recent) among(b *usage.Batch, at []int) []int {
	var h maphash.Hash
	h.SetSeed(r.seed)
	var out []int
	for _, i := range at {
		sum := r.hash(&h, &b.At(i).Record)
		set := &r.sets[sum%recentSets]
		for k := range set {
			if set[k].Load() == sum {
				out = append(out, i)
				break
			}
		}
	}
	return out
}

// add remembers identities that are booked.
func (r *recent) add(b *usage.Batch, at []int) {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, i := range at {
		sum := r.hash(&h, &b.At(i).Record)
		set := &r.sets[sum%recentSets]
		if set[0].Load() == sum {
			continue
		}
		for k := recentWays - 1; k > 0; k-- {
			set[k].Store(set[k-1].Load())
		}
		set[0].Store(sum)
	}
}

// isMisjudged reports whether a statement of insertion failed because records
// that were not looked up were booked already.
func isMisjudged(err error) bool {
	pg := (*pgconn.PgError)(nil)
	return errors.As(err, &pg) && pg.Code == "22012" // division by zero
}
