package filter_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

func TestValueIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(filter.Value{}), uintptr(40))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = filter.Number(5, 2)
		_ = filter.String("x")
		_ = filter.Micros(5)
	}))
	d := decimal.RequireFromString("12345.678")
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = filter.Decimal(d) }))
}

func TestValueText(t *testing.T) {
	t.Parallel()
	at := time.Date(2018, 1, 2, 3, 4, 5, 678_000_000, time.FixedZone("", 3600))
	guid, ok := filter.Guid("01234567-89AB-cdef-0123-456789abcdef")
	require.True(t, ok)
	for _, c := range []struct {
		name          string
		value         filter.Value
		text, literal string
	}{
		{"null", filter.Null(), "", "null"},
		{"zero value", filter.Value{}, "", "null"},
		{"true", filter.Bool(true), "true", "true"},
		{"false", filter.Bool(false), "false", "false"},
		{"string", filter.String("O'Neil"), "O'Neil", "'O''Neil'"},
		{"empty string", filter.String(""), "", "''"},
		{"quotes", filter.String("''"), "''", "''''''"},
		{"whole", filter.Number(42, 0), "42", "42"},
		{"negative", filter.Number(-42, 1), "-4.2", "-4.2"},
		{"no trailing zeros", filter.Number(4200, 3), "4.2", "4.2"},
		{"zero of any scale", filter.Number(0, 5), "0", "0"},
		{"below one", filter.Number(5, 3), "0.005", "0.005"},
		{"negative scale", filter.Number(5, -2), "500", "500"},
		{"least int64", filter.Number(-1<<63, 0), "-9223372036854775808", "-9223372036854775808"},
		{"exponent", filter.Decimal(decimal.RequireFromString("1.5e20")), "150000000000000000000", "150000000000000000000"},
		{"30 digits", filter.Decimal(decimal.RequireFromString("123456789012345678901234567890.10")), "123456789012345678901234567890.1", "123456789012345678901234567890.1"},
		{"a bomb keeps its exponent", filter.Decimal(decimal.New(1, 1_000_000_000)), "1e1000000000", "1e1000000000"},
		{"a tiny bomb too", filter.Decimal(decimal.New(1, -1_000_000_000)), "1e-1000000000", "1e-1000000000"},
		{"instant", filter.Time(at), "2018-01-02T02:04:05.678Z", "2018-01-02T02:04:05.678Z"},
		{"instant before 1970", filter.Micros(-1), "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"},
		{"nanoseconds", filter.Time(time.Unix(0, 1)), "1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00.000000001Z"},
		{"date", filter.Date(-1), "1969-12-31", "1969-12-31"},
		{"time of day", filter.TimeOfDay(time.Hour + time.Millisecond), "01:00:00.001", "01:00:00.001"},
		{"duration", filter.Duration(26*time.Hour + 1500*time.Millisecond), "P1DT2H1.5S", "duration'P1DT2H1.5S'"},
		{"negative duration", filter.Duration(-90*time.Second - 1), "-PT1M30.000000001S", "duration'-PT1M30.000000001S'"},
		{"no duration", filter.Duration(0), "PT0S", "duration'PT0S'"},
		{"whole days", filter.Duration(48 * time.Hour), "P2D", "duration'P2D'"},
		{"guid", guid, "01234567-89ab-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"},
		{"collection", filter.Items(objects{}), "[...]", "[...]"},
		{"nil collection", filter.Items(nil), "", "null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.text, c.value.String())
			require.Equal(t, c.literal, c.value.Literal())
			if strings.Contains(c.literal, "...") || strings.Contains(c.literal, "e1") || strings.Contains(c.literal, "e-1") {
				return
			}
			e, err := filter.Parse(c.literal, nil)
			require.NoError(t, err)
			require.True(t, filter.Equal(c.value, e.(*filter.Literal).Value))
		})
	}
}

func TestValueAccessors(t *testing.T) {
	t.Parallel()
	at := time.Date(2018, 1, 2, 3, 4, 5, 678, time.UTC)
	require.Equal(t, at, filter.Time(at).Time())
	require.Equal(t, at.UnixMicro(), filter.Time(at).Micros())
	require.Equal(t, time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC), filter.Date(1).Time())
	require.Equal(t, int64(1), filter.Date(1).Days())
	require.Equal(t, 90*time.Minute, filter.Duration(90*time.Minute).Duration())
	require.Equal(t, -90*time.Minute-1, filter.Duration(-90*time.Minute-1).Duration())
	require.Equal(t, time.Hour, filter.TimeOfDay(time.Hour).Duration())
	coef, scale, ok := filter.Number(15, 1).Small()
	require.Equal(t, []any{int64(15), int32(1), true}, []any{coef, scale, ok})
	big30 := decimal.RequireFromString("123456789012345678901234567890.1")
	_, _, ok = filter.Decimal(big30).Small()
	require.False(t, ok)
	require.True(t, big30.Equal(filter.Decimal(big30).Decimal()))
	require.True(t, decimal.RequireFromString("1.5").Equal(filter.Number(15, 1).Decimal()))
	require.Equal(t, filter.TypeCollection, filter.Items(objects{}).Type())
	require.NotNil(t, filter.Items(objects{}).Collection())
	// Of another type everything is zero.
	s := filter.String("x")
	require.Equal(t, []any{false, time.Time{}, int64(0), int64(0), time.Duration(0), nil}, []any{s.Bool(), s.Time(), s.Micros(), s.Days(), s.Duration(), s.Collection()})
	require.True(t, s.Decimal().IsZero())
	require.Empty(t, filter.Number(5, 0).Str())
	_, ok = filter.Guid("01234567-89ab-cdef-0123-456789abcdeg")
	require.False(t, ok)
}

// TestCompareNumbers holds the order of numbers against rationals, over scales and
// sizes on both sides of 64 bits.
func TestCompareNumbers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	number := func() decimal.Decimal {
		digits := []byte{byte('1' + r.IntN(9))}
		for range r.IntN([]int{3, 19, 40}[r.IntN(3)]) {
			digits = append(digits, byte('0'+r.IntN(10)*r.IntN(2)))
		}
		c, _ := new(big.Int).SetString(string(digits), 10)
		if r.IntN(2) == 0 {
			c.Neg(c)
		}
		return decimal.NewFromBigInt(c, int32(r.IntN(60)-40))
	}
	for range 20_000 {
		a := number()
		b := number()
		if r.IntN(3) == 0 {
			b = a.Mul(decimal.NewFromInt(1000)).Div(decimal.NewFromInt(1000)).Add(decimal.New(int64(r.IntN(3)-1), -45))
		}
		want := a.Rat().Cmp(b.Rat())
		require.Equal(t, want, filter.Compare(filter.Decimal(a), filter.Decimal(b)), "%s %s", a, b)
		require.Equal(t, -want, filter.Compare(filter.Decimal(b), filter.Decimal(a)), "%s %s", a, b)
	}
}

func TestCompareIsTotal(t *testing.T) {
	t.Parallel()
	guid, _ := filter.Guid("01234567-89ab-cdef-0123-456789abcdef")
	ordered := []filter.Value{
		filter.Null(), filter.Bool(false), filter.Bool(true), filter.String(""), filter.String("B"), filter.String("a"), filter.String("é"),
		filter.Decimal(decimal.New(-1, 1_000_000_000)), filter.Number(-1, 0), filter.Decimal(decimal.New(-1, -1_000_000_000)), filter.Number(0, 3),
		filter.Decimal(decimal.New(1, -1_000_000_000)), filter.Number(1, 30), filter.Number(1, 0), filter.Number(11, 1),
		filter.Decimal(decimal.New(1, 1_000_000_000)),
		filter.Micros(-1), filter.Micros(0), filter.Time(time.Unix(0, 1)), filter.Micros(1),
		filter.Date(0), filter.Date(1), filter.TimeOfDay(0), filter.TimeOfDay(1),
		filter.Duration(-1), filter.Duration(0), filter.Duration(1), guid, filter.Items(objects{}),
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			require.Equal(t, want, filter.Compare(a, b), "%s %s", a, b)
			require.Equal(t, want == 0, filter.Equal(a, b))
		}
	}
}
