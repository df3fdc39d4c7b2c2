package httpadapter

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// AppendString appends a text as a JSON string: compact, UTF-8, with &, < and >
// as they are. Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			// The line separators are escaped, as encoding/json does: they are
			// no line ends in JSON and are some in JavaScript.
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), `\ufffd`...)
			} else if r == '\u2028' || r == '\u2029' {
				dst = append(append(dst, s[from:i]...), `\u202`...)
				dst = append(dst, digits[r&0xf])
			} else {
				i += n
				continue
			}
			i += n
			from = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// AppendDecimal appends a number as plain digits: no exponent, no trailing
// zeros, every digit kept.
func AppendDecimal(dst []byte, d decimal.Decimal) []byte { return AppendFixed(dst, d, 0) }

// AppendFixed appends a number as plain digits with at least this many digits
// behind the point, and more where the value has more.
func AppendFixed(dst []byte, d decimal.Decimal, places int) []byte {
	if e := d.Exponent(); e <= 0 && e >= -18 {
		if c := d.Coefficient(); c.IsInt64() {
			return appendSmall(dst, c.Int64(), int(-e), places)
		}
	}
	s := d.String() // without trailing zeros, as decimal writes it
	whole, frac, _ := strings.Cut(s, ".")
	frac = strings.TrimRight(frac, "0")
	dst = append(dst, whole...)
	if len(frac) == 0 && places == 0 {
		return dst
	}
	dst = append(append(dst, '.'), frac...)
	for i := len(frac); i < places; i++ {
		dst = append(dst, '0')
	}
	return dst
}

// appendSmall is AppendFixed of coef * 10^-scale.
func appendSmall(dst []byte, coef int64, scale, places int) []byte {
	for scale > 0 && scale > places && coef%10 == 0 {
		coef /= 10
		scale--
	}
	u := uint64(coef)
	if coef < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var buf [24]byte
	digits := strconv.AppendUint(buf[:0], u, 10)
	if len(digits) <= scale {
		dst = append(dst, '0')
	} else {
		dst = append(dst, digits[:len(digits)-scale]...)
		digits = digits[len(digits)-scale:]
	}
	if scale == 0 {
		digits = nil
	}
	if scale == 0 && places == 0 {
		return dst
	}
	dst = append(dst, '.')
	for i := len(digits); i < scale; i++ {
		dst = append(dst, '0')
	}
	dst = append(dst, digits...)
	for i := scale; i < places; i++ {
		dst = append(dst, '0')
	}
	return dst
}

// ErrNotWhole: a total that has to be a 64-bit integer is none.
var ErrNotWhole = errors.New("not a 64-bit integer")

// Whole returns a total as the 64-bit integer that a documented field needs.
// Nothing is rounded: another number is ErrNotWhole, with the figure in it.
func Whole(d decimal.Decimal) (int64, error) {
	if !d.IsInteger() {
		return 0, fmt.Errorf("%w: %s has a fraction", ErrNotWhole, d)
	}
	n := d.BigInt()
	if !n.IsInt64() {
		return 0, fmt.Errorf("%w: %s is outside %d to %d", ErrNotWhole, shorten(n), int64(-1)<<63, int64(1<<63-1))
	}
	return n.Int64(), nil
}

func shorten(n *big.Int) string {
	s := n.String()
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return s
}

// Rounding is applied once to a finished total that has to be an integer; nil
// rounds nothing, and a total with a fraction is our fault.
type Rounding func(decimal.Decimal) decimal.Decimal

// Integer returns the finished total of a meter's value as an integer: rounded
// by r if there is one. The error is for our own log; it names meter and value.
func (r Rounding) Integer(d decimal.Decimal, meters []string, value string) (int64, error) {
	if r != nil {
		d = r(d)
	}
	n, err := Whole(d)
	if err != nil {
		return 0, fmt.Errorf("the total of %s of the meter %s: %w", value, strings.Join(meters, ", "), err)
	}
	return n, nil
}

// ISO is an instant as most APIs write it: 2026-03-01T00:00:00Z. Fractions are
// written only where there are some.
const ISO = "2006-01-02T15:04:05.999999Z"

// AppendTime appends an instant in UTC, in quotes, in a layout of package time.
func AppendTime(dst []byte, t time.Time, layout string) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, layout)
	return append(dst, '"')
}

// NewUUID returns a random UUID (version 4 of RFC 9562) in lower case.
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[:8], b[:4])
	out[8] = '-'
	hex.Encode(out[9:13], b[4:6])
	out[13] = '-'
	hex.Encode(out[14:18], b[6:8])
	out[18] = '-'
	hex.Encode(out[19:23], b[8:10])
	out[23] = '-'
	hex.Encode(out[24:], b[10:])
	return string(out[:])
}
