package memstore

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
)

// A scan by identities that is under way when the store is closed finds nothing
// more.
func TestFindAfterClose(t *testing.T) {
	t.Parallel()
	s := New(nil)
	book, err := usage.New(s, nil)
	require.NoError(t, err)
	r := usage.Record{Tenant: "acme", Source: "s", ID: "1", Meter: "m", Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Values: usage.Quantity(decimal.New(1, 0))}
	_, err = book.Append(t.Context(), r)
	require.NoError(t, err)
	_, found := s.find(r.Identity())
	require.True(t, found)
	require.NoError(t, s.Close())
	_, found = s.find(r.Identity())
	require.False(t, found)
}
