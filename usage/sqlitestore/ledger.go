package sqlitestore

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// ledger answers what the judge asks, inside the transaction that books. Its
// methods have no way to fail: err is what went wrong first.
type ledger struct {
	w     *writer
	batch *usage.Batch
	// written says which records of the batch were written before it was judged;
	// nil: none.
	written []bool
	next    int      // the entry that the judge is likely to ask about next
	entry   logEntry // the last one that was looked up
	err     error
}

// at returns the place of an entry in the batch.
func (l *ledger) at(e *usage.Entry) int {
	for l.batch.At(l.next) != e {
		if l.next++; l.next == l.batch.Len() {
			l.next = 0
		}
	}
	return l.next
}

// Find implements usage.Ledger.
func (l *ledger) Find(e *usage.Entry) (found, same bool, at uint64, recorded time.Time) {
	if l.err != nil || l.written != nil && l.written[l.at(e)] {
		return false, false, 0, time.Time{}
	}
	key, err := l.w.keyOf(e.Record.Identity())
	if err != nil || key == nil {
		l.err = err
		return false, false, 0, time.Time{}
	}
	b, found, err := findRecord(background, l.w.c, key)
	if err != nil || !found {
		l.err = err
		return false, false, 0, time.Time{}
	}
	if same, err = l.same(&b, &e.Record); err != nil {
		l.err = err
		return false, false, 0, time.Time{}
	}
	us, err := l.recorded(b.seq)
	if err != nil {
		l.err = err
		return false, false, 0, time.Time{}
	}
	return true, same, uint64(b.seq), instant(us)
}

// recorded returns when a record was booked.
func (l *ledger) recorded(seq int64) (int64, error) {
	if seq < l.entry.first || seq > l.entry.last() || l.entry.records == 0 {
		e, found, err := entryOf(background, l.w.c, seq)
		if err != nil {
			return 0, err
		}
		if !found || seq > e.last() {
			return 0, damaged("record %d is not in the log", seq)
		}
		l.entry = e
	}
	return l.entry.recorded, nil
}

// same compares what is booked with a record.
func (l *ledger) same(b *booked, r *usage.Record) (bool, error) {
	n, c := l.w.names, l.w.c
	have := usage.Record{Meter: r.Meter, Dimensions: r.Dimensions}
	if n.remembered(r) != b.content.series {
		// A name has one code, so that it is another series, or one that is not at hand.
		series, err := n.seriesOf(background, c, b.content.series)
		if err != nil {
			return false, err
		}
		have.Meter, have.Dimensions = series.Meter, series.Dimensions
	}
	names, err := n.shapeOf(background, c, b.content.shape)
	if err != nil {
		return false, err
	}
	if have.Values, err = b.content.read(names, b.seq); err != nil {
		return false, err
	}
	have.Start, have.End = b.times()
	if b.seq > 0 {
		of, found, err := findChain(background, c, b.place)
		if err != nil {
			return false, err
		}
		if found && of.kind != 0 {
			target, err := n.identity(background, c, of.target)
			if err != nil {
				return false, err
			}
			have.Corrects = &usage.Correction{Kind: of.kind, Source: target.Source, ID: target.ID}
		}
	}
	return usage.SameContent(r, &have), nil
}

// Target implements usage.Ledger.
func (l *ledger) Target(id usage.Identity) (found bool, t usage.Target) {
	if l.err != nil {
		return false, t
	}
	key, err := l.w.keyOf(id)
	if err != nil || key == nil {
		l.err = err
		return false, t
	}
	b, found, err := findRecord(background, l.w.c, key)
	if err != nil || !found {
		l.err = err
		return false, t
	}
	of, chained, err := findChain(background, l.w.c, b.place)
	if err != nil {
		l.err = err
		return false, t
	}
	if chained {
		t.Void = of.kind == usage.Void
		if of.by != 0 {
			by, err := l.w.names.identity(background, l.w.c, of.byID)
			if err != nil {
				l.err = err
				return false, t
			}
			t.CorrectedBy = &by
		}
	}
	return true, t
}

// booked is a record as it is kept.
type booked struct {
	place
	key     []byte
	content content
}

// times returns start and end.
func (b *booked) times() (start, end time.Time) {
	if b.start == zeroStart {
		return time.Time{}, time.Time{}
	}
	if b.content.span != 0 {
		end = instant(b.start + b.content.span)
	}
	return instant(b.start), end
}

// findRecord looks an identity up.
func findRecord(ctx context.Context, c *conn, key []byte) (b booked, found bool, err error) {
	var data []byte
	found, err = c.one(ctx, "SELECT pair, start, seq, data FROM usagebook_records WHERE id = ?", []driver.Value{key}, func(r *rows) {
		b.place, data = place{r.int(0), r.int(1), r.int(2)}, r.blob(3)
	})
	if err != nil || !found {
		return b, false, err
	}
	b.key = key
	b.content, err = parseContent(data, b.place)
	if err == nil && b.content.idSum != sumOf(key) {
		err = damaged("the identity of record %d is not its own", b.seq)
	}
	return b, true, err
}
