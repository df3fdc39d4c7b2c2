package usage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
)

func TestPresentRepeatsItself(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	count := func(at usage.AsOf) int {
		page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{AsOf: at})
		require.NoError(t, err)
		return len(page.Rows)
	}
	empty, err := book.Present(t.Context())
	require.NoError(t, err)
	mustAppend(t, book, plainRecord("1"))
	one, err := book.Present(t.Context())
	require.NoError(t, err)
	mustAppend(t, book, plainRecord("2"))
	require.Equal(t, 0, count(empty))
	require.Equal(t, 1, count(one))
	require.Equal(t, 2, count(usage.AsOf{}))
}
