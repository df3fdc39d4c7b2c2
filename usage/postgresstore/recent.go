package postgresstore

import (
	"errors"
	"hash/maphash"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/intern"
)

// recent remembers the identities that this process has booked lately, by their
// hashes: what is sent again is mostly sent again soon. It decides what is looked
// up before records are numbered, and nothing else.
type recent struct {
	seed maphash.Seed
	seen *intern.Cache[uint64, struct{}]
}

// mostRecent is how many identities are remembered at least, some 50 bytes each.
const mostRecent = 1 << 16

func newRecent() *recent {
	return &recent{seed: maphash.MakeSeed(), seen: intern.New[uint64, struct{}](mostRecent)}
}

func (r *recent) hash(h *maphash.Hash, of *usage.Record) uint64 {
	h.Reset()
	for _, text := range [...]string{of.Tenant, of.Source, of.ID} {
		h.WriteString(text)
		h.WriteByte(0xff) // which no text has
	}
	return h.Sum64()
}

// among returns those of some places of a batch whose identities were seen.
func (r *recent) among(b *usage.Batch, at []int) []int {
	var h maphash.Hash
	h.SetSeed(r.seed)
	var out []int
	for _, i := range at {
		if _, ok := r.seen.Get(r.hash(&h, &b.At(i).Record)); ok {
			out = append(out, i)
		}
	}
	return out
}

// add remembers identities that are booked.
func (r *recent) add(b *usage.Batch, at []int) {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, i := range at {
		r.seen.Put(r.hash(&h, &b.At(i).Record), struct{}{})
	}
}

// isMisjudged reports whether a statement of insertion failed because records
// that were not looked up were booked already.
func isMisjudged(err error) bool {
	pg := (*pgconn.PgError)(nil)
	return errors.As(err, &pg) && pg.Code == "22012" // division by zero
}
