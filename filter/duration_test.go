package filter_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// seconds evaluates a duration and returns it in seconds, exactly.
func seconds(t *testing.T, text string) *big.Rat {
	t.Helper()
	v, err := constant("totalseconds(" + text + ")")
	require.NoError(t, err, text)
	return v.Decimal().Rat()
}

// TestDurationArithmetic holds durations, to the picosecond, against rationals.
func TestDurationArithmetic(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	duration := func() (text string, exact *big.Rat) {
		secs, picos := r.Int64N(200_000), r.Int64N(1_000_000_000_000)
		exact = new(big.Rat).Add(big.NewRat(secs, 1), big.NewRat(picos, 1_000_000_000_000))
		text = fmt.Sprintf("PT%d.%012dS", secs, picos)
		if r.IntN(2) == 0 {
			exact.Neg(exact)
			text = "-" + text
		}
		return "duration'" + text + "'", exact
	}
	same := func(want *big.Rat, text string) {
		t.Helper()
		require.Equal(t, want.RatString(), seconds(t, text).RatString(), text)
	}
	for range 3000 {
		a, x := duration()
		b, y := duration()
		number := fmt.Sprintf("%d.%d", r.Int64N(100)-50, 1+r.IntN(999))
		n, _ := new(big.Rat).SetString(number)
		same(x, a)
		same(new(big.Rat).Neg(x), "-("+a+")")
		same(new(big.Rat).Add(x, y), a+" add "+b)
		same(new(big.Rat).Sub(x, y), a+" sub "+b)
		same(roundPicos(new(big.Rat).Mul(x, n)), a+" mul "+number)
		if n.Sign() != 0 {
			same(roundPicos(new(big.Rat).Quo(x, n)), a+" div "+number)
		}
		// An instant moved by a duration is that far from where it was.
		same(x, "(2018-01-01T00:00:00.0000005Z add "+a+") sub 2018-01-01T00:00:00.0000005Z")
		v, err := constant(a + " lt " + b)
		require.NoError(t, err)
		require.Equal(t, x.Cmp(y) < 0, v.Bool(), "%s %s", a, b)
	}
}

// roundPicos rounds to 12 places, half away from zero.
func roundPicos(r *big.Rat) *big.Rat {
	scaled := new(big.Rat).Mul(r, big.NewRat(1_000_000_000_000, 1))
	abs := new(big.Rat).Abs(scaled)
	abs.Add(abs, big.NewRat(1, 2))
	out := new(big.Rat).SetFrac(new(big.Int).Quo(abs.Num(), abs.Denom()), big.NewInt(1_000_000_000_000))
	if r.Sign() < 0 {
		out.Neg(out)
	}
	return out
}

// TestSeconds holds durations against the seconds that they are made of.
func TestSeconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "1.5": "1.5", "-0.000000000001": "-0.000000000001", "0.0000000000005": "0.000000000001", "-0.0000000000004": "0",
		"86400.25": "86400.25", "1000000000000": "1000000000000", "-1000000000000": "-1000000000000",
		"1000000000000.000001": "", "1e30": "", "1e-2000": "",
	} {
		d, err := decimal.NewFromString(text)
		require.NoError(t, err)
		v, ok := filter.Seconds(d)
		require.Equal(t, want != "", ok, text)
		require.Equal(t, !ok, v.IsNull(), text)
		if ok {
			require.Equal(t, filter.TypeDuration, v.Type())
			require.Equal(t, want, v.Seconds().String(), text)
		}
	}
	require.True(t, filter.Number(5, 0).Seconds().IsZero())
	v, err := constant("duration'-P1DT0.000000000001S'")
	require.NoError(t, err)
	require.Equal(t, "-86400.000000000001", v.Seconds().String())
}
