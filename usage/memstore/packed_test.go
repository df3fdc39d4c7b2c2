package memstore

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPacked(t *testing.T) {
	t.Parallel()
	const minute = 60_000_000
	for name, values := range map[string][]int64{
		"none":                {},
		"one":                 {-7},
		"equal":               {5, 5, 5},
		"bits":                {0, 1, 1, 0, 1},
		"minutes":             {90 * minute, 3 * minute, -10 * minute, 3 * minute},
		"widest of one load":  {0, 1<<57 - 1, 12345, 1 << 56},
		"a bit more":          {0, 1 << 57, 1, 1<<58 - 1},
		"all of int64":        {math.MinInt64, math.MaxInt64, 0, -1},
		"ascending":           {1, 2, 4, 8, 16, 32},
		"steps of the extent": {math.MinInt64, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range []packed{pack(values), packSteps(values)} {
				for i, want := range values {
					require.Equal(t, want, p.at(i))
				}
				for from := range values {
					got := make([]int64, len(values)-from)
					p.read(got, from)
					require.Equal(t, values[from:], got)
				}
			}
		})
	}
}

func TestPackedIsSmall(t *testing.T) {
	t.Parallel()
	hours := make([]int64, 1000)
	for i := range hours {
		hours[i] = 1_767_225_600_000_000 + int64(i%90)*3_600_000_000
	}
	require.LessOrEqual(t, len(packSteps(hours).data), 1000*7/8+9)
	require.Empty(t, pack(make([]int64, 1000)).data)
}

func TestPackedSearch(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	values := make([]int64, 300)
	for i := range values {
		values[i] = rnd.Int64N(200) - 100
	}
	slices.Sort(values)
	p := pack(values)
	for v := int64(-102); v < 103; v++ {
		want, _ := slices.BinarySearch(values, v)
		require.Equal(t, want, p.search(0, len(values), v))
	}
}

func FuzzPacked(f *testing.F) {
	f.Add(int64(0), int64(1), int64(-1), uint8(3))
	f.Add(int64(math.MinInt64), int64(math.MaxInt64), int64(7), uint8(63))
	f.Fuzz(func(t *testing.T, a, b, c int64, shift uint8) {
		values := []int64{a, b, c, a >> (shift & 63), b >> (shift & 63), a}
		for _, p := range []packed{pack(values), packSteps(values)} {
			for i, want := range values {
				if got := p.at(i); got != want {
					t.Fatalf("element %d of %v is %d", i, values, got)
				}
			}
		}
	})
}
