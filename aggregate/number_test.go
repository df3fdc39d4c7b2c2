package aggregate

import (
	"math"
	"math/big"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func TestParseNumberTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"0", "0"}, {"-0", "0"}, {"0.000", "0"}, {"0e999999999", "0"},
		{"1", "1"}, {"1.0", "1"}, {"1e0", "1"}, {"100", "100"}, {"1e2", "100"}, {"120e-1", "12"},
		{"+1.5", "1.5"}, {".5", "0.5"}, {"-.25", "-0.25"}, {"007", "7"}, {"0.10", "0.1"},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"9223372036854775808", "9223372036854775808"},
		{"99999999999999999999999999999999999999.999999999999999999999999999999", "99999999999999999999999999999999999999.999999999999999999999999999999"},
		{"-1e37", "-10000000000000000000000000000000000000"},
		{"1e-30", "0.000000000000000000000000000001"},
		{"0.00000000000000000000000000000100000", "0.000000000000000000000000000001"},
		{"1234567890123456789012345e-20", "12345.67890123456789012345"},
	} {
		n, err := ParseNumber(c.in)
		require.NoError(t, err, c.in)
		require.Equal(t, c.want, n.String())
		again, err := NumberOf(n.Decimal())
		require.NoError(t, err)
		require.Equal(t, n, again)
		neg := n.Neg()
		require.Equal(t, n, neg.Neg())
		require.Equal(t, -n.Sign(), neg.Sign())
	}
}

func TestSumAgainstBig(t *testing.T) {
	t.Parallel()
	var s Sum
	want := new(big.Int)
	for range 5 {
		s.AddFixed(math.MaxInt64, 0)
		want.Add(want, big.NewInt(math.MaxInt64))
	}
	require.Equal(t, want.String(), s.String())
	require.True(t, s.Decimal().Equal(decimal.NewFromBigInt(want, 0)))
}
