package memstore

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
)

func TestColumn(t *testing.T) {
	t.Parallel()
	wide, err := aggregate.ParseNumber("12345678901234567890123.000000000000000001")
	require.NoError(t, err)
	small := aggregate.Fixed
	for name, c := range map[string]struct {
		numbers []aggregate.Number
		uniform bool
	}{
		"one scale":                {[]aggregate.Number{small(15, 1), small(-25, 1), small(7, 1)}, true},
		"scales that fit one":      {[]aggregate.Number{small(15, 6), small(3, 0), small(0, 0), small(-1, 2)}, true},
		"scales that do not":       {[]aggregate.Number{small(1, 30), small(math.MaxInt64, 0)}, false},
		"the least and the most":   {[]aggregate.Number{small(math.MinInt64, 0), small(math.MaxInt64, 0)}, true},
		"more than int64":          {[]aggregate.Number{small(5, 1), wide, small(7, 3)}, false},
		"nothing but more than it": {[]aggregate.Number{wide, wide.Neg()}, false},
	} {
		for _, every := range []int{1, 3, 40} {
			b := &columnBuilder{name: 1}
			h := &head{wide: []aggregate.Number{wide, wide.Neg()}}
			const rows = 500
			want := map[int]aggregate.Number{}
			for i := 0; i < rows; i += every {
				n := c.numbers[i/every%len(c.numbers)]
				x := cell{name: 1}
				var ok bool
				if x.coef, x.scale, ok = n.Small(); !ok {
					x.wide, x.coef = true, map[aggregate.Number]int64{wide: 0, wide.Neg(): 1}[n]
				}
				b.add(i, h, &x)
				want[i] = n
			}
			col := b.build(rows, make([]int64, len(b.coefs)))
			require.Equal(t, c.uniform, col.uniform(), name)
			before := 0
			for i := range rows {
				require.Equal(t, before, col.presence.rank(i, col.elements()), name)
				k, ok := col.presence.index(i)
				n, there := want[i]
				require.Equal(t, there, ok, name)
				if there {
					require.Equal(t, before, k, name)
					require.Equal(t, n, col.number(k), name)
					before++
				}
			}
			require.Equal(t, before, col.presence.rank(rows, col.elements()), name)
		}
	}
}

// Figures go to the exact summary and back as often as scales and sizes want.
func TestFigures(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(8, 9))
	s := New(nil).newSums(1, 1)
	var want aggregate.Summary
	at := s.at(0, 0)
	for range 2000 {
		n := aggregate.Fixed(rnd.Int64()>>rnd.IntN(63), uint8(rnd.IntN(4)*9))
		if rnd.IntN(2) == 0 {
			n = n.Neg()
		}
		want.Add(n)
		if coef, scale, ok := n.Small(); ok {
			s.addBlock(at, 1, coef, coef, coef, scale)
		} else {
			s.addNumber(at, n)
		}
	}
	got := s.figures[at].summary()
	got.Merge(s.wide[at])
	require.True(t, want.Equal(&got), "%s, want %s", got.Sum.String(), want.Sum.String())
}
