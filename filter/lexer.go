package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd     tokenKind = iota
	tokenWord              // an identifier, or several joined by points
	tokenLiteral           // everything but true, false and null, which are words
	tokenPunct             // one character of punctuation
)

type token struct {
	kind     tokenKind
	spaced   bool // white space before it
	whole    bool // a number without point and exponent
	ch       byte // of tokenPunct
	offset   int  // minutes from UTC of an instant
	from, to int
	val      Value
}

func (t token) is(ch byte) bool { return t.kind == tokenPunct && t.ch == ch }

// next reads the next token into p.tok. After a fault every token is the end, so
// that callers need not look at p.err between tokens.
func (p *parser) next() {
	p.end = p.tok.to
	i := p.tok.to
	for i < len(p.text) && (p.text[i] == ' ' || p.text[i] == '\t') {
		i++
	}
	p.tok = token{from: i, to: i, spaced: i > p.end}
	if p.err != nil || i >= len(p.text) {
		return
	}
	switch c := p.text[i]; {
	case isDigit(c):
		p.digits(i)
	case c == '\'':
		p.quoted(i, i)
	case c == '-' || c == '+':
		if isDigitAt(p.text, i+1) {
			p.number(i)
			return
		}
		if strings.HasPrefix(p.text[i+1:], "INF") {
			p.notSupported(Span{i, i + 4}, "infinity")
			return
		}
		p.punct(i)
	case isWordStart(p.text, i) > 0:
		p.word(i)
	default:
		p.punct(i)
	}
}

func (p *parser) punct(i int) {
	_, size := utf8.DecodeRuneInString(p.text[i:])
	p.tok.kind, p.tok.ch, p.tok.to = tokenPunct, p.text[i], i+size
}

func (p *parser) literal(from, to int, v Value) {
	p.tok.kind, p.tok.val, p.tok.from, p.tok.to = tokenLiteral, v, from, to
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWordStart returns the length of the character at i if an identifier may begin
// with it, else 0.
func isWordStart(s string, i int) int {
	if i >= len(s) {
		return 0
	}
	c := s[i]
	if c < utf8.RuneSelf {
		if c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			return 1
		}
		return 0
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	if unicode.IsLetter(r) || unicode.Is(unicode.Nl, r) {
		return size
	}
	return 0
}

// isWordPart is isWordStart for the characters after the first.
func isWordPart(s string, i int) int {
	if n := isWordStart(s, i); n > 0 || i >= len(s) {
		return n
	}
	if isDigit(s[i]) {
		return 1
	}
	if s[i] < utf8.RuneSelf {
		return 0
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	if unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc, unicode.Cf) {
		return size
	}
	return 0
}

// maxWord is the longest identifier of the standard (OData CSDL 15.2).
const maxWord = 128

func (p *parser) word(i int) {
	if isGuid(p.text[i:]) && isWordPart(p.text, i+guidLen) == 0 {
		p.literal(i, i+guidLen, Value{typ: TypeGuid, str: strings.ToLower(p.text[i : i+guidLen])})
		return
	}
	from, segment := i, i
	for {
		n := isWordPart(p.text, i)
		if n == 0 && i < len(p.text) && p.text[i] == '.' && i > segment && isWordStart(p.text, i+1) > 0 {
			n, segment = 1, i+1
		}
		if n == 0 {
			break
		}
		i += n
		if i-segment > 4*maxWord {
			break
		}
	}
	if utf8.RuneCountInString(p.text[segment:i]) > maxWord {
		p.fail(CodeLimit, Span{from, i}, "a name has at most 128 characters")
		return
	}
	p.tok.kind, p.tok.to = tokenWord, i
	if i < len(p.text) && p.text[i] == '\'' {
		p.prefixed(from, i)
	}
}

// quoted reads a string literal; from is where its token begins.
func (p *parser) quoted(from, i int) {
	s, end, ok := p.unquote(i)
	if !ok {
		p.fail(CodeSyntax, Span{from, len(p.text)}, "the string is not closed (a quote inside is written twice)", "'")
		return
	}
	p.literal(from, end, Value{typ: TypeString, str: s})
}

// unquote reads the quoted text that begins at i. A quote is written twice inside
// (5.1.1.14.1); text without one is not copied.
func (p *parser) unquote(i int) (s string, end int, ok bool) {
	from := i + 1
	var b []byte
	for i = from; ; {
		n := strings.IndexByte(p.text[i:], '\'')
		if n < 0 {
			return "", 0, false
		}
		i += n
		if i+1 < len(p.text) && p.text[i+1] == '\'' {
			b = append(b, p.text[from:i+1]...)
			i += 2
			from = i
			continue
		}
		if b == nil {
			return p.text[from:i], i + 1, true
		}
		return string(append(b, p.text[from:i]...)), i + 1, true
	}
}

// prefixed reads the quoted part of a literal like duration'PT1H'. The forms
// datetime'..', datetimeoffset'..', time'..' and guid'..' are those of OData 2,
// which the field still writes.
func (p *parser) prefixed(from, i int) {
	prefix := p.text[from:i]
	if isOperator(prefix) {
		p.fail(CodeSyntax, Span{from, i}, "a space is needed after "+prefix)
		return
	}
	s, end, ok := p.unquote(i)
	if !ok {
		p.fail(CodeSyntax, Span{from, len(p.text)}, "the literal is not closed (a quote inside a string is written twice)", "'")
		return
	}
	span := Span{from, end}
	var v Value
	var n int
	var bad string
	want := ""
	switch lowerASCII(prefix) {
	case "datetime":
		v, _, n, bad = scanTime(s, true)
		want = "datetime'2018-01-01T00:00:00'"
	case "datetimeoffset":
		var offset int64
		v, offset, n, bad = scanTime(s, true)
		p.tok.offset = int(offset)
		want = "datetimeoffset'2018-01-01T00:00:00Z'"
	case "duration":
		v, n, bad = scanDuration(s)
		want = "duration'P1DT2H'"
	case "time":
		// OData 2 wrote a duration; a clock is what people write now.
		if v, n, bad = scanDuration(s); n == 0 {
			v, n, bad = timeOfDay(s)
		}
		want = "time'PT1H' or time'01:00:00'"
	case "guid":
		want = "guid'01234567-89ab-cdef-0123-456789abcdef'"
		if len(s) == guidLen && isGuid(s) {
			v, n = Value{typ: TypeGuid, str: strings.ToLower(s)}, guidLen
		}
	case "binary", "x":
		p.notSupported(span, "the binary literal")
		return
	case "geography", "geometry":
		p.notSupported(span, "the geo literal")
		return
	default:
		p.notSupported(span, "the enumeration literal "+quoteShort(prefix))
		return
	}
	switch {
	case bad != "":
		p.fail(CodeOutOfRange, span, bad)
	case n == 0 || n != len(s):
		p.fail(CodeSyntax, span, "malformed "+lowerASCII(prefix)+" literal", want)
	default:
		p.literal(from, end, v)
	}
}

func timeOfDay(s string) (Value, int, string) {
	us, picos, n, bad := scanClock(s)
	return Value{typ: TypeTimeOfDay, num: us*picosPerMicro + int64(picos)}, n, bad
}

// digits reads a literal that begins with a digit: guid, date-time, date, time of
// day or number, in this order, because each is a prefix of none before it.
func (p *parser) digits(i int) {
	s := p.text[i:]
	if isGuid(s) && isWordPart(s, guidLen) == 0 {
		p.literal(i, i+guidLen, Value{typ: TypeGuid, str: strings.ToLower(s[:guidLen])})
		return
	}
	var v Value
	bad := ""
	n := 0
	kind := "date"
	days, dn, dateBad := scanDate(s)
	switch {
	case dn > 0 && dn < len(s) && s[dn]|0x20 == 't':
		var offset int64
		v, offset, n, bad = scanTime(s, false)
		p.tok.offset = int(offset)
		kind = "date-time"
	case dn > 0:
		v, n, bad = Value{typ: TypeDate, num: days}, dn, dateBad
	default:
		if v, n, bad = timeOfDay(s); n == 0 {
			p.number(i)
			return
		}
		kind = "time of day"
	}
	if n > 0 && p.literalGoesOn(i+n) {
		n = 0
	}
	switch {
	case n == 0:
		want := map[string]string{
			"date": "YYYY-MM-DD", "date-time": "YYYY-MM-DDThh:mm:ss followed by Z or an offset", "time of day": "hh:mm:ss",
		}[kind]
		p.fail(CodeSyntax, Span{i, p.literalEnd(i)}, "malformed "+kind, want)
	case bad != "":
		code := CodeOutOfRange
		if strings.HasSuffix(bad, "not supported") {
			code = CodeNotSupported
		}
		p.fail(code, Span{i, i + n}, bad)
	default:
		p.literal(i, i+n, v)
	}
}

// literalGoesOn reports whether a literal that should end at i has more
// characters that can only be meant as part of it.
func (p *parser) literalGoesOn(i int) bool {
	if i >= len(p.text) {
		return false
	}
	c := p.text[i]
	return isWordPart(p.text, i) > 0 || c == '.' || c == '-' || c == '+' || c == '\''
}

// literalEnd returns where the run of characters of literals ends, for errors.
func (p *parser) literalEnd(i int) int {
	for i < len(p.text) {
		n := isWordPart(p.text, i)
		if n == 0 && strings.IndexByte("+-.:", p.text[i]) >= 0 {
			n = 1
		}
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

func (p *parser) number(from int) {
	i := from
	if !isDigit(p.text[i]) {
		i++
	}
	for isDigitAt(p.text, i) {
		i++
	}
	if i < len(p.text) && p.text[i] == '.' && isDigitAt(p.text, i+1) {
		i++
		for isDigitAt(p.text, i) {
			i++
		}
	}
	if i < len(p.text) && p.text[i]|0x20 == 'e' {
		j := i + 1
		if j < len(p.text) && (p.text[j] == '+' || p.text[j] == '-') {
			j++
		}
		if isDigitAt(p.text, j) {
			for isDigitAt(p.text, j) {
				j++
			}
			i = j
		}
	}
	end := i
	suffix := i < len(p.text) && p.text[i]|0x20 == 'm'
	if suffix {
		end++
	}
	if p.literalGoesOn(end) {
		if isLongYear(p.text[from:]) {
			p.notSupported(Span{from, p.literalEnd(end)}, "a year outside 0000 to 9999")
			return
		}
		if what, want := looksLike(p.text[from:]); what != "" {
			p.fail(CodeSyntax, Span{from, p.literalEnd(end)}, "malformed "+what, want)
			return
		}
		p.fail(CodeSyntax, Span{from, p.literalEnd(end)}, "malformed number", "digits, a point, an exponent or the suffix m")
		return
	}
	v, whole, ok := parseNumber(p.text[from:i])
	if !ok {
		p.fail(CodeOutOfRange, Span{from, end}, "the number has more than 100 digits")
		return
	}
	p.literal(from, end, v)
	p.tok.whole = whole && !suffix
}

// isLongYear reports whether s begins with a date whose year has a sign or more
// than four digits, which the grammar has and the calendar here has not.
func isLongYear(s string) bool {
	if s[0] == '-' || s[0] == '+' {
		s = s[1:]
	}
	n := 0
	for isDigitAt(s, n) {
		n++
	}
	_, month := scanDigits(s, n+1, 2)
	_, day := scanDigits(s, n+4, 2)
	return n >= 4 && month && day && s[n] == '-' && s[n+3] == '-'
}

// looksLike guesses what a text that begins with digits and is no literal was meant
// as: digits and a hyphen begin a date, eight hexadecimal digits a guid.
func looksLike(s string) (what, want string) {
	n, hex := 0, 0
	for isDigitAt(s, n) {
		n++
	}
	for hex < len(s) && isHex(s[hex]) {
		hex++
	}
	switch {
	case hex == 8 && len(s) > 8 && s[8] == '-':
		return "guid", "01234567-89ab-cdef-0123-456789abcdef"
	case n > 0 && n <= 6 && n < len(s) && s[n] == '-':
		return "date", "YYYY-MM-DD"
	}
	return "", ""
}

// lowerASCII returns s in lower case, without allocating when it is so already.
func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return strings.ToLower(s)
		}
	}
	return s
}

// quoteShort cuts a piece of the text down for a message.
func quoteShort(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return s[:stepBack(s, limit, 1)] + "..."
}
