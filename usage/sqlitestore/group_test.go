package sqlitestore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
)

// A read may ask for more values than a record has, and for one of them twice.
func TestGroupOfManyValues(t *testing.T) {
	t.Parallel()
	s := openStore(t, temp(t), nil)
	mustAppend(t, newBook(t, s), uses("r", 30)...)
	names := make([]string, 300)
	for i := range names {
		names[i] = fmt.Sprint("v", i)
	}
	names[200], names[290] = usage.QuantityName, usage.QuantityName
	read := usage.GroupRead{
		Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 30}, Class: usage.Plain},
		Group:     func(*usage.Series, usage.VerdictClass) int { return 0 },
		Values:    names,
	}
	n := 0
	for row, err := range s.Group(t.Context(), read) {
		require.NoError(t, err)
		n++
		for i := range names {
			if names[i] == usage.QuantityName {
				require.Equal(t, int64(30), row.Values[i].Count)
				require.Equal(t, "30.75", row.Values[i].Sum.String())
			} else {
				require.Zero(t, row.Values[i].Count)
			}
		}
	}
	require.Equal(t, 1, n)
}

// What a callback panics with comes through, and the store goes on.
func TestPanicInCallback(t *testing.T) {
	t.Parallel()
	s := openStore(t, temp(t), nil)
	book := newBook(t, s)
	mustAppend(t, book, uses("r", 30)...)
	sel := usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 30}}
	for range 10 { // more often than there are readers
		require.Panics(t, func() {
			own := sel
			own.Class = usage.Plain
			for range s.Group(t.Context(), usage.GroupRead{Selection: own, Group: func(*usage.Series, usage.VerdictClass) int { panic("group") }}) {
			}
		})
		require.Panics(t, func() {
			own := sel
			own.Series = func(*usage.Series) bool { panic("series") }
			for range s.Scan(t.Context(), own) {
			}
		})
	}
	mustAppend(t, book, uses("more", 30)...)
	require.NoError(t, s.Check(t.Context()))
}
