package usage

import "github.com/usagebook/usagebook/paginate"

// Sealer returns the sealer of the book's page tokens, for adapters whose own
// tokens are to be signed with the book's keys (Options.TokenKeys) and live as
// long (Options.TokenLifetime).
//
// What keeps tokens apart that share keys is [paginate.Binding]. The book's own
// are bound to paginate.Digest("query", ...) or paginate.Digest("explain", ...):
// the query digest of another kind of token begins with a name of its own, that
// of the adapter and its route, so that neither can be handed in as the other.
func (b *Book) Sealer() *paginate.Sealer { return b.tokens }
