package filter

// negate checks unary minus (5.1.1.2.3): numbers and durations.
func (c *checker) negate(e *Negate) Expr {
	x := c.expr(e.X)
	if x == nil {
		return nil
	}
	switch x.Type() {
	case TypeDecimal, TypeDuration, TypeNull:
	default:
		c.fail(x, CodeType, "a "+x.Type().String()+" cannot be negated")
		return nil
	}
	n := &Negate{node: e.node, X: x}
	n.typ, n.integer = x.Type(), x.base().integer
	return fold(n)
}

// arithmetic checks add, sub, mul, div, divby, mod (5.1.1.2) and finds the type of
// the result.
func (c *checker) arithmetic(e *Binary, x, y Expr) Expr {
	t, ok := arithmeticType(e.Op, x.Type(), y.Type())
	if !ok {
		c.fail(e, CodeType, "cannot "+e.Op.String()+" "+x.Type().String()+" and "+y.Type().String())
		return nil
	}
	n := &Binary{node: e.node, Op: e.Op, X: x, Y: y}
	n.typ = t
	n.integer = t == TypeDecimal && x.base().integer && y.base().integer && e.Op != OpDivBy
	return fold(n)
}

func arithmeticType(op Op, x, y Type) (Type, bool) {
	number := func(t Type) bool { return t == TypeDecimal || t == TypeNull }
	length := func(t Type) bool { return t == TypeDuration || t == TypeNull }
	switch {
	case x == TypeNull && y == TypeNull:
		return TypeNull, true
	case number(x) && number(y):
		return TypeDecimal, true
	case op == OpAdd || op == OpSub:
		switch {
		case length(x) && length(y):
			return TypeDuration, true
		case (x == TypeTime || x == TypeDate) && length(y):
			return x, true
		case op == OpAdd && x == TypeDuration && (y == TypeTime || y == TypeDate):
			return y, true
		case op == OpSub && x == y && (x == TypeTime || x == TypeDate):
			return TypeDuration, true
		}
	case op == OpMul:
		if length(x) && number(y) || number(x) && length(y) {
			return TypeDuration, true
		}
	case op == OpDiv || op == OpDivBy:
		if x == TypeDuration && number(y) {
			return TypeDuration, true
		}
	}
	return TypeNull, false
}

// castTypes are the targets of cast by their name, with and without namespace.
var castTypes = map[string]Type{
	"Edm.Boolean": TypeBool, "Edm.String": TypeString, "Edm.Guid": TypeGuid,
	"Edm.Decimal": TypeDecimal, "Edm.Double": TypeDecimal, "Edm.Single": TypeDecimal,
	"Edm.Byte": TypeDecimal, "Edm.SByte": TypeDecimal, "Edm.Int16": TypeDecimal, "Edm.Int32": TypeDecimal, "Edm.Int64": TypeDecimal,
	"Edm.DateTimeOffset": TypeTime, "Edm.DateTime": TypeTime, "Edm.Date": TypeDate,
	"Edm.TimeOfDay": TypeTimeOfDay, "Edm.Duration": TypeDuration,
}

// wholeTypes are the targets that hold whole numbers, with their range.
var wholeTypes = map[string][2]int64{
	"Edm.Byte": {0, 255}, "Edm.SByte": {-128, 127}, "Edm.Int16": {-1 << 15, 1<<15 - 1},
	"Edm.Int32": {-1 << 31, 1<<31 - 1}, "Edm.Int64": {-1 << 63, 1<<63 - 1},
}

// cast checks cast(x,T) (5.1.1.10.1).
func (c *checker) cast(e *Cast) Expr {
	to, known := castTypes[e.To]
	if !known || e.X == nil {
		what := "cast to " + quoteShort(e.To)
		if e.X == nil {
			what = "cast of the row itself"
		}
		c.fail(e, CodeNotSupported, what+" is not supported", "cast(value,Edm.Decimal)")
		return nil
	}
	x := c.expr(e.X)
	if x == nil {
		return nil
	}
	if x.Type() == TypeCollection {
		c.fail(x, CodeType, "a collection cannot be cast")
		return nil
	}
	n := &Cast{node: e.node, X: x, To: e.To}
	n.typ = to
	_, n.integer = wholeTypes[e.To]
	return fold(n)
}

// castOffset returns the offset that the text of an instant has.
func castOffset(e *Cast) int {
	if l, ok := e.X.(*Literal); ok && l.Value.typ == TypeString && e.typ == TypeTime {
		_, offset, _, _ := scanTime(l.Value.str, true)
		return int(offset)
	}
	return 0
}

// caseOf checks case (5.1.1.12): conditions, and results of one type.
func (c *checker) caseOf(e *Case) Expr {
	n := &Case{node: e.node, Arms: make([]Arm, len(e.Arms))}
	n.integer = true
	for i, a := range e.Arms {
		when := c.condition(a.When, "case")
		then := c.expr(a.Then)
		if when == nil || then == nil {
			return nil
		}
		t := then.Type()
		switch {
		case t == TypeCollection:
			c.fail(then, CodeType, "a result of case cannot be a collection")
			return nil
		case t == TypeNull:
		case n.typ == TypeNull:
			n.typ = t
		case n.typ != t:
			c.fail(then, CodeType, "the results of case must be of one type, this is a "+t.String()+" after a "+n.typ.String())
			return nil
		}
		n.integer = n.integer && (then.base().integer || t == TypeNull)
		n.folds = n.folds || then.base().folds
		n.Arms[i] = Arm{When: when, Then: then}
	}
	n.integer = n.integer && n.typ == TypeDecimal
	return fold(n)
}

// aggregate checks path/aggregate(value with method): names in the value are
// fields of the items (Data Aggregation 3.3).
func (c *checker) aggregate(e *Aggregate) Expr {
	if len(e.Aggs) != 1 || len(e.Aggs[0].From) > 0 {
		c.fail(e, CodeNotSupported, "aggregate with from is not supported")
		return nil
	}
	a := e.Aggs[0]
	over := c.collection(e.Over)
	if over == nil {
		return nil
	}
	if a.Expr == nil {
		n := &Count{node: e.node, Over: over}
		n.typ, n.integer = TypeDecimal, true
		return n
	}
	if a.Method == "" {
		c.fail(a.Expr, CodeNotSupported, "the custom aggregate "+quoteShort(a.Expr.String())+" is not supported", "with and a method")
		return nil
	}
	a.Method = lowerASCII(a.Method)
	c.vars = append(c.vars, lambdaVar{"", over.Field.Items})
	a.Expr = c.expr(a.Expr)
	c.vars = c.vars[:len(c.vars)-1]
	if a.Expr == nil {
		return nil
	}
	t := a.Expr.Type()
	n := &Aggregate{node: e.node, Over: over, Aggs: []AggregateExpr{a}}
	switch {
	case a.Method == "countdistinct":
		n.typ, n.integer = TypeDecimal, true
		return n
	case a.Method == "sum" || a.Method == "average":
		if t != TypeDecimal && t != TypeDuration && t != TypeNull {
			c.fail(a.Expr, CodeType, a.Method+" takes a number or duration, this is a "+t.String())
			return nil
		}
		n.integer = a.Method == "sum" && a.Expr.base().integer
	case a.Method == "min" || a.Method == "max":
		if t == TypeGuid || t == TypeCollection {
			c.fail(a.Expr, CodeType, "a "+t.String()+" has no order")
			return nil
		}
		n.integer = a.Expr.base().integer
	default:
		c.fail(e, CodeNotSupported, "the method "+quoteShort(a.Method)+" is not supported", "sum", "min", "max", "average", "countdistinct")
		return nil
	}
	n.typ = t
	return n
}
