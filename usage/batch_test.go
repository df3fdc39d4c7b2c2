package usage

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Which entries of a batch repeat an earlier one, held against a map.
func TestIdentities(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 8))
	for n := range 200 {
		b := &Batch{entries: make([]Entry, n)}
		different := 1 + rnd.IntN(1+n)
		for i := range b.entries {
			e := &b.entries[i]
			k := rnd.IntN(different)
			// Each pair of the three alone does not tell them apart.
			e.Record.Tenant, e.Record.Source, e.Record.ID = fmt.Sprint(k%2), fmt.Sprint(k/2%2), fmt.Sprint(k/4)
			e.Anonymous = rnd.IntN(20) == 0
		}
		b.index()
		firsts := map[Identity]int{}
		for i := range b.entries {
			id := b.entries[i].Record.Identity()
			if !b.entries[i].Anonymous {
				if _, ok := firsts[id]; !ok {
					firsts[id] = i
				}
				require.Equal(t, firsts[id], b.identities.first(i))
			}
		}
		if n < 2 {
			continue // a batch of one has no table
		}
		for k := range different + 4 {
			id := Identity{fmt.Sprint(k % 2), fmt.Sprint(k / 2 % 2), fmt.Sprint(k / 4)}
			want, ok := firsts[id]
			if !ok {
				want = -1
			}
			require.Equal(t, want, b.identities.find(b, &id))
		}
	}
}
