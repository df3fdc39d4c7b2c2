package purecloud

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
)

// Cancel cancels a running execution of callers with these tenants.
func Cancel(t testing.TB, b *usage.Book, id string, tenants ...string) {
	t.Helper()
	x, err := b.Cancel(t.Context(), ownerOf(tenants), id)
	require.NoError(t, err)
	require.Equal(t, usage.ExecutionCancelled, x.State)
}
