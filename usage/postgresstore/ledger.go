package postgresstore

import (
	"context"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// ledger is what the judge asks: what was found booked, for identities that were
// looked up before.
type ledger struct {
	store   *Store
	in      session
	found   map[usage.Identity]*bookedRecord
	targets map[usage.Identity]*target
}

// bookedRecord is what is booked under an identity.
type bookedRecord struct {
	record   usage.Record
	sequence uint64 // 0: not settled yet
	recorded time.Time

	series, shape int64
	value         []byte
	more          []byte
}

// target is what corrections name.
type target struct {
	batch, ord int64
	there      bool // booked
	void       bool
	by         *usage.Identity
}

// find looks entries of a batch up.
func (l *ledger) find(ctx context.Context, b *usage.Batch, at []int) error {
	if len(at) == 0 {
		return nil
	}
	err := l.in.run(ctx, []statement{l.store.lookUpStatement(b, at)}, func(_ int, c [][]byte) error {
		k, err := parseInt(c[0])
		if err != nil {
			return err
		}
		return l.booked(&b.At(at[k-1]).Record, c[1:])
	})
	if err != nil {
		return err
	}
	return l.complete(ctx)
}

// booked takes a row of bookedColumns in.
func (l *ledger) booked(r *usage.Record, c [][]byte) error {
	out := &bookedRecord{record: usage.Record{Tenant: r.Tenant, Source: r.Source, ID: r.ID}}
	var err error
	get := func(i int) int64 {
		if err != nil || c[i] == nil {
			return 0
		}
		var n int64
		n, err = parseInt(c[i])
		return n
	}
	if c[2] != nil {
		out.sequence, out.recorded = uint64(get(2)), time.UnixMicro(get(3)).UTC()
	}
	out.series, out.shape = get(4), get(7)
	if start := get(5); start != voidStart {
		out.record.Start = time.UnixMicro(start).UTC()
	}
	if c[6] != nil {
		out.record.End = time.UnixMicro(get(6)).UTC()
	}
	out.value, out.more = append(out.value, c[8]...), append(out.more, c[9]...)
	if c[10] != nil {
		out.record.Corrects = &usage.Correction{Kind: usage.CorrectionKind(get(10)), Source: string(c[11]), ID: string(c[12])}
	}
	if l.found == nil {
		l.found = map[usage.Identity]*bookedRecord{}
	}
	l.found[r.Identity()] = out
	return err
}

// complete reads what the ids in the records that were found stand for.
func (l *ledger) complete(ctx context.Context) error {
	var ids, shapeIDs []int64
	for _, f := range l.found {
		if f.series != 0 {
			ids, shapeIDs = append(ids, f.series), append(shapeIDs, f.shape)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	series, err := l.store.resolveSeries(ctx, l.in, ids)
	if err != nil {
		return err
	}
	shapes, err := l.store.resolveShapes(ctx, l.in, shapeIDs)
	if err != nil {
		return err
	}
	for _, f := range l.found {
		if f.series == 0 {
			continue
		}
		x := series[f.series]
		f.record.Meter, f.record.Dimensions = x.Meter, x.Dimensions
		numbers := []string{}
		if len(f.value) > 0 {
			numbers = append(numbers, string(f.value))
		}
		if len(f.more) > 0 {
			rest, err := unquote(f.more)
			if err != nil {
				return err
			}
			numbers = append(numbers, rest...)
		}
		names := shapes[f.shape]
		if len(names) != len(numbers) {
			return damaged("a record has %d values and %d names for them", len(numbers), len(names))
		}
		list := make([]usage.Value, len(names))
		for i, name := range names {
			n, err := aggregate.ParseNumber(numbers[i])
			if err != nil {
				return damaged("%.80q is no number", numbers[i])
			}
			list[i] = usage.Value{Name: name, Number: n}
		}
		f.record.Values = usage.NewValues(list...)
		f.series, f.value, f.more = 0, nil, nil
	}
	return nil
}

// Find implements usage.Ledger.
func (l *ledger) Find(e *usage.Entry) (found, same bool, at uint64, recorded time.Time) {
	if l.found == nil {
		return false, false, 0, time.Time{}
	}
	f := l.found[e.Record.Identity()]
	if f == nil {
		return false, false, 0, time.Time{}
	}
	return true, usage.SameContent(&e.Record, &f.record), f.sequence, f.recorded
}

// Target implements usage.Ledger.
func (l *ledger) Target(id usage.Identity) (bool, usage.Target) {
	t := l.targets[id]
	if t == nil || !t.there {
		return false, usage.Target{}
	}
	return true, usage.Target{Void: t.void, CorrectedBy: t.by}
}
