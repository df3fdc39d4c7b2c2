package filter

import (
	"strings"
	"unsafe"
)

// unsafeString views bytes that are not written any more as a string. The bytes
// are a frame's text, which is only appended to while a value may point into it.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// cast compiles cast(x,T) (5.1.1.10.1). A cast that fails is null.
func (c *compiler) cast(e *Cast) valueFunc {
	x := c.value(e.X)
	to := e.typ
	if limits, ok := wholeTypes[e.To]; ok {
		c.frames = true
		lo, hi := Number(limits[0], 0), Number(limits[1], 0)
		return func(r Row, f *frame) Value {
			v := castTo(x(r, f), TypeDecimal)
			if v.typ != TypeDecimal {
				return v
			}
			v, fault := roundHalf.apply(&f.calc, v)
			if fault >= 0 || Compare(v, lo) < 0 || Compare(v, hi) > 0 {
				return Value{}
			}
			return v
		}
	}
	if to == TypeString {
		c.frames = true
		return func(r Row, f *frame) Value {
			v := x(r, f)
			switch v.typ {
			case TypeString, TypeNull, typeFault:
				return v
			case TypeDecimal:
				if !computable(v) {
					return Value{}
				}
			}
			from := len(f.text)
			f.text = v.appendText(f.text)
			return Value{typ: TypeString, str: unsafeString(f.text[from:])}
		}
	}
	return func(r Row, f *frame) Value { return castTo(x(r, f), to) }
}

func castTo(v Value, to Type) Value {
	switch {
	case v.typ == to, v.typ == TypeNull, v.typ == typeFault:
		return v
	case v.typ == TypeString:
		return parseAs(strings.Trim(v.str, " "), to)
	case v.typ == TypeTime && to == TypeDate:
		return Date(daysOf(v))
	case v.typ == TypeTime && to == TypeTimeOfDay:
		return Value{typ: TypeTimeOfDay, num: clockOf(v)}
	case v.typ == TypeDate && to == TypeTime:
		return Micros(v.num * microsPerDay)
	}
	return Value{}
}

// parseAs reads the text form of a type, without quotes and prefixes; null when
// the text has another form. An instant without zone is UTC, and a date alone is
// its midnight, which OASIS leaves out and the field writes.
func parseAs(s string, to Type) Value {
	var v Value
	n, bad := 0, ""
	switch to {
	case TypeBool:
		switch s { // booleanValue of the grammar, which unlike the literal has one case
		case "true":
			return Bool(true)
		case "false":
			return Bool(false)
		}
		return Value{}
	case TypeDecimal:
		if !isNumber(s) {
			return Value{}
		}
		v, _, ok := parseNumber(s)
		if !ok {
			return Value{}
		}
		return v
	case TypeTime:
		if v, _, n, bad = scanTime(s, true); n == 0 && bad == "" {
			var days int64
			days, n, bad = scanDate(s)
			v = Micros(days * microsPerDay)
		}
	case TypeDate:
		var days int64
		days, n, bad = scanDate(s)
		v = Date(days)
	case TypeTimeOfDay:
		v, n, bad = timeOfDay(s)
	case TypeDuration:
		v, n, bad = scanDuration(s)
	case TypeGuid:
		v, _ = Guid(s)
		return v
	case TypeString:
		return String(s)
	}
	if n == 0 || n != len(s) || bad != "" {
		return Value{}
	}
	return v
}

// isNumber reports whether s is [sign] digits [. digits] [e [sign] digits].
func isNumber(s string) bool {
	digits := func() bool {
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		s = s[n:]
		return n > 0
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	if !digits() {
		return false
	}
	if s != "" && s[0] == '.' {
		if s = s[1:]; !digits() {
			return false
		}
	}
	if s != "" && s[0]|0x20 == 'e' {
		s = s[1:]
		if s != "" && (s[0] == '-' || s[0] == '+') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}
