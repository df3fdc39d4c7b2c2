package httpadapter_test

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
)

func TestAppendDecimal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"0": {"0", "0.0000000000"}, "20": {"20", "20.0000000000"}, "1.5": {"1.5", "1.5000000000"}, "1.50": {"1.5", "1.5000000000"}, "-0.05": {"-0.05", "-0.0500000000"},
		"2.4": {"2.4", "2.4000000000"}, "1e3": {"1000", "1000.0000000000"}, "0.000000000000000001": {"0.000000000000000001", "0.000000000000000001"},
		"-9223372036854775808": {"-9223372036854775808", "-9223372036854775808.0000000000"}, "100.10": {"100.1", "100.1000000000"}, "1e-12": {"0.000000000001", "0.000000000001"},
		"12345678901234567890123456789012345678.123456789012345678901234567890": {"12345678901234567890123456789012345678.12345678901234567890123456789", "12345678901234567890123456789012345678.12345678901234567890123456789"},
	} {
		d := decimal.RequireFromString(in)
		require.Equal(t, want[0], string(httpadapter.AppendDecimal(nil, d)))
		require.Equal(t, want[1], string(httpadapter.AppendFixed(nil, d, 10)))
	}
}

func FuzzAppendDecimal(f *testing.F) {
	f.Add(int64(150), int32(-2), 0)
	f.Fuzz(func(t *testing.T, coef int64, exp int32, places int) {
		exp, places = exp%40, max(places%12, 0)
		d := decimal.NewFromBigInt(big.NewInt(coef), exp)
		got := string(httpadapter.AppendFixed(nil, d, places))
		back, err := decimal.NewFromString(got)
		require.NoError(t, err)
		require.True(t, back.Equal(d), got)
		_, frac, _ := strings.Cut(got, ".")
		require.GreaterOrEqual(t, len(frac), places)
		require.False(t, len(frac) > places && strings.HasSuffix(frac, "0"), got)
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\x00<&>\u2028é")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		require.NoError(t, json.Unmarshal(httpadapter.AppendString(nil, s), &back))
		require.Equal(t, string([]rune(s)), back) // each byte that is not UTF-8 is one U+FFFD
	})
}

func TestWhole(t *testing.T) {
	t.Parallel()
	n, err := httpadapter.Whole(decimal.RequireFromString("9223372036854775807"))
	require.NoError(t, err)
	require.EqualValues(t, 9223372036854775807, n)
	for _, bad := range []string{"0.5", "9223372036854775808", "1e38"} {
		_, err = httpadapter.Whole(decimal.RequireFromString(bad))
		require.ErrorIs(t, err, httpadapter.ErrNotWhole)
	}
	_, err = httpadapter.Rounding(nil).Integer(decimal.RequireFromString("0.5"), []string{"m"}, "v")
	require.ErrorContains(t, err, "v of the meter m")
	n, err = httpadapter.Rounding(func(d decimal.Decimal) decimal.Decimal { return d.RoundBank(0) }).Integer(decimal.RequireFromString("1.5"), nil, "v")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

func TestNewUUID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	a, b := httpadapter.NewUUID(), httpadapter.NewUUID()
	require.Regexp(t, form, a)
	require.NotEqual(t, a, b)
}
