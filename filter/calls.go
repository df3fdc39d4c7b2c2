package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// condCall compiles a function whose result is boolean, and returns nil for the
// others. A null argument makes the result null.
func (c *compiler) condCall(e *Call) condFunc {
	var test func(s, t string) bool
	switch e.Func {
	case "contains":
		test = strings.Contains
	case "startswith":
		test = strings.HasPrefix
	case "endswith":
		test = strings.HasSuffix
	case "matchesPattern":
		return c.matches(e)
	case "isdefined":
		// A field that is absent and one that is null are one in a flat row.
		x := c.value(e.Args[0])
		return func(r Row, f *frame) tri {
			v := x(r, f)
			if v.typ == typeFault {
				return tri(v.num)
			}
			return truth(v.typ != TypeNull)
		}
	default:
		return nil
	}
	x := c.value(e.Args[0])
	if l, ok := e.Args[1].(*Literal); ok && !l.Value.IsNull() {
		part := l.Value.str
		if n, ok := e.Args[0].(*Name); ok && n.Var == 0 {
			slot, bad := n.Slot, c.site(n)+faultRowType
			return func(r Row, _ *frame) tri {
				v := r.Value(slot)
				switch v.typ {
				case TypeString:
					return truth(test(v.str, part))
				case TypeNull:
					return unknown
				}
				return bad
			}
		}
		return func(r Row, f *frame) tri {
			v := x(r, f)
			if v.typ != TypeString {
				return truthOf(v)
			}
			return truth(test(v.str, part))
		}
	}
	y := c.value(e.Args[1])
	return func(r Row, f *frame) tri {
		a := x(r, f)
		if a.typ == typeFault {
			return truthOf(a)
		}
		b := y(r, f)
		if a.typ != TypeString || b.typ != TypeString {
			return truthOf(b)
		}
		return truth(test(a.str, b.str))
	}
}

func (c *compiler) matches(e *Call) condFunc {
	x := c.value(e.Args[0])
	bad := c.site(e) + faultPattern
	re, err := compilePattern(e.Args[1])
	if err != nil {
		return func(Row, *frame) tri { return bad }
	}
	if re == nil {
		return func(Row, *frame) tri { return unknown }
	}
	return func(r Row, f *frame) tri {
		v := x(r, f)
		if v.typ != TypeString {
			return truthOf(v)
		}
		return truth(re.MatchString(v.str))
	}
}

// compareMapped compiles tolower(x) eq 'text' and toupper(x) eq 'text' without
// building the string; nil when the call is another one.
func (c *compiler) compareMapped(e *Call, text string, one tri, verdict [3]tri) condFunc {
	var mapping func(rune) rune
	switch e.Func {
	case "tolower":
		mapping = unicode.ToLower
	case "toupper":
		mapping = unicode.ToUpper
	default:
		return nil
	}
	x := c.value(e.Args[0])
	same, differs := verdict[1], verdict[0]
	return func(r Row, f *frame) tri {
		v := x(r, f)
		switch v.typ {
		case TypeString:
			if equalMapped(v.str, text, mapping) {
				return same
			}
			return differs
		case typeFault:
			return tri(v.num)
		}
		return one
	}
}

// equalMapped reports whether s, mapped rune by rune, is text.
func equalMapped(s, text string, mapping func(rune) rune) bool {
	for _, r := range s {
		m := mapping(r)
		if m < utf8.RuneSelf {
			if text == "" || text[0] != byte(m) {
				return false
			}
			text = text[1:]
			continue
		}
		t, size := utf8.DecodeRuneInString(text)
		if t != m || t == utf8.RuneError && size <= 1 && m != utf8.RuneError {
			return false
		}
		text = text[size:]
	}
	return text == ""
}

// valueCall compiles a function whose result is no condition, and returns nil for
// the others. A null argument makes the result null.
func (c *compiler) valueCall(e *Call) valueFunc {
	args := make([]valueFunc, len(e.Args))
	for i, a := range e.Args {
		args[i] = c.value(a)
	}
	switch e.Func {
	case "mindatetime":
		return constant(minDateTime)
	case "maxdatetime":
		return constant(maxDateTime)
	case "tolower":
		return c.mapped(args[0], unicode.ToLower)
	case "toupper":
		return c.mapped(args[0], unicode.ToUpper)
	case "trim":
		// U+0020 only, which is the choice of this language where the standard is open.
		return onString(args[0], func(s string) Value { return String(strings.Trim(s, " ")) })
	case "length":
		return onString(args[0], func(s string) Value { return Number(int64(utf8.RuneCountInString(s)), 0) })
	case "concat":
		return c.concat(args[0], args[1])
	case "indexof":
		return indexOf(args[0], args[1])
	case "substring":
		return c.substring(e, args)
	case "round":
		return c.rounded(e, args[0], roundHalf)
	case "floor":
		return c.rounded(e, args[0], roundFloor)
	case "ceiling":
		return c.rounded(e, args[0], roundCeiling)
	}
	if part := timePart(e.Func); part != nil {
		x := args[0]
		return func(r Row, f *frame) Value {
			v := x(r, f)
			if v.typ == TypeNull || v.typ == typeFault {
				return v
			}
			return part(v)
		}
	}
	return nil
}

// 5.1.1.8.5, 5.1.1.8.6: the earliest and latest instant, here of the years that a
// literal and RFC 3339 can write.
var (
	minDateTime = Micros(daysFromCivil(1, 1, 1) * microsPerDay)
	maxDateTime = Micros(maxMicros)
)

func constant(v Value) valueFunc { return func(Row, *frame) Value { return v } }

// onString applies fn to a string and passes null and faults on.
func onString(x valueFunc, fn func(string) Value) valueFunc {
	return func(r Row, f *frame) Value {
		v := x(r, f)
		if v.typ != TypeString {
			return v
		}
		return fn(v.str)
	}
}

func (c *compiler) mapped(x valueFunc, mapping func(rune) rune) valueFunc {
	c.frames = true
	return func(r Row, f *frame) Value {
		v := x(r, f)
		if v.typ != TypeString || unchanged(v.str, mapping) {
			return v
		}
		from := len(f.text)
		for _, r := range v.str {
			f.text = utf8.AppendRune(f.text, mapping(r))
		}
		return Value{typ: TypeString, str: unsafeString(f.text[from:])}
	}
}

func unchanged(s string, mapping func(rune) rune) bool {
	for _, r := range s {
		if mapping(r) != r {
			return false
		}
	}
	return true
}

func (c *compiler) concat(x, y valueFunc) valueFunc {
	c.frames = true
	return func(r Row, f *frame) Value {
		a := x(r, f)
		if a.typ == typeFault {
			return a
		}
		b := y(r, f)
		if a.typ != TypeString || b.typ != TypeString {
			if b.typ == typeFault {
				return b
			}
			return Value{}
		}
		from := len(f.text)
		f.text = append(f.text, a.str...)
		f.text = append(f.text, b.str...)
		return Value{typ: TypeString, str: unsafeString(f.text[from:])}
	}
}

// indexOf counts characters, and is -1 where there is no occurrence (5.1.1.5.4).
func indexOf(x, y valueFunc) valueFunc {
	return func(r Row, f *frame) Value {
		a := x(r, f)
		if a.typ == typeFault {
			return a
		}
		b := y(r, f)
		if a.typ != TypeString || b.typ != TypeString {
			if b.typ == typeFault {
				return b
			}
			return Value{}
		}
		at := strings.Index(a.str, b.str)
		if at > 0 {
			at = utf8.RuneCountInString(a.str[:at])
		}
		return Number(int64(at), 0)
	}
}

// substring counts characters from zero; a start past the end gives the empty
// string (5.1.1.5.7).
func (c *compiler) substring(e *Call, args []valueFunc) valueFunc {
	bad := faultValue(c.site(e) + faultNegative)
	return func(r Row, f *frame) Value {
		s := args[0](r, f)
		if s.typ == typeFault {
			return s
		}
		start := args[1](r, f)
		if start.typ == typeFault {
			return start
		}
		length := Number(1<<62, 0)
		if len(args) == 3 {
			if length = args[2](r, f); length.typ == typeFault {
				return length
			}
		}
		if s.typ == TypeNull || start.typ == TypeNull || length.typ == TypeNull {
			return Value{}
		}
		from, ok1 := characters(start)
		n, ok2 := characters(length)
		if !ok1 || !ok2 {
			return bad
		}
		text := s.str
		text = text[runesLen(text, from):]
		return String(text[:runesLen(text, n)])
	}
}

// characters reads a number of characters, saturated far beyond any string.
func characters(v Value) (n int, ok bool) {
	var m calc
	whole, fault := roundFloor.apply(&m, v)
	if fault >= 0 || signOf(v) < 0 || !Equal(whole, v) {
		return 0, false
	}
	const limit = 1 << 40
	if whole.ext != nil || whole.num > limit {
		return limit, true
	}
	return int(whole.num), true
}

func (c *compiler) rounded(e *Call, x valueFunc, m rounding) valueFunc {
	c.frames = true
	site := c.site(e)
	return func(r Row, f *frame) Value {
		v := x(r, f)
		if v.typ != TypeDecimal {
			return v
		}
		v, fault := m.apply(&f.calc, v)
		if fault >= 0 {
			return faultValue(site + fault)
		}
		return v
	}
}

// timePart returns the function of an instant, date, time of day or duration, in
// UTC (5.1.1.8).
func timePart(name string) func(Value) Value {
	switch name {
	case "date":
		return func(v Value) Value { return Date(daysOf(v)) }
	case "time":
		return func(v Value) Value { return Value{typ: TypeTimeOfDay, num: clockOf(v)} }
	case "year":
		return func(v Value) Value { y, _, _ := civilFromDays(daysOf(v)); return Number(y, 0) }
	case "month":
		return func(v Value) Value { _, m, _ := civilFromDays(daysOf(v)); return Number(m, 0) }
	case "day":
		return func(v Value) Value { _, _, d := civilFromDays(daysOf(v)); return Number(d, 0) }
	case "hour":
		return func(v Value) Value { return Number(clockOf(v)/(3600*picosPerSecond), 0) }
	case "minute":
		return func(v Value) Value { return Number(clockOf(v)/(60*picosPerSecond)%60, 0) }
	case "second":
		return func(v Value) Value { return Number(clockOf(v)/picosPerSecond%60, 0) }
	case "fractionalseconds":
		return func(v Value) Value { return Number(clockOf(v)%picosPerSecond, 12) }
	case "totaloffsetminutes":
		return func(Value) Value { return Number(0, 0) }
	case "totalseconds":
		return totalSeconds
	}
	return nil
}

func daysOf(v Value) int64 {
	if v.typ == TypeDate {
		return v.num
	}
	return floorDiv(v.num, microsPerDay)
}

// clockOf returns the picoseconds since midnight.
func clockOf(v Value) int64 {
	if v.typ == TypeTimeOfDay {
		return v.num
	}
	return (v.num-floorDiv(v.num, microsPerDay)*microsPerDay)*picosPerMicro + int64(v.scale)
}

func totalSeconds(v Value) Value {
	whole := Number(v.num, 6)
	if v.scale == 0 {
		return whole
	}
	var m calc
	sum, _ := m.add(whole, Number(int64(v.scale), 12))
	return sum
}
