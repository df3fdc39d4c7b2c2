package filter

import (
	"cmp"
	"math/big"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Type is the type of a Value, a Field or an expression.
type Type uint8

// The types of the language. TypeNull is the type of the null literal and of
// the zero Value; as the type of an expression it fits wherever any type does.
const (
	TypeNull       Type = iota
	TypeBool            // Edm.Boolean
	TypeString          // Edm.String
	TypeDecimal         // every number: Edm.Decimal, the integers, and doubles read as exact decimals
	TypeTime            // Edm.DateTimeOffset: an instant, kept in UTC
	TypeDate            // Edm.Date: a calendar day without zone
	TypeTimeOfDay       // Edm.TimeOfDay
	TypeDuration        // Edm.Duration
	TypeGuid            // Edm.Guid
	TypeCollection      // a collection of primitive values or of flat objects
)

var typeNames = [...]string{"null", "boolean", "string", "number", "date-time", "date", "time of day", "duration", "guid", "collection"}

// String returns the name that messages use for the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// typeFault marks a Value that carries a fault of evaluation instead of a
// result. It never leaves the package.
const typeFault Type = 255

// Collection gives the items of a collection field. An item of a collection of
// primitive values has the single field 0; an item of a collection of objects
// has the fields of its declaration (Field.Items) by their index.
//
// The items must not change while a Program looks at them.
type Collection interface {
	Len() int
	Value(item, field int) Value
}

// Value is a typed scalar: null, a boolean, string, number, instant, date, time
// of day, duration or guid, or a collection. The zero Value is null.
//
// A Value is immutable, 40 bytes, and copied freely; only numbers whose
// coefficient does not fit int64 and collections point to memory of their own.
// Use Compare and Equal and not ==, which does not see that 1.0 is 1.
type Value struct {
	str string
	// num is the truth of a boolean, the coefficient of a small number, the
	// microseconds of an instant or duration, the days of a date since
	// 1970-01-01, the picoseconds of a time of day.
	num int64
	ext *extension
	// scale is the number of decimal places of a number, or the picoseconds
	// (0 to 999,999) that an instant or duration has beyond its microseconds.
	scale int32
	typ   Type
}

type extension struct {
	coef  big.Int
	items Collection
}

// Null returns the null value.
func Null() Value { return Value{} }

// Bool returns a boolean value.
func Bool(b bool) Value {
	v := Value{typ: TypeBool}
	if b {
		v.num = 1
	}
	return v
}

// String returns a string value. The text should be valid UTF-8; characters are
// counted as Go's range statement counts them.
func String(s string) Value { return Value{typ: TypeString, str: s} }

// Time returns an instant. Its zone is dropped; nanoseconds are kept. Instants
// further than 290,000 years from 1970 are not representable.
func Time(t time.Time) Value {
	us := t.UnixMicro()
	return Value{typ: TypeTime, num: us, scale: int32(t.Nanosecond()%1000) * 1000}
}

// Micros returns the instant us microseconds after 1970-01-01T00:00:00Z.
func Micros(us int64) Value { return Value{typ: TypeTime, num: us} }

// Number returns the number coef * 10^-scale. A negative scale is read as
// trailing zeros: Number(5, -2) is 500.
func Number(coef int64, scale int32) Value {
	if scale < 0 {
		return fromBig(big.NewInt(coef), scale)
	}
	return Value{typ: TypeDecimal, num: coef, scale: scale}
}

// Decimal returns a number of any size, exactly.
func Decimal(d decimal.Decimal) Value {
	exp := d.Exponent()
	// A coefficient of 18 digits fits int64 for certain, and NumDigits does not
	// allocate; Coefficient copies.
	if exp <= 0 && d.NumDigits() <= 18 {
		return Value{typ: TypeDecimal, num: d.CoefficientInt64(), scale: -exp}
	}
	return fromBig(d.Coefficient(), -exp)
}

// Date returns a calendar date, days after 1970-01-01.
func Date(days int64) Value { return Value{typ: TypeDate, num: days} }

// TimeOfDay returns a time of day, d after midnight; d is in [0, 24h).
func TimeOfDay(d time.Duration) Value {
	return Value{typ: TypeTimeOfDay, num: int64(d) * 1000}
}

// Duration returns a length of time.
func Duration(d time.Duration) Value {
	us := floorDiv(int64(d), 1000)
	return Value{typ: TypeDuration, num: us, scale: int32(int64(d)-us*1000) * 1000}
}

// Guid returns a guid from its text of 36 characters, in any case; ok is false
// and the value null when the text is no guid.
func Guid(text string) (v Value, ok bool) {
	if len(text) != guidLen || !isGuid(text) {
		return Value{}, false
	}
	return Value{typ: TypeGuid, str: strings.ToLower(text)}, true
}

// Items returns a collection value; a nil collection is null.
func Items(c Collection) Value {
	if c == nil {
		return Value{}
	}
	return Value{typ: TypeCollection, ext: &extension{items: c}}
}

// Type returns the type of the value.
func (v Value) Type() Type { return v.typ }

// IsNull reports whether the value is null.
func (v Value) IsNull() bool { return v.typ == TypeNull }

// Bool returns the truth of a boolean, and false for a value of another type.
func (v Value) Bool() bool { return v.typ == TypeBool && v.num != 0 }

// Str returns the text of a string or guid, and "" for a value of another type.
func (v Value) Str() string { return v.str }

// Time returns an instant in UTC, cut to the nanosecond, or the midnight UTC of
// a date; the zero time for a value of another type.
func (v Value) Time() time.Time {
	switch v.typ {
	case TypeTime:
		return time.UnixMicro(v.num).Add(time.Duration(v.scale / 1000)).UTC()
	case TypeDate:
		return time.Unix(v.num*86400, 0).UTC()
	}
	return time.Time{}
}

// Micros returns the whole microseconds of an instant since
// 1970-01-01T00:00:00Z or of a duration, cut towards the past, and 0 for a value
// of another type.
func (v Value) Micros() int64 {
	if v.typ == TypeTime || v.typ == TypeDuration {
		return v.num
	}
	return 0
}

// Days returns the days of a date since 1970-01-01, and 0 for a value of
// another type.
func (v Value) Days() int64 {
	if v.typ == TypeDate {
		return v.num
	}
	return 0
}

// Duration returns a duration or time of day, cut to the nanosecond and
// saturated at the limits of time.Duration (292 years), and 0 for a value of
// another type.
func (v Value) Duration() time.Duration {
	switch v.typ {
	case TypeTimeOfDay:
		return time.Duration(v.num / 1000)
	case TypeDuration:
		const limit = int64(1<<63-1)/1000 - 1
		return time.Duration(min(max(v.num, -limit), limit)*1000 + int64(v.scale/1000))
	}
	return 0
}

// Decimal returns a number, and zero for a value of another type.
func (v Value) Decimal() decimal.Decimal {
	switch {
	case v.typ != TypeDecimal:
		return decimal.Decimal{}
	case v.ext != nil:
		return decimal.NewFromBigInt(&v.ext.coef, -v.scale) // NewFromBigInt copies
	default:
		return decimal.New(v.num, -v.scale)
	}
}

// Small returns a number as coef * 10^-scale, scale >= 0; ok is false when the
// coefficient does not fit int64 or the value is no number.
func (v Value) Small() (coef int64, scale int32, ok bool) {
	if v.typ != TypeDecimal || v.ext != nil {
		return 0, 0, false
	}
	return v.num, v.scale, true
}

// Collection returns the items of a collection, and nil for a value of another
// type.
func (v Value) Collection() Collection {
	if v.typ != TypeCollection || v.ext == nil {
		return nil
	}
	return v.ext.items
}

// String returns the value as plain text for display: a number as plain digits
// without exponent and without insignificant zeros, an instant in RFC 3339 and
// UTC, null as the empty string. (A number further than 1,000 places from the
// point, which no literal and no result is, keeps its exponent.)
func (v Value) String() string {
	switch v.typ {
	case TypeString, TypeGuid:
		return v.str
	case TypeCollection:
		return v.Literal()
	}
	return string(v.appendText(nil))
}

// Literal returns the value as a literal of the language, which Parse reads back
// to an equal value. A collection, which has no literal, is written in square
// brackets for display.
func (v Value) Literal() string { return string(v.appendLiteral(nil)) }

func (v Value) appendLiteral(b []byte) []byte {
	switch v.typ {
	case TypeNull:
		return append(b, "null"...)
	case TypeString:
		return appendQuoted(b, v.str)
	case TypeDuration:
		b = append(b, "duration'"...)
		b = v.appendText(b)
		return append(b, '\'')
	case TypeCollection:
		return append(b, "[...]"...)
	}
	return v.appendText(b)
}

func (v Value) appendText(b []byte) []byte {
	switch v.typ {
	case TypeBool:
		if v.num != 0 {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case TypeString, TypeGuid:
		return append(b, v.str...)
	case TypeDecimal:
		return appendDecimal(b, v)
	case TypeTime:
		return appendTime(b, v.num, v.scale, 0)
	case TypeDate:
		return appendDate(b, v.num)
	case TypeTimeOfDay:
		return appendTimeOfDay(b, v.num)
	case TypeDuration:
		return appendDuration(b, v)
	}
	return b
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '\'')
	for {
		i := strings.IndexByte(s, '\'')
		if i < 0 {
			break
		}
		b = append(b, s[:i+1]...)
		b = append(b, '\'')
		s = s[i+1:]
	}
	b = append(b, s...)
	return append(b, '\'')
}

// Compare orders two values totally and returns -1, 0 or 1: null first, false
// before true, strings and guids by their UTF-8 bytes, numbers by value whatever
// their scale, instants, dates, times and durations by time. Values of different
// types are ordered by Type, collections of one type are equal.
func Compare(a, b Value) int {
	if a.typ != b.typ {
		return cmp.Compare(a.typ, b.typ)
	}
	switch a.typ {
	case TypeString, TypeGuid:
		return strings.Compare(a.str, b.str)
	case TypeDecimal:
		return compareNumbers(a, b)
	case TypeBool, TypeDate, TypeTimeOfDay:
		return cmp.Compare(a.num, b.num)
	case TypeTime, TypeDuration:
		if a.num != b.num {
			return cmp.Compare(a.num, b.num)
		}
		return cmp.Compare(a.scale, b.scale)
	}
	return 0
}

// Equal reports whether two values are equal by Compare; null equals null alone.
func Equal(a, b Value) bool { return Compare(a, b) == 0 }
