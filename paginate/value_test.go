package paginate_test

import (
	"cmp"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/paginate"
)

func TestDecimalIsCanonical(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"0", "0"}, {"-0", "0"}, {"0.000", "0"}, {"-0.0", "0"}, {"1", "1"}, {"+1", "1"}, {"1.0", "1"}, {"1.00", "1"}, {"-1.50", "-1.5"},
		{"007", "7"}, {"0.05", "0.05"}, {"00.50", "0.5"}, {"100", "100"}, {"-100.001", "-100.001"},
		{"13438.712904456820057", "13438.712904456820057"},
	} {
		t.Run(tc.in, func(t *testing.T) {
			t.Parallel()
			v, err := paginate.ParseDecimal(tc.in)
			require.NoError(t, err)
			require.Equal(t, tc.want, v.String())
			fromDecimal := paginate.Decimal(decimal.RequireFromString(tc.in))
			require.Equal(t, v, fromDecimal)
			require.True(t, v == fromDecimal, "equal decimals are equal values")
			back, ok := v.Decimal()
			require.True(t, ok)
			require.True(t, back.Equal(decimal.RequireFromString(tc.in)))
		})
	}
	require.Equal(t, "1000", paginate.Decimal(decimal.New(1, 3)).String(), "an exponent is written out")
	require.Equal(t, "0", paginate.Decimal(decimal.New(0, 1<<30)).String(), "zero is zero whatever its exponent")
	require.Equal(t, "0", paginate.Decimal(decimal.Decimal{}).String())
	for _, bad := range []string{"", "-", "+", ".", "1.", ".5", "1e3", " 1", "1 ", "1,5", "--1", "0x10", "NaN", "1.2.3", "١",
		"1" + strings.Repeat("0", paginate.MaxDigits), "0." + strings.Repeat("0", paginate.MaxDigits) + "1", strings.Repeat("9", 100_000)} {
		_, err := paginate.ParseDecimal(bad)
		require.ErrorIs(t, err, paginate.ErrValue, "%.20q", bad)
		require.Less(t, len(err.Error()), 200, "an error is short whatever the text")
	}
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	micros := time.Date(2026, 3, 29, 1, 30, 0, 999999999, time.FixedZone("CET", 3600))
	for _, tc := range []struct {
		value paginate.Value
		kind  paginate.Kind
		text  string
	}{
		{paginate.Value{}, paginate.KindNull, "null"},
		{paginate.Null(), paginate.KindNull, "null"},
		{paginate.Bool(true), paginate.KindBool, "true"},
		{paginate.Integer(-5), paginate.KindInteger, "-5"},
		{paginate.Decimal(decimal.New(125, -1)), paginate.KindDecimal, "12.5"},
		{paginate.Time(micros), paginate.KindTime, "2026-03-29T00:30:00.999999Z"},
		{paginate.Time(time.Unix(-1, 999_999_999)), paginate.KindTime, "1969-12-31T23:59:59.999999Z"},
		{paginate.String("a\n"), paginate.KindString, `"a\n"`},
	} {
		require.Equal(t, tc.kind, tc.value.Kind())
		require.Equal(t, tc.text, tc.value.String())
		require.Equal(t, tc.kind == paginate.KindNull, tc.value.IsNull())
		_, isBool := tc.value.Bool()
		_, isInteger := tc.value.Integer()
		_, isTime := tc.value.Time()
		_, isText := tc.value.Text()
		_, isNumber := tc.value.Decimal()
		require.Equal(t, []bool{tc.kind == paginate.KindBool, tc.kind == paginate.KindInteger, tc.kind == paginate.KindTime, tc.kind == paginate.KindString,
			tc.kind == paginate.KindInteger || tc.kind == paginate.KindDecimal}, []bool{isBool, isInteger, isTime, isText, isNumber})
	}
	kinds := map[string]bool{}
	for k := paginate.KindNull; k <= paginate.KindString; k++ {
		kinds[k.String()] = true
	}
	require.Len(t, kinds, 6)
	require.Contains(t, paginate.Decimal(decimal.New(1, 1<<30)).String(), "out of range")
}

func TestCompareOrder(t *testing.T) {
	t.Parallel()
	number := func(s string) paginate.Value {
		v, err := paginate.ParseDecimal(s)
		require.NoError(t, err)
		return v
	}
	// Strictly ascending; every pair of the list is compared.
	ladder := []paginate.Value{
		paginate.Null(),
		paginate.Bool(false), paginate.Bool(true),
		number("-9223372036854775808.5"), paginate.Integer(-1 << 63), number("-100"), number("-99.9"), paginate.Integer(-10), number("-1.5"), number("-1.25"),
		paginate.Integer(-1), number("-0.5"), number("-0.05"), number("0"), number("0.05"), number("0.5"), paginate.Integer(1), number("1.05"), number("1.25"), number("1.5"),
		paginate.Integer(9), number("9.000000000000000001"), paginate.Integer(10), number("99.9"), number("100"), paginate.Integer(1<<63 - 1), number("9223372036854775808"),
		paginate.Time(time.Unix(-1, 0)), paginate.Time(time.Unix(0, 0)), paginate.Time(time.Unix(0, 1000)),
		paginate.String(""), paginate.String("A"), paginate.String("Z"), paginate.String("a"), paginate.String("aa"), paginate.String("b"),
		paginate.String("ä"), paginate.String("\uffff"), paginate.String("\U0001f600"),
	}
	for i, a := range ladder {
		for j, b := range ladder {
			require.Equal(t, cmp.Compare(i, j), paginate.Compare(a, b), "%s against %s", a, b)
		}
	}
	require.Zero(t, paginate.Compare(paginate.Integer(10), number("10.0")), "a number is its value, not its kind")
}

// TestCompareDecimals holds the comparison of texts against big.Rat.
func TestCompareDecimals(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	digits := []string{"0", "1", "9", "10", "99", "123", "1000000000000000000000"}
	draw := func() string {
		s := digits[rng.IntN(len(digits))]
		if rng.IntN(2) == 0 {
			s += "." + digits[rng.IntN(len(digits))]
		}
		if rng.IntN(2) == 0 {
			s = "-" + s
		}
		return s
	}
	for range 20_000 {
		a, b := draw(), draw()
		va, err := paginate.ParseDecimal(a)
		require.NoError(t, err)
		vb, err := paginate.ParseDecimal(b)
		require.NoError(t, err)
		ra, _ := new(big.Rat).SetString(a)
		rb, _ := new(big.Rat).SetString(b)
		require.Equal(t, ra.Cmp(rb), paginate.Compare(va, vb), "%s against %s", a, b)
		require.Equal(t, ra.Cmp(rb) == 0, va == vb)
	}
}

func TestCompareKeys(t *testing.T) {
	t.Parallel()
	null, one, two := paginate.Null(), paginate.Integer(1), paginate.Integer(2)
	up, down := paginate.Ascending, paginate.Descending
	type keys = []paginate.Value
	for _, tc := range []struct {
		name       string
		a, b       keys
		directions []paginate.Direction
		want       int
	}{
		{"null first ascending", keys{null}, keys{one}, []paginate.Direction{up}, -1},
		{"null last descending", keys{null}, keys{one}, []paginate.Direction{down}, 1},
		{"null equals null", keys{null}, keys{null}, []paginate.Direction{down}, 0},
		{"first difference decides", keys{one, two}, keys{two, one}, []paginate.Direction{up, up}, -1},
		{"second key in its own direction", keys{one, two}, keys{one, one}, []paginate.Direction{up, down}, -1},
		{"no direction is ascending", keys{one, one}, keys{one, two}, nil, -1},
		{"a shorter tuple stands before", keys{one}, keys{one, null}, []paginate.Direction{down, down}, -1},
		{"equal", keys{one, null}, keys{one, null}, nil, 0},
		{"empty", nil, nil, nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, paginate.CompareKeys(tc.a, tc.b, tc.directions...))
			require.Equal(t, -tc.want, paginate.CompareKeys(tc.b, tc.a, tc.directions...))
		})
	}
}

func TestCompareDoesNotAllocate(t *testing.T) {
	a := []paginate.Value{paginate.String("eu"), paginate.Decimal(decimal.RequireFromString("13438.712904456820057")), paginate.Time(noon), paginate.Integer(1)}
	b := []paginate.Value{paginate.String("eu"), paginate.Decimal(decimal.RequireFromString("13438.712904456820057")), paginate.Time(noon), paginate.Integer(2)}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if paginate.CompareKeys(a, b) != -1 {
			panic("wrong order")
		}
	}))
}
