package paginate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// MaxDigits is the greatest number of digits a decimal in a cursor may have on
// either side of the point. It is well above what sums and averages of
// quantities reach, and bounds the work that a hostile exponent could cause.
const MaxDigits = 256

// Kind is the type of a Value.
type Kind uint8

// The kinds, in the order in which values of different kinds sort. Integers and
// decimals are both numbers and sort by value among each other.
const (
	KindNull    Kind = iota // no value
	KindBool                // false before true
	KindInteger             // a 64-bit integer
	KindDecimal             // an exact decimal
	KindTime                // an instant, in microseconds
	KindString              // bytes, ordered as bytes
	kindInvalid             // a value that no cursor can hold; refused by Seal
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case KindNull:
		return "null"
	case KindBool:
		return "bool"
	case KindInteger:
		return "integer"
	case KindDecimal:
		return "decimal"
	case KindTime:
		return "time"
	case KindString:
		return "string"
	}
	return "invalid"
}

// Value is one value of a cursor. The zero Value is null. Values are
// immutable, comparable with == (equal decimals are equal Values, however they
// were written) and safe for concurrent use.
type Value struct {
	kind Kind
	num  int64  // bool, integer, time in microseconds since 1970
	text string // string; a decimal's canonical text
}

// Null is the absent value, the same as the zero Value.
func Null() Value { return Value{} }

// Bool returns a truth value.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// Integer returns a 64-bit integer.
func Integer(n int64) Value { return Value{kind: KindInteger, num: n} }

// String returns a string of any bytes.
func String(s string) Value { return Value{kind: KindString, text: s} }

// Time returns an instant, cut to the microsecond towards the past. Its zone is
// not kept. An instant some 290,000 years away from 1970 cannot be held: Seal
// refuses it.
func Time(t time.Time) Value {
	if !withinMicros(t) {
		return Value{kind: kindInvalid, text: "time out of range"}
	}
	return Value{kind: KindTime, num: t.UnixMicro()}
}

// withinMicros reports whether t counted in microseconds fits an int64.
func withinMicros(t time.Time) bool {
	const bound = math.MaxInt64/1_000_000 - 1
	return t.Unix() >= -bound && t.Unix() <= bound
}

// Decimal returns an exact decimal: 1, 1.0 and 1e0 are one Value. A decimal of
// more than MaxDigits digits before or after the point cannot be held: Seal
// refuses it.
func Decimal(d decimal.Decimal) Value {
	coefficient := d.Coefficient()
	exponent := int64(d.Exponent())
	if coefficient.Sign() == 0 {
		return Value{kind: KindDecimal, text: "0"}
	}
	// The exponent is judged before any text is made of it: a decimal of
	// exponent 1e9 would write a gigabyte of zeros.
	if coefficient.BitLen() > 8*MaxDigits || exponent > MaxDigits || exponent < -4*MaxDigits {
		return Value{kind: kindInvalid, text: "decimal out of range"}
	}
	text, err := canonical(d.String())
	if err != nil {
		return Value{kind: kindInvalid, text: "decimal out of range"}
	}
	return Value{kind: KindDecimal, text: text}
}

// ParseDecimal reads plain decimal digits: an optional sign, digits, and an
// optional point followed by digits. There is no exponent and no spaces. The
// error is ErrValue.
func ParseDecimal(text string) (Value, error) {
	canon, err := canonical(text)
	if err != nil {
		return Value{}, err
	}
	return Value{kind: KindDecimal, text: canon}, nil
}

// canonical writes a plain decimal without plus sign, leading or trailing
// zeros, a bare point or a negative zero.
func canonical(text string) (string, error) {
	digits := text
	negative := false
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		negative = digits[0] == '-'
		digits = digits[1:]
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || !isDigits(whole) || !isDigits(fraction) {
		return "", fmt.Errorf("paginate: %w: %q is not a plain decimal such as -12.5", ErrValue, shorten(text))
	}
	whole = strings.TrimLeft(whole, "0")
	fraction = strings.TrimRight(fraction, "0")
	if len(whole) > MaxDigits || len(fraction) > MaxDigits {
		return "", fmt.Errorf("paginate: %w: decimal has more than %d digits before or after the point", ErrValue, MaxDigits)
	}
	if whole == "" && fraction == "" {
		return "0", nil
	}
	if whole == "" {
		whole = "0"
	}
	if !negative && fraction == "" {
		return whole, nil // a substring of text: the common case makes no copy
	}
	var b strings.Builder
	b.Grow(len(whole) + len(fraction) + 2)
	if negative {
		b.WriteByte('-')
	}
	b.WriteString(whole)
	if fraction != "" {
		b.WriteByte('.')
		b.WriteString(fraction)
	}
	return b.String(), nil
}

// isCanonical reports whether canonical would return text itself.
func isCanonical(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	switch {
	case whole == "" || !isDigits(whole) || !isDigits(fraction) || len(whole) > MaxDigits || len(fraction) > MaxDigits:
		return false
	case point && (fraction == "" || fraction[len(fraction)-1] == '0'):
		return false
	case whole[0] == '0':
		return len(whole) == 1 && (point || digits == text) // 0.5, -0.5 and 0, but not 00.5 and -0
	}
	return true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// shorten keeps an error readable when the text in it is not.
func shorten(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// Kind returns the value's type.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether the value is absent.
func (v Value) IsNull() bool { return v.kind == KindNull }

// Bool returns a truth value; ok is false for any other kind.
func (v Value) Bool() (b, ok bool) { return v.kind == KindBool && v.num != 0, v.kind == KindBool }

// Integer returns a 64-bit integer; ok is false for any other kind.
func (v Value) Integer() (n int64, ok bool) {
	if v.kind != KindInteger {
		return 0, false
	}
	return v.num, true
}

// Time returns an instant in UTC; ok is false for any other kind.
func (v Value) Time() (t time.Time, ok bool) {
	if v.kind != KindTime {
		return time.Time{}, false
	}
	return time.UnixMicro(v.num).UTC(), true
}

// Text returns a string; ok is false for any other kind.
func (v Value) Text() (s string, ok bool) {
	if v.kind != KindString {
		return "", false
	}
	return v.text, true
}

// Decimal returns a number, decimal or integer; ok is false for any other kind.
func (v Value) Decimal() (d decimal.Decimal, ok bool) {
	switch v.kind {
	case KindInteger:
		return decimal.NewFromInt(v.num), true
	case KindDecimal:
		d, err := decimal.NewFromString(v.text)
		return d, err == nil
	}
	return decimal.Decimal{}, false
}

// String returns the value for people: null, true, 12.5, an RFC 3339 instant,
// or a quoted string. Numbers have their canonical text.
func (v Value) String() string {
	switch v.kind {
	case KindNull:
		return "null"
	case KindBool:
		return strconv.FormatBool(v.num != 0)
	case KindInteger:
		return strconv.FormatInt(v.num, 10)
	case KindDecimal:
		return v.text
	case KindTime:
		return time.UnixMicro(v.num).UTC().Format("2006-01-02T15:04:05.999999Z")
	case KindString:
		return strconv.Quote(v.text)
	}
	return "invalid (" + v.text + ")"
}
