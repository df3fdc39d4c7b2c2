package memstore

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table is held against a map, with hashes that collide a lot.
func TestTable(t *testing.T) {
	t.Parallel()
	for name, hashes := range map[string]uint32{"hashes of all kinds": 1<<32 - 1, "few hashes": 40, "one hash": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(5, uint64(hashes)))
			var tab table
			there := map[uint32]uint32{} // number -> hash
			numbers := []uint32{}
			hash := func() uint32 {
				h := rnd.Uint32() % hashes
				if hashes == 40 {
					h = -h // at the end of the table, so that probing goes round
				}
				return h
			}
			find := func(h, n uint32) bool {
				got, ok := tab.find(h, func(x uint32) bool { return x == n })
				return ok && got == n
			}
			for step := range 4000 {
				switch k := rnd.IntN(10); {
				case k < 5 || len(numbers) == 0:
					n, h := uint32(step), hash()
					tab.insert(h, n)
					there[n], numbers = h, append(numbers, n)
				case k < 8:
					i := rnd.IntN(len(numbers))
					n := numbers[i]
					tab.remove(there[n], n)
					require.False(t, find(there[n], n))
					delete(there, n)
					numbers[i] = numbers[len(numbers)-1]
					numbers = numbers[:len(numbers)-1]
				default:
					i := rnd.IntN(len(numbers))
					n := numbers[i]
					h := there[n]
					tab.replace(h, n, uint32(step))
					delete(there, n)
					there[uint32(step)], numbers[i] = h, uint32(step)
				}
				require.Equal(t, len(there), tab.n)
				if step%50 == 0 {
					for n, h := range there {
						require.True(t, find(h, n), "number %d with hash %d at step %d", n, h, step)
					}
				}
			}
		})
	}
}
