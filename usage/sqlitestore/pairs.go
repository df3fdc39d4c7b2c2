package sqlitestore

import (
	"context"
	"math"
	"sync"
)

// pair is a tenant with a meter: what the records are sorted by first.
type pair struct {
	code          int64
	tenant, meter string
}

// void reports whether it is that of records without meter and start.
func (p *pair) void() bool { return p.meter == "" }

// pairs is the list of all pairs as of a moment. A pair that is not in it has no
// record up to that moment, and none is ever taken away: so whoever reads as of an
// earlier mark need not ask the file.
type pairs struct {
	mu       sync.RWMutex
	list     []*pair // by code - 1
	byTenant map[string][]*pair
	// Nothing that was booked up to this sequence, and no rollup row that was
	// committed up to this checkpoint, has another pair.
	asOf, checkpoint int64
}

// upTo returns the list with every pair that has a record up to a sequence.
func (p *pairs) upTo(ctx context.Context, c *conn, seq int64) (list []*pair, byTenant func(string) []*pair, err error) {
	return p.complete(ctx, c, func() bool { return p.asOf >= seq })
}

// upToCheckpoint returns the list with every pair that has a rollup row up to a
// checkpoint.
func (p *pairs) upToCheckpoint(ctx context.Context, c *conn, at int64) (list []*pair, byTenant func(string) []*pair, err error) {
	return p.complete(ctx, c, func() bool { return p.checkpoint >= at })
}

func (p *pairs) complete(ctx context.Context, c *conn, enough func() bool) (list []*pair, byTenant func(string) []*pair, err error) {
	p.mu.RLock()
	known := enough()
	p.mu.RUnlock()
	if !known {
		if err := p.refresh(ctx, c); err != nil {
			return nil, nil, err
		}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.list, func(tenant string) []*pair {
		p.mu.RLock()
		defer p.mu.RUnlock()
		return p.byTenant[tenant]
	}, nil
}

// at returns the pair of a code.
func (p *pairs) at(ctx context.Context, c *conn, code int64) (*pair, error) {
	for again := false; ; again = true {
		if of := p.known(code); of != nil {
			return of, nil
		}
		if again {
			return nil, damaged("there is no name %d of kind %d", code, pairName)
		}
		if err := p.refresh(ctx, c); err != nil {
			return nil, err
		}
	}
}

// known returns the pair of a code if it is in the list.
func (p *pairs) known(code int64) *pair {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if code < 1 || code > int64(len(p.list)) {
		return nil
	}
	return p.list[code-1]
}

func parsePair(code int64, content []byte) (*pair, error) {
	d := cutter{data: content}
	of := &pair{code: code, tenant: d.text()}
	of.meter = string(d.data)
	if d.bad {
		return nil, unknownForm(pairName, code)
	}
	return of, nil
}

// refresh reads what is not in the list yet.
func (p *pairs) refresh(ctx context.Context, c *conn) error {
	// First: a pair that is committed between the two is in the list, and one
	// that is committed after both has records above this sequence only.
	asOf, err := newest(ctx, c)
	if err != nil {
		return err
	}
	checkpoint, err := checkpointUpTo(ctx, c, math.MaxInt64)
	if err != nil {
		return err
	}
	p.mu.RLock()
	have := int64(len(p.list))
	p.mu.RUnlock()
	r, err := c.query(ctx, "SELECT code, content, crc FROM usagebook_names WHERE kind = ? AND code > ? ORDER BY code", int64(pairName), have)
	if err != nil {
		return err
	}
	defer r.close()
	var fresh []*pair
	for r.next() {
		code, content := r.int(0), r.blob(1)
		have++
		if code != have || r.int(2) != int64(sumOf(content, pairName, code)) {
			return damaged("the checksum of name %d of kind %d is wrong", code, pairName)
		}
		of, err := parsePair(code, content)
		if err != nil {
			return err
		}
		fresh = append(fresh, of)
	}
	if err := r.close(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byTenant == nil {
		p.byTenant = make(map[string][]*pair)
	}
	for _, of := range fresh {
		if of.code == int64(len(p.list))+1 { // else another one was faster
			p.list = append(p.list, of)
			p.byTenant[of.tenant] = append(p.byTenant[of.tenant], of)
		}
	}
	p.asOf, p.checkpoint = max(p.asOf, asOf), max(p.checkpoint, checkpoint.at)
	return nil
}
