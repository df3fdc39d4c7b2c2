package usagetest

import (
	"errors"
	"testing"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// NewBook returns a book of the test's own, in memory, and the clock it goes
// by. The options are those of usage.New; nil works, and Now is the clock
// unless the options have one, in which case the returned clock is not used.
func NewBook(tb testing.TB, opts *usage.Options) (*usage.Book, *Clock) {
	tb.Helper()
	var o usage.Options
	if opts != nil {
		o = *opts
	}
	clock := NewClock(time.Time{})
	if o.Now == nil {
		o.Now = clock.Now
	}
	store := memstore.New(nil)
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Errorf("usagetest: close: %v", err)
		}
	})
	book, err := usage.New(store, &o)
	if err != nil {
		tb.Fatalf("usagetest: %v", err)
	}
	return book, clock
}

// Append books records and fails the test when one of them is not in the book
// afterwards. It returns the receipt, whose duplicates are no failure.
func Append(tb testing.TB, book *usage.Book, records ...usage.Record) *usage.Receipt {
	tb.Helper()
	receipt, err := book.Append(tb.Context(), records...)
	if err != nil {
		tb.Fatalf("usagetest: %v", err)
	}
	return receipt
}

// Bookings is what a scope of a book holds; see [Booked]. Its methods fail the
// test where the book holds something else, go on, and return the receiver, so
// that they can be chained.
type Bookings struct {
	tb    testing.TB
	book  *usage.Book
	scope usage.Scope
	query usage.Query
}

// Booked begins assertions on what a scope of the book holds, as of now.
func Booked(tb testing.TB, book *usage.Book, scope usage.Scope) *Bookings {
	return &Bookings{tb: tb, book: book, scope: scope}
}

// Where narrows the assertions that follow to the records for which a filter
// holds.
func (b *Bookings) Where(filter string) *Bookings {
	own := *b
	own.query.Filter = filter
	return &own
}

// Between narrows the assertions that follow to records with from <= Start < to.
func (b *Bookings) Between(from, to time.Time) *Bookings {
	own := *b
	own.query.From, own.query.To = from, to
	return &own
}

// Total asserts the sum of a value, given as text; numbers are compared by
// value, so "1.50" is "1.5".
func (b *Bookings) Total(value, want string) *Bookings {
	b.tb.Helper()
	n, err := aggregate.ParseSum(want)
	if err != nil {
		b.tb.Fatalf("usagetest: total of %q: %v", value, err)
	}
	cell, ok := b.measure(usage.Measure{Name: "total", Of: value})
	if ok && !cell.Equal(&n) {
		b.tb.Errorf("usagetest: the total of %q is %s, want %s", value, cell.String(), want)
	}
	return b
}

// Count asserts the number of records that count.
func (b *Bookings) Count(want int) *Bookings {
	b.tb.Helper()
	n := aggregate.Sum{}
	n.Add(aggregate.Int(int64(want)))
	cell, ok := b.measure(usage.Measure{Name: "records", Aggregation: usage.Count})
	if ok && !cell.Equal(&n) {
		b.tb.Errorf("usagetest: %s records count, want %d", cell.String(), want)
	}
	return b
}

// Nothing asserts that no record counts.
func (b *Bookings) Nothing() *Bookings {
	b.tb.Helper()
	return b.Count(0)
}

func (b *Bookings) measure(m usage.Measure) (*aggregate.Sum, bool) {
	b.tb.Helper()
	q := b.query
	q.Measures, q.ZeroFill = []usage.Measure{m}, true
	page, err := b.book.Query(b.tb.Context(), b.scope, q)
	if err != nil {
		b.tb.Errorf("usagetest: %v", err)
		return nil, false
	}
	text := "0"
	if len(page.Rows) > 0 && !page.Rows[0].Cells[0].IsNull() {
		text = page.Rows[0].Cells[0].String()
	}
	n, err := aggregate.ParseSum(text)
	if err != nil {
		b.tb.Errorf("usagetest: %v", err)
		return nil, false
	}
	return &n, true
}

// Record asserts that a record with this content is booked under its identity,
// whether or not it still counts.
func (b *Bookings) Record(want usage.Record) *Bookings {
	b.tb.Helper()
	id := want.Identity()
	got, err := b.book.Explain(b.tb.Context(), b.scope, usage.Explain{Identity: &id})
	switch {
	case err != nil:
		b.tb.Errorf("usagetest: %v", err)
	case !got.Booked:
		b.tb.Errorf("usagetest: no record with source %q and id %q is booked for %q", id.Source, id.ID, id.Tenant)
	default:
		if err := b.same(want, &got.Records[0].Record); err != nil {
			b.tb.Errorf("usagetest: the record with source %q and id %q: %v", id.Source, id.ID, err)
		}
	}
	return b
}

func (b *Bookings) same(want usage.Record, got *usage.Record) error {
	batch, err := b.book.Prepare(usage.AppendOptions{}, want)
	if err != nil {
		return err
	}
	e := batch.At(0)
	if e.Malformed || e.Anonymous {
		return errors.New("the wanted record could not be booked: " + e.Violations[0].Field + " " + e.Violations[0].Message)
	}
	if !usage.SameContent(&e.Record, got) {
		return errors.New("is booked with other content: " + describe(got) + ", want " + describe(&e.Record))
	}
	return nil
}

func describe(r *usage.Record) string {
	s := r.Meter + " at " + r.Start.Format(time.RFC3339Nano)
	if !r.End.IsZero() {
		s += " to " + r.End.Format(time.RFC3339Nano)
	}
	s += " " + r.Values.String() + " " + r.Dimensions.String()
	if c := r.Corrects; c != nil {
		s += " " + c.Kind.String() + " of " + c.Source + " " + c.ID
	}
	return s
}
