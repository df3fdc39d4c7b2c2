package filter

import (
	"strings"
	"sync"
	"time"
)

// Row gives the values of a row by slot, the index into Program.Fields. A Row must
// not change while a Program looks at it.
type Row interface {
	Value(slot int) Value
}

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	fields []Field
	cond   condFunc
	value  valueFunc
	sites  []Expr
	pool   *sync.Pool // of *frame; nil when the program needs none
}

// Compile returns the program of the expression. now() is the moment of the call,
// unless At fixed it.
func (c *Checked) Compile() *Program {
	e := c.expr
	hasNow := false
	Walk(e, func(e Expr) bool {
		if n, ok := e.(*Call); ok && n.Func == "now" {
			hasNow = true
		}
		return !hasNow
	})
	if hasNow {
		e = c.At(time.Now()).expr
	}
	p := compileValue(e)
	p.fields = c.fields
	return p
}

func compileValue(e Expr) *Program {
	var c compiler
	p := &Program{}
	if t := e.Type(); t == TypeBool || t == TypeNull {
		p.cond = c.cond(e)
	}
	p.value = c.value(e)
	p.sites = c.sites
	if c.frames {
		p.pool = &sync.Pool{New: func() any { return &frame{} }}
	}
	return p
}

// Fields returns the fields by slot. The caller must not change the slice.
func (p *Program) Fields() []Field { return p.fields }

// Match reports whether the expression is true for a row; false and null do not
// match. The error is an *Error: a division by zero, a result that is out of
// range, a Row that gives a value of another type than declared, or a program
// that is no condition. Match does not allocate except for numbers beyond 64 bits
// in arithmetic.
func (p *Program) Match(r Row) (bool, error) {
	if p.cond == nil {
		return false, &Error{Code: CodeType, Message: "the program is no condition"}
	}
	var t tri
	if p.pool == nil {
		t = p.cond(r, nil)
	} else {
		f := p.pool.Get().(*frame)
		t = p.cond(r, f)
		f.reset()
		p.pool.Put(f)
	}
	if t >= faultBase {
		return false, p.fault(t)
	}
	return t == yes, nil
}

// Eval returns the value of the expression for a row; the value of a condition is
// true, false or null. The error is as in Match.
func (p *Program) Eval(r Row) (Value, error) {
	var v Value
	if p.pool == nil {
		v = p.value(r, nil)
	} else {
		f := p.pool.Get().(*frame)
		v = p.value(r, f)
		// They may stand in the frame.
		if v.str != "" {
			v.str = strings.Clone(v.str)
		}
		if v.ext != nil && v.typ == TypeDecimal {
			ext := new(extension)
			ext.coef.Set(&v.ext.coef)
			v.ext = ext
		}
		f.reset()
		p.pool.Put(f)
	}
	if v.typ == typeFault {
		return Value{}, p.fault(tri(v.num))
	}
	return v, nil
}

// frame is what an evaluation may need besides the row. Frames are pooled, so that
// what they hold is allocated once and not per row.
type frame struct {
	calc
	// text holds the strings that functions build. A string points into it, so it
	// is only appended to until the evaluation is over.
	text []byte
	// items are the current items of the lambdas around the code that runs.
	items []item
	// values are those that a countdistinct has seen.
	values []Value
}

type item struct {
	of    Collection
	index int
}

func (f *frame) reset() {
	if cap(f.text) > 1<<16 {
		f.text = nil // one huge row must not be kept for ever
	}
	f.text = f.text[:0]
	f.used = 0
	if len(f.kept) > 256 {
		f.kept = nil
	}
	clear(f.items)
	if cap(f.values) > 1024 {
		f.values = nil
	}
	clear(f.values[:cap(f.values)])
	f.items = f.items[:0]
}

// tri is a truth value or a fault: faultBase + site * faultKinds + kind.
type tri int32

const (
	no tri = iota
	yes
	unknown
	faultBase
)

const (
	faultDivision = iota
	faultRange
	faultNegative
	faultRowType
	faultPattern
	faultKinds
)

func faultValue(t tri) Value { return Value{typ: typeFault, num: int64(t)} }

func truth(b bool) tri {
	if b {
		return yes
	}
	return no
}

// truthOf reads a boolean value.
func truthOf(v Value) tri {
	switch v.typ {
	case TypeBool:
		return tri(v.num)
	case typeFault:
		return tri(v.num)
	}
	return unknown
}

func valueOf(t tri) Value {
	switch {
	case t >= faultBase:
		return faultValue(t)
	case t == unknown:
		return Value{}
	}
	return Value{typ: TypeBool, num: int64(t)}
}

// fault turns a fault into the error that names what failed.
func (p *Program) fault(t tri) error {
	at := int(t - faultBase)
	e := p.sites[at/faultKinds]
	err := &Error{Text: e.base().src, Span: e.Span()}
	switch at % faultKinds {
	case faultDivision:
		err.Code, err.Message = CodeDivisionByZero, "division by zero"
	case faultRange:
		err.Code, err.Message = CodeOutOfRange, "the result is out of range"
		if e.Type() == TypeDecimal {
			err.Message = "the result has more than 100 digits"
		}
	case faultNegative:
		err.Code, err.Message = CodeOutOfRange, "start and length of substring must be whole and the length not negative"
	case faultPattern:
		err.Code, err.Message = CodeOutOfRange, "the pattern is not a valid regular expression"
	default:
		err.Code, err.Message = CodeType, "the row gives a value of another type than the field has"
		if n, ok := e.(*Name); ok {
			err.Message = "the row gives for " + n.Path + " a value that is no " + n.typ.String()
		}
	}
	return err
}
