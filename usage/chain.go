package usage

import (
	"context"
	"errors"
	"slices"
)

// link is what a chain of corrections says about a record.
type link struct {
	// counts reports whether the record's own values count.
	counts bool
	// steps are the corrections that follow the record, nearest first.
	steps []CorrectedBy
}

// counted decides, in one place for every query, which records count: records
// are those of a scan as of the mark. A record without a correction counts
// unless it is a void. A replaced one does not. For a voided one the voids that
// follow each other decide: an odd number of them takes it away, an even number
// leaves it. (A void can only be voided, never replaced, so nothing but voids
// follows a void.)
//
// It asks the store for the voids' own corrections, level by level, and for
// nothing when no record is voided. The steps that follow a void, which counts
// nothing anyhow, are asked for only when the whole chain is wanted.
func (b *Book) counted(ctx context.Context, mark Mark, records []*Stored, whole bool) ([]link, error) {
	out := make([]link, len(records))
	next := make(map[Identity][]int) // the voids whose own correction decides
	for i, r := range records {
		if r.CorrectedBy == nil {
			out[i].counts = !r.isVoid()
			continue
		}
		out[i].steps = []CorrectedBy{*r.CorrectedBy}
		if r.CorrectedBy.Kind == Void && (!r.isVoid() || whole) {
			id := Identity{r.Tenant, r.CorrectedBy.Source, r.CorrectedBy.ID}
			next[id] = append(next[id], i)
		}
	}
	for len(next) > 0 {
		found, err := b.lookup(ctx, mark, next)
		if err != nil {
			return nil, err
		}
		after := make(map[Identity][]int)
		for id, of := range next {
			void := found[id]
			for _, i := range of {
				if void == nil || void.CorrectedBy == nil {
					out[i].counts = len(out[i].steps)%2 == 0 && !records[i].isVoid()
					continue
				}
				out[i].steps = append(out[i].steps, *void.CorrectedBy)
				nextID := Identity{id.Tenant, void.CorrectedBy.Source, void.CorrectedBy.ID}
				after[nextID] = append(after[nextID], i)
			}
		}
		next = after
	}
	return out, nil
}

// scanBatch is how many records a scan holds until their standing is resolved.
const scanBatch = 512

// errStop, from the visitor of a scan, ends it early without fault.
var errStop = errors.New("enough")

// scanLinked visits the records of a selection, in the order of the scan, with
// what their chains say of them as of the selection's mark.
func (b *Book) scanLinked(ctx context.Context, sel Selection, visit func(*Stored, link) error) error {
	var batch []*Stored // made when there is something: mostly nothing is chained
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		links, err := b.counted(ctx, sel.Mark, batch, false)
		if err != nil {
			return err
		}
		for i, s := range batch {
			if err := visit(s, links[i]); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	for s, err := range b.store.Scan(ctx, sel) {
		if err != nil {
			return err
		}
		if batch == nil {
			batch = make([]*Stored, 0, scanBatch)
		}
		if batch = append(batch, s); len(batch) == scanBatch {
			if err := flush(); err != nil {
				return stopped(err)
			}
		}
	}
	return stopped(flush())
}

func stopped(err error) error {
	if err == errStop {
		return nil
	}
	return err
}

// lookup reads the records of some identities as of a mark.
func (b *Book) lookup(ctx context.Context, mark Mark, ids map[Identity][]int) (map[Identity]*Stored, error) {
	list := make([]Identity, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	return b.find(ctx, mark, list)
}

func (b *Book) find(ctx context.Context, mark Mark, ids []Identity) (map[Identity]*Stored, error) {
	var tenants []string
	for _, id := range ids {
		tenants = append(tenants, id.Tenant)
	}
	found := make(map[Identity]*Stored, len(ids))
	for chunk := range slices.Chunk(ids, 1000) {
		for s, err := range b.store.Scan(ctx, Selection{Scope: ForTenants(tenants...), Mark: mark, Identities: chunk}) {
			if err != nil {
				return nil, err
			}
			found[s.Identity()] = s
		}
	}
	return found, nil
}

// originals follows corrections back to the records whose standing they change:
// the plain or replacing record that a chain of voids is about.
func (b *Book) originals(ctx context.Context, mark Mark, corrections []*Stored) ([]*Stored, error) {
	var out []*Stored
	seen := make(map[Identity]bool)
	var next []Identity
	want := func(tenant string, c *Correction) {
		id := Identity{tenant, c.Source, c.ID}
		if !seen[id] {
			seen[id] = true
			next = append(next, id)
		}
	}
	for _, c := range corrections {
		want(c.Tenant, c.Corrects)
	}
	for len(next) > 0 {
		found, err := b.find(ctx, mark, next)
		if err != nil {
			return nil, err
		}
		next = next[:0:0]
		for _, s := range found {
			if s.isVoid() {
				want(s.Tenant, s.Corrects)
			} else {
				out = append(out, s)
			}
		}
	}
	return out, nil
}
