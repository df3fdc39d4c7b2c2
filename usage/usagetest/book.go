package usagetest

import (
	"testing"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// NewBook returns a book over a store in memory and the clock that it goes by,
// which stands at [Epoch]. The options may be nil; they are copied, and their
// Now is replaced by the clock. The store is closed when the test ends. Options
// that usage.New refuses end the test.
func NewBook(t testing.TB, opts *usage.Options) (*usage.Book, *Clock) {
	t.Helper()
	var o usage.Options
	if opts != nil {
		o = *opts
	}
	clock := new(Clock)
	o.Now = clock.Now
	store := memstore.New(nil)
	t.Cleanup(func() { _ = store.Close() })
	book, err := usage.New(store, &o)
	if err != nil {
		t.Fatalf("usagetest: %v", err)
	}
	return book, clock
}

// Append books records that are all to be new: any other outcome ends the test.
// It returns the receipt.
func Append(t testing.TB, book *usage.Book, records ...usage.Record) *usage.Receipt {
	t.Helper()
	receipt, err := book.Append(t.Context(), records...)
	if err != nil {
		t.Fatalf("usagetest: %v", err)
	}
	for i, e := range receipt.Entries {
		if e.Outcome != usage.Inserted {
			t.Fatalf("usagetest: record %d (source %q, id %q) is %s, want inserted", i, records[i].Source, records[i].ID, e.Outcome)
		}
	}
	return receipt
}
