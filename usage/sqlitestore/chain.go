package sqlitestore

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"maps"
	"sync"

	"github.com/usagebook/usagebook/usage"
)

// chain is a row of usagebook_chained: a record that is a correction, or has one,
// or both.
type chain struct {
	place
	since  int64
	kind   usage.CorrectionKind // 0: it is no correction
	target []byte               // the key of what it corrects
	by     int64                // 0: it is not corrected
	byKind usage.CorrectionKind
	byID   []byte
}

// chainColumns are what readChain reads.
const chainColumns = "pair, start, seq, since, kind, target, by, by_kind, by_id, crc"

func (h *chain) sum() int64 {
	keys := append(binary.AppendUvarint(nil, uint64(len(h.target))), h.target...)
	return int64(sumOf(append(keys, h.byID...), h.pair, h.start, h.seq, h.since, int64(h.kind), h.by, int64(h.byKind)))
}

func readChain(r *rows, i int) chain {
	h := chain{place: place{r.int(i), r.int(i + 1), r.int(i + 2)}, since: r.int(i + 3), target: r.blob(i + 5), byID: r.blob(i + 8)}
	if !r.null(i + 4) {
		h.kind = usage.CorrectionKind(r.int(i + 4))
	}
	if !r.null(i + 6) {
		h.by, h.byKind = r.int(i+6), usage.CorrectionKind(r.int(i+7))
	}
	if sum := r.int(i + 9); r.err == nil && sum != h.sum() {
		r.err = damaged("the checksum of the corrections of record %d is wrong", h.seq)
	}
	return h
}

func (h *chain) write(c *conn) error {
	var kind, by, byKind driver.Value
	if h.kind != 0 {
		kind = int64(h.kind)
	}
	if h.by != 0 {
		by, byKind = h.by, int64(h.byKind)
	}
	_, err := c.exec(background, "INSERT OR REPLACE INTO usagebook_chained ("+chainColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		h.pair, h.start, h.seq, h.since, kind, h.target, by, byKind, h.byID, h.sum())
	return err
}

func findChain(ctx context.Context, c *conn, at place) (h chain, found bool, err error) {
	found, err = c.one(ctx, "SELECT "+chainColumns+" FROM usagebook_chained WHERE pair = ? AND start = ? AND seq = ?", []driver.Value{at.pair, at.start, at.seq}, func(r *rows) { h = readChain(r, 0) })
	return h, found, err
}

// chainedPairs knows the pairs that have chained records, as of a moment: most
// have none, and reading them need not ask.
type chainedPairs struct {
	mu   sync.Mutex
	of   map[int64]bool // never changed, only replaced
	asOf int64
}

// upTo returns at least the pairs that have records which were chained up to a
// sequence.
func (p *chainedPairs) upTo(ctx context.Context, c *conn, seq int64) (map[int64]bool, error) {
	p.mu.Lock()
	of, asOf := p.of, p.asOf
	p.mu.Unlock()
	if asOf >= seq {
		return of, nil
	}
	now, err := newest(ctx, c)
	if err != nil {
		return nil, err
	}
	// A record that was chained before and is corrected only now is of a pair
	// that is known.
	r, err := c.query(ctx, "SELECT DISTINCT pair FROM usagebook_chained WHERE since > ?", asOf)
	if err != nil {
		return nil, err
	}
	fresh := maps.Clone(of)
	for r.next() {
		if fresh == nil {
			fresh = make(map[int64]bool)
		}
		fresh[r.int(0)] = true
	}
	if err := r.close(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now > p.asOf {
		p.of, p.asOf = fresh, now
	}
	return fresh, nil
}
