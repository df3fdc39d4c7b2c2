package aggregate

import "fmt"

// MaxNumberText is the longest text, in bytes, that [ParseNumber] looks at.
// The longest canonical number has 70 bytes; the rest is room for zeros and
// exponents that other programs write.
const MaxNumberText = 256

const (
	integerReason = "more than 38 digits before the decimal point"
	scaleReason   = "more than 30 digits after the decimal point"
)

func rangeError(reason string) error { return &NumberError{Reason: reason, Err: ErrRange} }

// ParseNumber reads a number in the notation of JSON: an optional sign,
// digits, an optional point with digits, an optional exponent. Beyond JSON it
// takes a leading plus, leading zeros, and a fraction without digits before
// the point (.5). It refuses a point without digits after it (5. may be a
// number cut short), spaces, separators, NaN and infinities.
//
// The error is a [*NumberError] that wraps [ErrSyntax], or [ErrRange] if the
// number does not fit a Number or the text is longer than [MaxNumberText].
// Lengths and exponents are checked before any arithmetic, so that no text
// takes more than a microsecond or so. Nothing is allocated on success.
func ParseNumber(text string) (Number, error) { return parseNumber(text) }

// ParseNumberBytes is [ParseNumber] for bytes, which it neither keeps nor copies.
func ParseNumberBytes(text []byte) (Number, error) { return parseNumber(text) }

func parseNumber[T string | []byte](text T) (Number, error) {
	if len(text) > MaxNumberText {
		return Number{}, textError(text, 0, fmt.Sprintf("text of %d bytes, at most %d are read", len(text), MaxNumberText), ErrRange)
	}
	s, fault := scanNumber(text)
	if fault != "" {
		return Number{}, textError(text, s.offset, fault, ErrSyntax)
	}
	if s.digits == 0 {
		return Number{}, nil
	}
	if s.digits+s.power > MaxIntegerDigits {
		return Number{}, textError(text, 0, integerReason, ErrRange)
	}
	if -s.power > MaxScale {
		return Number{}, textError(text, 0, scaleReason, ErrRange)
	}
	scale := 0
	if s.power < 0 {
		scale = -s.power
	}
	if s.digits <= 18 && s.digits+s.power <= 18 {
		var coef int64
		for i := s.first; i <= s.last; i++ {
			if c := text[i]; c != '.' {
				coef = coef*10 + int64(c-'0')
			}
		}
		if s.power > 0 {
			coef *= int64(pow10[s.power])
		}
		if s.neg {
			coef = -coef
		}
		return Number{w0: uint64(coef), tail: uint64(scale)}, nil
	}
	// The last digit is not a zero, so the result is canonical as it stands.
	mag := wideDigits(text, s)
	if s.power > 0 {
		mag.scaleUp(s.power)
	}
	return numberFrom(s.neg, &mag, uint8(scale)), nil
}

// wideDigits reads the digits of a scanned text of at most 68, a word at a time.
func wideDigits[T string | []byte](text T, s scanned) (mag wide) {
	var word uint64
	n := 0
	for i := s.first; i <= s.last; i++ {
		c := text[i]
		if c == '.' {
			continue
		}
		word = word*10 + uint64(c-'0')
		if n++; n == 19 {
			mag.mulAdd(pow10[n], word)
			word, n = 0, 0
		}
	}
	mag.mulAdd(pow10[n], word)
	return mag
}

// scanned is what a pass over a number's text finds, before any arithmetic.
type scanned struct {
	neg         bool
	first, last int // indexes of the first and last digit that is not zero
	digits      int // digits from first to last, the point not counted; 0 for zero
	power       int // power of ten of the digit at last, the exponent included
	offset      int // where a fault was found
}

// exponentCap keeps the exponent in an int. No exponent beyond it can bring a
// text of bounded length back into range.
const exponentCap = 1_000_000

// scanNumber checks the syntax of text; fault says what is wrong with it.
func scanNumber[T string | []byte](text T) (s scanned, fault string) {
	i := 0
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		s.neg = text[0] == '-'
		i++
	}
	s.first = -1
	start, point := i, -1
scan:
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c-'0' <= 9:
			if c != '0' {
				if s.first < 0 {
					s.first = i
				}
				s.last = i
			}
		case c == '.' && point < 0:
			point = i
		default:
			break scan
		}
	}
	s.offset = i
	end := i
	if point >= 0 && point == end-1 {
		return s, "a digit must follow the decimal point"
	}
	if end == start {
		return s, "expected a digit"
	}
	exp := 0
	if i < len(text) {
		if text[i]|0x20 != 'e' {
			return s, "expected a digit, a point or an exponent"
		}
		i++
		negExp := false
		if i < len(text) && (text[i] == '-' || text[i] == '+') {
			negExp = text[i] == '-'
			i++
		}
		s.offset = i
		if i == len(text) {
			return s, "expected a digit of the exponent"
		}
		for ; i < len(text); i++ {
			c := text[i] - '0'
			if c > 9 {
				s.offset = i
				return s, "expected a digit of the exponent"
			}
			if exp < exponentCap {
				exp = exp*10 + int(c)
			}
		}
		if negExp {
			exp = -exp
		}
	}
	if s.first < 0 {
		return s, ""
	}
	s.digits = s.last - s.first + 1
	switch {
	case point < 0:
		s.power = end - 1 - s.last
	case s.last > point:
		s.power = point - s.last
		if s.first < point {
			s.digits--
		}
	default:
		s.power = point - 1 - s.last
	}
	s.power += exp
	return s, ""
}

func textError[T string | []byte](text T, offset int, reason string, err error) error {
	const keep = 40
	short := string(text[:min(len(text), keep)])
	if len(text) > keep {
		short += "..."
	}
	if short == "" {
		reason = "empty text"
	}
	return &NumberError{Text: short, Offset: offset, Reason: reason, Err: err}
}
