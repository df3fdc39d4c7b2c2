package usage_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// TestSealerHasTheKeysOfTheBook: an adapter's token is signed with the book's
// keys, and is no page token of the book for all that.
func TestSealerHasTheKeysOfTheBook(t *testing.T) {
	t.Parallel()
	keys := []paginate.Key{{ID: "k", Secret: bytes.Repeat([]byte{7}, 32)}}
	one, two := newBook(t, &usage.Options{TokenKeys: keys}), newBook(t, &usage.Options{TokenKeys: keys})
	binding := paginate.Binding{Scope: paginate.Digest("scope", "acme"), Query: paginate.Digest("adapter route", "q")}
	text, err := one.Sealer().Seal(paginate.Token{Binding: binding, Mark: 7})
	require.NoError(t, err)
	token, err := two.Sealer().Open(text, binding)
	require.NoError(t, err)
	require.EqualValues(t, 7, token.Mark)
	require.False(t, token.Expires.IsZero(), "it lives as long as the book's own")
	_, err = newBook(t, nil).Sealer().Open(text, binding)
	require.ErrorIs(t, err, paginate.ErrTokenKey)
	_, err = two.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Token: text})
	require.ErrorIs(t, err, paginate.ErrToken)
}
