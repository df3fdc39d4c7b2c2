package usagetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// Ledger says what a book holds for a scope. Its assertions report through
// t.Errorf, with the first records that count, and return the Ledger, so that
// they can follow each other; a question that fails ends the test. Void and
// replaced records do not count.
type Ledger struct {
	t     testing.TB
	book  *usage.Book
	scope usage.Scope
	query usage.Query
}

// Booked opens the ledger of a scope.
func Booked(t testing.TB, book *usage.Book, scope usage.Scope) *Ledger {
	return &Ledger{t: t, book: book, scope: scope}
}

// Where returns the ledger narrowed to the records that a filter selects, as in
// usage.Query.Filter. It takes the place of a filter given before.
func (l *Ledger) Where(filter string) *Ledger {
	own := *l
	own.query.Filter = filter
	return &own
}

// During returns the ledger narrowed to the event times from <= t < to.
func (l *Ledger) During(from, to time.Time) *Ledger {
	own := *l
	own.query.From, own.query.To = from, to
	return &own
}

// Total checks the sum of a value: Total("quantity", "12.5"). The sum of nothing
// is 0.
func (l *Ledger) Total(value, want string) *Ledger {
	l.t.Helper()
	n, err := aggregate.ParseNumber(want)
	if err != nil {
		l.t.Fatalf("usagetest: the wanted total: %v", err)
	}
	got := l.measure(usage.Measure{Name: "total", Of: value})
	if !got.Equal(n) {
		l.t.Errorf("usagetest: the total of %s is %s, want %s%s", value, got, n, l.records())
	}
	return l
}

// Count checks the number of records that count.
func (l *Ledger) Count(want int) *Ledger {
	l.t.Helper()
	got := l.measure(usage.Measure{Name: "total", Aggregation: usage.Count})
	if !got.Equal(aggregate.Int(int64(want))) {
		l.t.Errorf("usagetest: %s records are booked, want %d%s", got, want, l.records())
	}
	return l
}

// Nothing checks that no record counts.
func (l *Ledger) Nothing() *Ledger {
	l.t.Helper()
	return l.Count(0)
}

func (l *Ledger) measure(m usage.Measure) aggregate.Number {
	l.t.Helper()
	q := l.query
	q.Measures = []usage.Measure{m}
	page, err := l.book.Query(l.t.Context(), l.scope, q)
	if err != nil {
		l.t.Fatalf("usagetest: %v", err)
	}
	if len(page.Rows) == 0 {
		return aggregate.Number{}
	}
	// A sum is not bound to what a record may carry, but what a test expects
	// is: one that is larger is shown and not compared.
	got, err := aggregate.NumberOf(page.Rows[0].Get("total").Decimal())
	if err != nil {
		l.t.Fatalf("usagetest: %s: %v", page.Rows[0].Get("total"), err)
	}
	return got
}

// Has checks that a record is booked and counts, and returns it as it was
// booked; nil where it is not booked. Where and During narrow what counts.
func (l *Ledger) Has(tenant, source, id string) *usage.Stored {
	l.t.Helper()
	found := l.explain(tenant, source, id)
	switch {
	case found == nil:
		l.t.Errorf("usagetest: no record of tenant %q with source %q and id %q is booked%s", tenant, source, id, l.records())
		return nil
	case !found.Counted:
		l.t.Errorf("usagetest: the record with source %q and id %q is booked and does not count: %s %s", source, id, found.Why, found.Detail)
	}
	return &found.Stored
}

// HasNot checks that a record does not count: it was never booked, is corrected
// or outside of what Where and During narrow the ledger to.
func (l *Ledger) HasNot(tenant, source, id string) *Ledger {
	l.t.Helper()
	if found := l.explain(tenant, source, id); found != nil && found.Counted {
		l.t.Errorf("usagetest: the record with source %q and id %q counts, want that it does not: %s", source, id, line(&found.Stored))
	}
	return l
}

func (l *Ledger) explain(tenant, source, id string) *usage.Explained {
	l.t.Helper()
	identity := usage.Identity{Tenant: tenant, Source: source, ID: id}
	e, err := l.book.Explain(l.t.Context(), l.scope, usage.Explain{Query: l.query, Identity: &identity})
	if err != nil {
		l.t.Fatalf("usagetest: %v", err)
	}
	if !e.Booked || len(e.Records) == 0 {
		return nil
	}
	return &e.Records[0]
}

// records shows the first records that count, for messages.
func (l *Ledger) records() string {
	const most = 10
	q := l.query
	q.PageSize = most
	page, err := l.book.Query(l.t.Context(), l.scope, q)
	if err != nil {
		return "\n(" + err.Error() + ")"
	}
	if len(page.Rows) == 0 {
		return "; nothing is booked"
	}
	var b strings.Builder
	b.WriteString("; booked are")
	for i := range page.Rows {
		b.WriteString("\n  " + line(page.Rows[i].Record))
	}
	if page.Next != "" {
		b.WriteString("\n  and more")
	}
	return b.String()
}

func line(r *usage.Stored) string {
	return fmt.Sprintf("%s %s %s/%s at %s %v %v", r.Tenant, r.Meter, r.Source, r.ID, r.Start.Format(time.RFC3339Nano), r.Values, r.Dimensions)
}
