package aggregate

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// ratOf is the value of a number without a way through its text.
func ratOf(n Number) *big.Rat {
	coef, scale := n.Big()
	return new(big.Rat).SetFrac(coef, bigPow10(int(scale)))
}

// checkSum holds a sum to an exact value that was found another way.
func checkSum(tb testing.TB, want *big.Rat, s *Sum) {
	tb.Helper()
	coef, scale := s.Big()
	if got := new(big.Rat).SetFrac(coef, bigPow10(int(scale))); got.Cmp(want) != 0 {
		tb.Fatalf("sum is %s, want %s", got.FloatString(300), want.FloatString(300))
	}
	require.Equal(tb, want.Sign(), s.Sign())
	require.Equal(tb, want.Sign() == 0, s.IsZero())
	text := s.String()
	require.Zero(tb, rat(tb, text).Cmp(want), text)
	require.Equal(tb, text, s.Decimal().String())
	back, err := ParseSum(text)
	require.NoError(tb, err)
	require.True(tb, s.Equal(&back) && back.Equal(s))
	require.Equal(tb, text, back.String())
	n, err := s.Number()
	if err == nil {
		require.Equal(tb, text, n.String())
		checkNumber(tb, n)
	} else {
		require.ErrorIs(tb, err, ErrRange)
		_, parseErr := ParseNumber(text)
		require.ErrorIs(tb, parseErr, ErrRange)
	}
}

// TestSumAcrossTheSwitch drives a sum over 2^127, far beyond, back through
// zero and to the other side, one step at a time and at a changing scale.
func TestSumAcrossTheSwitch(t *testing.T) {
	t.Parallel()
	step := mustParse(t, "9"+strings.Repeat("9", 36)) // 19 steps to 2^127 at scale 0
	var s Sum
	want := new(big.Rat)
	switched, back := 0, 0
	add := func(n Number) {
		had := s.carry != nil
		s.Add(n)
		s.settle()
		if now := s.carry != nil; now != had {
			if now {
				switched++
			} else {
				back++
			}
		}
		want.Add(want, ratOf(n))
		checkSum(t, want, &s)
	}
	for range 3 {
		for range 60 {
			add(step)
		}
		add(Fixed(1, 3))
		for range 120 {
			add(step.Neg())
		}
		for range 60 {
			add(step)
		}
	}
	require.Equal(t, "0.003", s.String())
	require.GreaterOrEqual(t, switched, 6)
	require.Equal(t, switched, back)
}

// TestSumAtTheEdge steps over the exact limits of 128 bits by ones.
func TestSumAtTheEdge(t *testing.T) {
	t.Parallel()
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	for _, start := range []*big.Int{limit, new(big.Int).Neg(limit)} {
		for offset := int64(-3); offset <= 3; offset++ {
			v := new(big.Int).Add(start, big.NewInt(offset))
			s, err := ParseSum(v.String())
			require.NoError(t, err)
			checkSum(t, new(big.Rat).SetInt(v), &s)
			neg := s.Neg()
			checkSum(t, new(big.Rat).SetInt(new(big.Int).Neg(v)), &neg)
			for _, d := range []int64{1, -1, 5, -5, math.MaxInt64, math.MinInt64} {
				c := s
				c.AddFixed(d, 0)
				checkSum(t, new(big.Rat).SetInt(new(big.Int).Add(v, big.NewInt(d))), &c)
				c.Unmerge(&s)
				checkSum(t, new(big.Rat).SetInt64(d), &c)
			}
			c := s
			c.AddFixed(1, 30) // widens the scale beyond what 128 bits hold
			checkSum(t, new(big.Rat).Add(new(big.Rat).SetInt(v), new(big.Rat).SetFrac(big.NewInt(1), bigPow10(30))), &c)
			checkSum(t, new(big.Rat).SetInt(v), &s)
		}
	}
}

// TestSumRandom compares random additions of every kind with big.Rat.
func TestSumRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		var s Sum
		want := new(big.Rat)
		for range 80 {
			n := randomNumber(rnd)
			r := ratOf(n)
			switch rnd.IntN(6) {
			case 0:
				s.Add(n)
				want.Add(want, r)
			case 1:
				s.Sub(n)
				want.Sub(want, r)
			case 2:
				coef, scale := rnd.Int64()>>rnd.IntN(63), uint8(rnd.IntN(31))
				s.AddFixed(coef, scale)
				want.Add(want, new(big.Rat).SetFrac(big.NewInt(coef), bigPow10(int(scale))))
			case 3:
				block := make([]int64, rnd.IntN(20))
				scale := uint8(rnd.IntN(31))
				for i := range block {
					block[i] = rnd.Int64() - rnd.Int64N(2)<<62
					want.Add(want, new(big.Rat).SetFrac(big.NewInt(block[i]), bigPow10(int(scale))))
				}
				s.AddBlock(block, scale)
			case 4:
				var o Sum
				o.Add(n)
				o.Add(n)
				o.AddFixed(1, 0)
				r.Add(r, r).Add(r, big.NewRat(1, 1))
				if rnd.IntN(2) == 0 {
					s.Merge(&o)
					want.Add(want, r)
				} else {
					s.Unmerge(&o)
					want.Sub(want, r)
				}
			case 5:
				if rnd.IntN(5) == 0 {
					s.Merge(&s)
					want.Add(want, want)
				}
			}
			if rnd.IntN(8) == 0 {
				checkSum(t, want, &s)
			}
		}
		checkSum(t, want, &s)
	}
}

func TestSumCopies(t *testing.T) {
	t.Parallel()
	var s Sum
	big := mustParse(t, largest)
	for range 10 {
		s.Add(big)
	}
	require.NotNil(t, s.carry)
	before := s.String()
	a, b := s, s.Clone()
	for range 100 {
		a.Add(big)
		b.Sub(big)
		b.AddFixed(1, 7)
	}
	a.Merge(&b)
	a.Merge(&a)
	require.Equal(t, before, s.String())
	c := s
	c.Unmerge(&s)
	require.True(t, c.IsZero())
	require.Nil(t, c.carry)
	s.Merge(nil)
	s.Unmerge(nil)
	require.Equal(t, before, s.String())
	coef, _ := s.Big()
	coef.SetInt64(1)
	require.Equal(t, before, s.String())
}

func TestSumAddDecimal(t *testing.T) {
	t.Parallel()
	var s Sum
	require.NoError(t, s.AddDecimal(decimal.RequireFromString("1.50")))
	require.ErrorIs(t, s.AddDecimal(decimal.New(1, 1<<30)), ErrRange)
	require.NoError(t, s.AddDecimal(decimal.New(-1, 0)))
	require.Equal(t, "0.5", s.String())
}

func TestSumCmp(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(11, 12))
	for range 500 {
		var a, b Sum
		ra, rb := new(big.Rat), new(big.Rat)
		for range rnd.IntN(4) {
			n := randomNumber(rnd)
			a.Add(n)
			ra.Add(ra, ratOf(n))
			if rnd.IntN(3) > 0 {
				b.Add(n)
				rb.Add(rb, ratOf(n))
			}
		}
		a.AddFixed(1, 2)
		a.AddFixed(-100, 4)
		require.Equal(t, ra.Cmp(rb), a.Cmp(&b))
		require.Equal(t, ra.Cmp(rb) == 0, a.Equal(&b))
	}
}

func TestParseSumBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		err      error
	}{
		{"512 digits", strings.Repeat("9", 512), nil},
		{"513 digits", strings.Repeat("9", 513), ErrRange},
		{"255 places", "-0." + strings.Repeat("1", 255), nil},
		{"256 places", "0." + strings.Repeat("1", 256), ErrRange},
		{"most of both", strings.Repeat("9", 512) + "." + strings.Repeat("9", 255), nil},
		{"exponent", "1e500", nil},
		{"exponent bomb", "1e999999999", ErrRange},
		{"negative exponent bomb", "1e-999999999", ErrRange},
		{"long text", strings.Repeat("0", 1025), ErrRange},
		{"empty", "", ErrSyntax},
		{"no digit after the point", "1.", ErrSyntax},
		{"letters", "12a", ErrSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := ParseSum(c.in)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
				kept := s
				require.Error(t, kept.UnmarshalText([]byte(c.in)))
				return
			}
			require.NoError(t, err)
			checkSum(t, rat(t, c.in), &s)
		})
	}
	var s Sum
	require.Equal(t, "0", s.String())
	s.AddFixed(-125, 2)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, `"-1.25"`, string(text))
	var back Sum
	require.NoError(t, json.Unmarshal(text, &back))
	require.True(t, back.Equal(&s))
}

func TestSumAllocations(t *testing.T) {
	var s Sum
	s.AddFixed(1, 6)
	block := make([]int64, 100)
	wide := mustParse(t, "12345678901234567890.5")
	n := Fixed(5, 2)
	for name, f := range map[string]func(){
		"AddFixed":          func() { s.AddFixed(123456, 6) },
		"AddFixed narrower": func() { s.AddFixed(123456, 2) },
		"Add":               func() { s.Add(n) },
		"Add wide":          func() { s.Add(wide); s.Sub(wide) },
		"AddBlock":          func() { s.AddBlock(block, 6) },
		"Merge":             func() { o := s; s.Merge(&o); s.Unmerge(&o) },
		"Cmp":               func() { _ = s.Cmp(&Sum{}) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

func TestAverage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sum    string
		count  int64
		places int32
		want   string
	}{
		{"1", 3, 18, "0.333333333333333333"},
		{"2", 3, 18, "0.666666666666666667"},
		{"-2", 3, 18, "-0.666666666666666667"},
		{"1", 8, 2, "0.13"},
		{"-1", 8, 2, "-0.13"},
		{"1", 2, 0, "1"},
		{"-1", 2, 0, "-1"},
		{"5", 1, 18, "5"},
		{"150", 1, -2, "200"},
		{"0", 7, 18, "0"},
		{largest, 1, 18, "1" + strings.Repeat("0", 38)},
		{"1", 3, math.MaxInt32, "0." + strings.Repeat("3", MaxPlaces)},
		{"1", 3, math.MinInt32, "0"},
	} {
		got := Average(decimal.RequireFromString(c.sum), c.count, c.places)
		require.Equal(t, c.want, got.String(), "%s / %d", c.sum, c.count)
	}
	require.True(t, Average(decimal.New(5, 0), 0, 18).IsZero())
	require.True(t, Average(decimal.New(5, 0), -1, 18).IsZero())
}

// TestAverageAgainstRat rounds half away from zero by hand.
func TestAverageAgainstRat(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(13, 14))
	for range 2000 {
		n := randomNumber(rnd)
		if rnd.IntN(2) == 0 {
			n = Fixed(rnd.Int64N(200)-100, uint8(rnd.IntN(3))) // many ties
		}
		count := 1 + rnd.Int64N(16)
		places := rnd.IntN(20)
		if rnd.IntN(2) == 0 {
			places = rnd.IntN(4)
		}
		r := ratOf(n)
		r.Quo(r, new(big.Rat).SetInt64(count)).Mul(r, new(big.Rat).SetInt(bigPow10(places)))
		// floor(|r| + 1/2), with the sign put back.
		abs := new(big.Rat).Add(new(big.Rat).Abs(r), big.NewRat(1, 2))
		whole := new(big.Int).Quo(abs.Num(), abs.Denom())
		if r.Sign() < 0 {
			whole.Neg(whole)
		}
		want := decimal.NewFromBigInt(whole, -int32(places))
		got := Average(n.Decimal(), count, int32(places))
		require.True(t, want.Equal(got), "%s / %d at %d: %s, want %s", n, count, places, got, want)
	}
}
