package usage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// What a receipt and an error say stays as it is whatever is booked after it: no
// memory of a batch is lent on that somebody may still look at.
func TestReceiptsStay(t *testing.T) {
	t.Parallel()
	store := memstore.New(nil)
	book, err := usage.New(store, nil)
	require.NoError(t, err)
	say := func(r *usage.Receipt, err error) string {
		var failed *usage.AppendError
		require.ErrorAs(t, err, &failed)
		text := fmt.Sprintf("%+v\n%v\n", r.Entries, err)
		for _, f := range failed.Failures {
			text += fmt.Sprintf("%+v\n", f)
		}
		return text
	}
	type answer struct {
		receipt *usage.Receipt
		err     error
		said    string
	}
	var answers []answer
	for b := range 8 {
		var records []usage.Record
		for i := range 20 - b%3 {
			r := usage.Record{Tenant: fmt.Sprint("t", b), Source: "s", ID: fmt.Sprint(b, "/", i%15), Meter: "m", Start: time.Date(2026, 3, 1, b, i%15, 0, 0, time.UTC),
				Values: usage.Quantity(decimal.New(int64(i%14), 0)), Dimensions: usage.Dimensions{}.With("batch", fmt.Sprint(b))}
			switch i % 7 {
			case 3:
				r.Meter = strings.Repeat("m", 129)
			case 5:
				r.ID = fmt.Sprint(b, "\x00", i)
			}
			records = append(records, r)
		}
		receipt, err := book.Append(t.Context(), records...)
		answers = append(answers, answer{receipt, err, say(receipt, err)})
		for _, a := range answers {
			require.Equal(t, a.said, say(a.receipt, a.err))
		}
	}
	rows := 0
	sel := usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 1000}}
	for r, err := range store.Scan(t.Context(), sel) {
		require.NoError(t, err)
		batch, _ := r.Dimensions.Get("batch")
		require.Equal(t, "t"+batch, r.Tenant)
		require.True(t, strings.HasPrefix(r.ID, batch+"/"), r.ID)
		rows++
	}
	require.Greater(t, rows, 8*8)
}
