package aggregate

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func mustParse(tb testing.TB, text string) Number {
	tb.Helper()
	n, err := ParseNumber(text)
	require.NoError(tb, err, text)
	return n
}

// rat is the value of n by way of its text.
func rat(tb testing.TB, text string) *big.Rat {
	tb.Helper()
	r, ok := new(big.Rat).SetString(text)
	require.True(tb, ok, text)
	return r
}

var (
	largest  = strings.Repeat("9", 38) + "." + strings.Repeat("9", 30)
	smallest = "0." + strings.Repeat("0", 29) + "1"
)

func TestParseNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"zero", "0", "0"},
		{"negative zero", "-0", "0"},
		{"zero with places", "0.000", "0"},
		{"zero with a bomb", "0e999999999", "0"},
		{"zero with a small bomb", "-0.0e-99999999999999999999", "0"},
		{"one", "1", "1"},
		{"one with a place", "1.0", "1"},
		{"one with an exponent", "1e0", "1"},
		{"hundred", "100", "100"},
		{"hundred by exponent", "1E+2", "100"},
		{"exponent takes zeros", "120e-1", "12"},
		{"exponent makes places", "125e-2", "1.25"},
		{"exponent with zeros", "1e0000000000000000002", "100"},
		{"plus", "+1.5", "1.5"},
		{"no digit before the point", ".5", "0.5"},
		{"negative, no digit before the point", "-.25", "-0.25"},
		{"leading zeros", "007", "7"},
		{"trailing zero", "0.10", "0.1"},
		{"largest int64", "9223372036854775807", "9223372036854775807"},
		{"smallest int64", "-9223372036854775808", "-9223372036854775808"},
		{"beyond int64", "9223372036854775808", "9223372036854775808"},
		{"beyond negative int64", "-9223372036854775809", "-9223372036854775809"},
		{"beyond int64 with places", "-92233720368.54775809", "-92233720368.54775809"},
		{"largest", largest, largest},
		{"smallest", "-" + largest, "-" + largest},
		{"least above zero", "1e-30", smallest},
		{"38 digits", "-1e37", "-1" + strings.Repeat("0", 37)},
		{"zeros beyond 30 places", smallest + strings.Repeat("0", 100), smallest},
		{"zeros beyond 38 digits", strings.Repeat("0", 100) + "1", "1"},
		{"many digits and an exponent", "1234567890123456789012345e-20", "12345.67890123456789012345"},
		{"19 digits", "1234567890.123456789", "1234567890.123456789"},
		{"zeros taken by the exponent", "1" + strings.Repeat("0", 90) + "e-90", "1"},
		{"places taken by the exponent", "0." + strings.Repeat("0", 90) + "1e91", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := mustParse(t, c.in)
			require.Equal(t, c.want, n.String())
			checkNumber(t, n)
			b, err := ParseNumberBytes([]byte(c.in))
			require.NoError(t, err)
			require.Equal(t, n, b)
		})
	}
}

// checkNumber holds n to what every Number promises.
func checkNumber(tb testing.TB, n Number) {
	tb.Helper()
	text := n.String()
	require.Equal(tb, n, mustParse(tb, text), "text")
	d := n.Decimal()
	require.Equal(tb, text, d.String())
	require.LessOrEqual(tb, d.Exponent(), int32(0))
	back, err := NumberOf(d)
	require.NoError(tb, err)
	require.Equal(tb, n, back, "decimal")
	coef, scale := n.Big()
	require.Equal(tb, n.Scale(), scale)
	require.True(tb, scale == 0 || new(big.Int).Rem(coef, big.NewInt(10)).Sign() != 0, "canonical")
	small, smallScale, ok := n.Small()
	require.Equal(tb, coef.IsInt64(), ok)
	if ok {
		require.Equal(tb, coef.Int64(), small)
		require.Equal(tb, scale, smallScale)
		require.Equal(tb, n, Fixed(small, smallScale))
	}
	require.Equal(tb, coef.Sign(), n.Sign())
	require.Equal(tb, coef.Sign() == 0, n.IsZero())
	coef.SetInt64(77) // the caller's own
	require.Equal(tb, text, n.String())
	require.Equal(tb, n, n.Neg().Neg())
	require.Equal(tb, -n.Sign(), n.Neg().Sign())
	require.Equal(tb, n.Sign(), n.Cmp(Number{}))
	require.Zero(tb, n.Cmp(n))
	require.True(tb, n.Equal(back))
	var u Number
	marshalled, err := n.MarshalText()
	require.NoError(tb, err)
	require.NoError(tb, u.UnmarshalText(marshalled))
	require.Equal(tb, n, u)
}

func TestParseNumberErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		offset   int
		err      error
	}{
		{"empty", "", 0, ErrSyntax},
		{"sign alone", "-", 1, ErrSyntax},
		{"two signs", "--1", 1, ErrSyntax},
		{"point alone", ".", 1, ErrSyntax},
		{"no digit after the point", "5.", 2, ErrSyntax},
		{"no digit after the point, exponent", "5.e3", 2, ErrSyntax},
		{"two points", "1.2.3", 3, ErrSyntax},
		{"no exponent", "1e", 2, ErrSyntax},
		{"no exponent after its sign", "1e-", 3, ErrSyntax},
		{"fraction in the exponent", "1e1.5", 3, ErrSyntax},
		{"exponent alone", "e5", 0, ErrSyntax},
		{"space before", " 1", 0, ErrSyntax},
		{"space after", "1 ", 1, ErrSyntax},
		{"separator", "1,000", 1, ErrSyntax},
		{"underscore", "1_000", 1, ErrSyntax},
		{"hexadecimal", "0x10", 1, ErrSyntax},
		{"not a number", "NaN", 0, ErrSyntax},
		{"infinity", "-Infinity", 1, ErrSyntax},
		{"other digits", "１", 0, ErrSyntax},
		{"zero byte", "1\x00", 1, ErrSyntax},
		{"39 digits", "1e38", 0, ErrRange},
		{"39 digits in full", "1" + strings.Repeat("0", 38), 0, ErrRange},
		{"31 places", "1e-31", 0, ErrRange},
		{"31 places in full", "0." + strings.Repeat("0", 30) + "1", 0, ErrRange},
		{"exponent bomb", "1e999999999", 0, ErrRange},
		{"negative exponent bomb", "-1e-999999999", 0, ErrRange},
		{"exponent beyond any integer", "1e" + strings.Repeat("9", 200), 0, ErrRange},
		{"100,000 digits", strings.Repeat("7", 100_000), 0, ErrRange},
		{"100,000 zeros", strings.Repeat("0", 100_000), 0, ErrRange},
		{"100,000 letters", strings.Repeat("x", 100_000), 0, ErrRange},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseNumber(c.in)
			require.ErrorIs(t, err, c.err)
			var fault *NumberError
			require.ErrorAs(t, err, &fault)
			require.Equal(t, c.offset, fault.Offset)
			require.LessOrEqual(t, len(fault.Text), 43)
			require.Less(t, len(err.Error()), 250)
			_, err = ParseNumberBytes([]byte(c.in))
			require.Equal(t, fault, err)
			n := Int(5)
			require.Error(t, n.UnmarshalText([]byte(c.in)))
			require.Equal(t, Int(5), n, "kept on error")
		})
	}
}

func TestNumberErrorText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":     `not a number: empty text`,
		"1,5":  `not a number: "1,5": byte 1: expected a digit, a point or an exponent`,
		"1e38": `number out of range: "1e38": more than 38 digits before the decimal point`,
	} {
		_, err := ParseNumber(in)
		require.EqualError(t, err, want)
	}
	_, err := NumberOf(decimal.New(1, -31))
	require.EqualError(t, err, "number out of range: more than 30 digits after the decimal point")
}

func TestNumberOf(t *testing.T) {
	t.Parallel()
	bomb := new(big.Int).Exp(big.NewInt(10), big.NewInt(200), nil)
	huge := new(big.Int).Exp(big.NewInt(10), big.NewInt(100_000), nil)
	for _, c := range []struct {
		name string
		in   decimal.Decimal
		want string // "" for out of range
	}{
		{"zero value", decimal.Decimal{}, "0"},
		{"zero with a bomb", decimal.New(0, 1<<30), "0"},
		{"one", decimal.New(1, 0), "1"},
		{"one with places", decimal.New(100, -2), "1"},
		{"hundred", decimal.New(1, 2), "100"},
		{"smallest int64", decimal.New(math.MinInt64, 0), "-9223372036854775808"},
		{"smallest int64 with places", decimal.New(math.MinInt64, -18), "-9.223372036854775808"},
		{"38 digits", decimal.New(1, 37), "1" + strings.Repeat("0", 37)},
		{"39 digits", decimal.New(1, 38), ""},
		{"39 digits by coefficient", decimal.New(12, 37), ""},
		{"30 places", decimal.New(-1, -30), "-" + smallest},
		{"31 places", decimal.New(1, -31), ""},
		{"31 places and a zero", decimal.New(10, -31), smallest},
		{"200 zeros", decimal.NewFromBigInt(bomb, -200), "1"},
		{"200 zeros too many", decimal.NewFromBigInt(bomb, -162), ""},
		{"100,000 zeros", decimal.NewFromBigInt(huge, -100_000), ""},
		{"largest", decimal.RequireFromString(largest), largest},
		{"largest, negative, with zeros", decimal.RequireFromString("-" + largest + "000"), "-" + largest},
		{"beyond the largest", decimal.RequireFromString(largest).Add(decimal.New(1, -30)), ""},
		{"bomb", decimal.New(1, 1<<30), ""},
		{"small bomb", decimal.New(1, -1<<30), ""},
		{"largest exponent", decimal.New(7, math.MaxInt32), ""},
		{"smallest exponent", decimal.New(7, math.MinInt32), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, err := NumberOf(c.in)
			if c.want == "" {
				require.ErrorIs(t, err, ErrRange)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, n.String())
			checkNumber(t, n)
		})
	}
}

func TestFixed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		coef  int64
		scale uint8
		want  string
	}{
		{0, 0, "0"}, {0, 200, "0"}, {15, 1, "1.5"}, {150, 2, "1.5"}, {-1000000000000, 9, "-1000"}, {5, 3, "0.005"},
		{math.MinInt64, 19, "-0.9223372036854775808"}, {1e18, 30, "0.000000000001"}, {10, 31, smallest},
	} {
		n := Fixed(c.coef, c.scale)
		require.Equal(t, c.want, n.String())
		checkNumber(t, n)
	}
	require.Equal(t, Int(-7), Fixed(-70, 1))
	// Outside of the limits it still adds, compares and prints exactly.
	tiny := Fixed(-3, 255)
	require.Equal(t, "-0."+strings.Repeat("0", 254)+"3", tiny.String())
	require.Equal(t, -1, tiny.Cmp(Number{}))
	require.Equal(t, 1, tiny.Neg().Cmp(tiny))
	require.Equal(t, -1, tiny.Cmp(Fixed(-2, 255)))
	require.Equal(t, 1, Fixed(math.MinInt64, 254).Neg().Cmp(Fixed(math.MinInt64, 254)))
	require.Equal(t, 1, mustParse(t, largest).Cmp(Fixed(math.MinInt64, 254).Neg()))
	require.Equal(t, -1, mustParse(t, largest).Neg().Cmp(tiny))
	_, err := ParseNumber(tiny.String())
	require.ErrorIs(t, err, ErrRange)
	_, err = NumberOf(tiny.Decimal())
	require.ErrorIs(t, err, ErrRange)
	var s Sum
	s.Add(mustParse(t, largest))
	s.Add(tiny)
	s.Sub(mustParse(t, largest))
	require.Equal(t, tiny.String(), s.String())
	_, err = s.Number()
	require.ErrorIs(t, err, ErrRange)
	s.Sub(tiny)
	require.True(t, s.IsZero())
}

// randomNumber draws numbers of all sizes, with the ends of every
// representation drawn often.
func randomNumber(rnd *rand.Rand) Number {
	var n Number
	switch rnd.IntN(6) {
	case 0:
		n = Fixed(rnd.Int64N(2000)-1000, uint8(rnd.IntN(4)))
	case 1:
		n = Fixed(rnd.Int64()>>rnd.IntN(63), uint8(rnd.IntN(31)))
	case 2:
		n = Fixed(math.MaxInt64-rnd.Int64N(3), uint8(rnd.IntN(31)))
	case 3:
		n = Fixed(math.MinInt64+rnd.Int64N(3), uint8(rnd.IntN(31)))
	default:
		digits := make([]byte, 1+rnd.IntN(MaxIntegerDigits))
		for i := range digits {
			digits[i] = byte('0' + rnd.IntN(10))
		}
		places := make([]byte, 1+rnd.IntN(MaxScale))
		for i := range places {
			places[i] = byte('0' + rnd.IntN(10)*rnd.IntN(2))
		}
		n, _ = ParseNumber(string(digits) + "." + string(places))
	}
	if rnd.IntN(2) == 0 {
		n = n.Neg()
	}
	return n
}

func TestNumberProperties(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	var before Number
	var beforeRat = new(big.Rat)
	for range 3000 {
		n := randomNumber(rnd)
		checkNumber(t, n)
		r := rat(t, n.String())
		require.Equal(t, r.Cmp(beforeRat), n.Cmp(before), "%s and %s", n, before)
		require.Equal(t, beforeRat.Cmp(r), before.Cmp(n))
		require.Equal(t, r.Cmp(beforeRat) == 0, n == before)
		if rnd.IntN(2) == 0 {
			before, beforeRat = n, r
		}
	}
}

func TestNumberAllocations(t *testing.T) {
	var sink Number
	var buf [80]byte
	text := []byte("-12345.678901")
	long := largest
	d := decimal.New(-12345678901, -6)
	for name, f := range map[string]func(){
		"ParseNumber":      func() { sink, _ = ParseNumber("12345.678901") },
		"ParseNumber long": func() { sink, _ = ParseNumber(long) },
		"ParseNumberBytes": func() { sink, _ = ParseNumberBytes(text) },
		"NumberOf":         func() { sink, _ = NumberOf(d) },
		"Fixed":            func() { sink = Fixed(1000, 3) },
		"AppendText":       func() { _ = sink.AppendText(buf[:0]) },
		"Cmp":              func() { _ = sink.Cmp(Int(4)) },
		"Neg":              func() { sink = sink.Neg() },
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

// TestSizes holds the sizes that the documentation states.
func TestSizes(t *testing.T) {
	t.Parallel()
	require.Equal(t, uintptr(32), reflect.TypeFor[Number]().Size())
	require.Equal(t, uintptr(32), reflect.TypeFor[Sum]().Size())
	require.Equal(t, uintptr(104), reflect.TypeFor[Summary]().Size())
}

func TestWideArithmetic(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 8))
	limit := new(big.Int).Lsh(big.NewInt(1), 384)
	for range 2000 {
		var x wide
		for i := range 1 + rnd.IntN(6) {
			x[i] = rnd.Uint64()
			if rnd.IntN(4) == 0 {
				x[i] = math.MaxUint64
			}
		}
		b := x.big()
		var back wide
		require.True(t, back.setBig(b))
		require.Equal(t, x, back)
		require.Equal(t, b.String(), string(x.appendDigits(nil)))
		require.Equal(t, b.BitLen(), x.bitLen())
		d := rnd.IntN(60)
		y := x
		product := new(big.Int).Mul(b, bigPow10(d))
		fits := y.scaleUp(d)
		require.Equal(t, product.Cmp(limit) < 0, fits)
		if fits {
			require.Equal(t, product.String(), string(y.appendDigits(nil)))
			scale := y.strip(uint8(d))
			z := y
			require.True(t, z.scaleUp(d-int(scale)))
			require.Equal(t, product.String(), z.big().String())
			require.True(t, scale == 0 || z.isZero() || y.divMod(10) != 0)
		}
		m := rnd.Uint64()>>rnd.IntN(63) | 1
		q, r := new(big.Int).QuoRem(b, new(big.Int).SetUint64(m), new(big.Int))
		y = x
		require.Equal(t, r.Uint64(), y.divMod(m))
		require.Equal(t, q.String(), y.big().String())
	}
	require.False(t, new(wide).setBig(limit))
}

var numberSyntax = regexp.MustCompile(`^[+-]?([0-9]+|[0-9]*\.[0-9]+)([eE][+-]?[0-9]+)?$`)

func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0.0", "1e5", "1.50", ".5", "5.", "1e-30", "1e38", largest, smallest, "9223372036854775808",
		"-9223372036854775808", "1e999999999", "0e-999999999", "+1", "1 ", "NaN", "0x1", "1_0", "00.100e+01"} {
		f.Add(seed)
	}
	low, _ := new(big.Rat).SetString("1e38")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNumber(text)
		b, errBytes := ParseNumberBytes([]byte(text))
		require.Equal(t, n, b)
		require.Equal(t, err, errBytes)
		s, errSum := ParseSum(text)
		if err == nil {
			require.NoError(t, errSum)
			require.Equal(t, n.String(), s.String())
		}
		if len(text) > MaxNumberText {
			require.ErrorIs(t, err, ErrRange)
			return
		}
		if !numberSyntax.MatchString(text) {
			require.ErrorIs(t, err, ErrSyntax)
			require.ErrorIs(t, errSum, ErrSyntax)
			return
		}
		require.False(t, errors.Is(err, ErrSyntax))
		// big.Rat would work the exponent out: leave bombs to the range check.
		if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok && len(strings.TrimLeft(exponent, "+-0")) > 3 {
			require.True(t, err != nil || n.IsZero())
			return
		}
		r, ok := new(big.Rat).SetString(text)
		require.True(t, ok)
		scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(bigPow10(MaxScale)))
		inside := new(big.Rat).Abs(r).Cmp(low) < 0 && scaled.IsInt()
		require.Equal(t, inside, err == nil)
		if err == nil {
			require.Zero(t, rat(t, n.String()).Cmp(r))
			checkNumber(t, n)
			d, err := decimal.NewFromString(text)
			require.NoError(t, err)
			require.True(t, d.Equal(n.Decimal()), fmt.Sprint(d))
		}
	})
}
