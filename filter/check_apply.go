package filter

import "slices"

// Pipeline is a checked $apply: stages with compiled-ready expressions and the
// fields that rows have after the last. It is immutable and safe for concurrent
// use.
type Pipeline struct {
	Stages []Stage
	// Fields are the fields of the result, where the pipeline fixes them: after
	// groupby, aggregate and what follows these. Nil while the rows are still those
	// of the schema; then Computed are the fields added to them.
	Fields   []Field
	Computed []Field
}

// Stage is one transformation. Kind says which of the other members are set.
type Stage struct {
	// Kind is filter, groupby, aggregate, compute, orderby, top, skip, topcount,
	// topsum, toppercent, bottomcount, bottomsum, bottompercent or concat; identity
	// leaves no stage.
	Kind string
	Span Span

	Filter   *Checked   // of filter
	Groups   []Field    // of groupby, in the order given
	Measures []Measure  // of aggregate, and of a groupby whose steps are one aggregate
	Inner    *Pipeline  // of a groupby with other steps: what happens to each group
	Computed []Computed // of compute
	Keys     []Key      // of orderby, and the one key of topcount and its kin
	N        int64      // of top and skip
	Amount   Value      // of topcount and its kin: a number of rows, a sum or a percentage
	Branches []*Pipeline

	// Fields are the fields that rows have after the stage beside those of the
	// schema, or, unless Open, in their place.
	Fields []Field
	Open   bool
}

// Measure is a value aggregated under a name.
type Measure struct {
	Value  *Checked // nil for $count
	Method string   // sum, min, max, average, countdistinct or count
	As     string
	Type   Type
	Span   Span
}

// Computed is a value under a name.
type Computed struct {
	Value *Checked
	As    string
	Span  Span
}

// Key is a key of an order.
type Key struct {
	Value *Checked
	Desc  bool
}

// MeasureSchema is a Schema in which a name may mean another field where it is
// aggregated than it means elsewhere.
type MeasureSchema interface {
	Schema
	// MeasureField resolves a name in what a method of aggregate takes, in its
	// place alone or in an expression. It is Field's kin in every other respect.
	MeasureField(name, method string) (Field, bool)
}

// CheckApply resolves and checks the steps of an $apply, each against the fields
// that the one before it leaves. Supported are filter, groupby, aggregate with
// sum, min, max, average, countdistinct and $count, compute, orderby, top, skip,
// the topcount family, concat and identity; the others are refused by name. What
// is aggregated is resolved by MeasureField where the schema is a MeasureSchema.
// The error is an *Error.
func CheckApply(a *Apply, schema Schema) (*Pipeline, error) {
	c := &applyChecker{}
	p := c.pipeline(a.Steps, &layer{base: schema})
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}

// CheckOrderBy checks the keys of an orderby list. The error is an *Error.
func CheckOrderBy(list []Order, schema Schema) ([]Key, error) {
	keys := make([]Key, len(list))
	for i, o := range list {
		c, err := CheckValue(o.Expr, schema)
		if err != nil {
			return nil, err
		}
		keys[i] = Key{Value: c, Desc: o.Desc}
	}
	return keys, nil
}

// CheckGroupBy resolves the names of a groupby list; a field given twice is
// refused. The error is an *Error.
func CheckGroupBy(list []*Name, schema Schema) ([]Field, error) {
	c := &applyChecker{}
	fields := c.groups(list, schema)
	if c.err != nil {
		return nil, c.err
	}
	return fields, nil
}

// layer is a schema over another one, or a closed one when base is nil.
type layer struct {
	base  Schema
	added []Field
}

var _ Schema = (*layer)(nil)

func (l *layer) Field(name string) (Field, bool) {
	if f, ok := l.addition(name); ok || l.base == nil {
		return f, ok
	}
	return l.base.Field(name)
}

func (l *layer) addition(name string) (Field, bool) {
	i := slices.IndexFunc(l.added, func(f Field) bool { return f.Name == name || slices.Contains(f.Aliases, name) })
	if i < 0 {
		return Field{}, false
	}
	return l.added[i], true
}

func (l *layer) Names() []string {
	var names []string
	for _, f := range l.added {
		names = append(names, f.Name)
	}
	if l.base != nil {
		names = append(names, l.base.Names()...)
	}
	return names
}

// measureLayer is a layer in which names are looked up to be aggregated.
type measureLayer struct {
	*layer
	method string
}

var _ Schema = measureLayer{}

func (l measureLayer) Field(name string) (Field, bool) {
	base, ok := l.base.(MeasureSchema)
	if !ok {
		return l.layer.Field(name)
	}
	if f, ok := l.addition(name); ok {
		return f, true
	}
	return base.MeasureField(name, l.method)
}

type applyChecker struct {
	depth int
	// taken are the groups of the groupby around the steps in hand, whose names
	// no result of theirs may have.
	taken []Field
	err   *Error
}

func (c *applyChecker) fail(src string, span Span, code, message string, expected ...string) {
	if c.err == nil {
		c.err = &Error{Text: src, Span: span, Code: code, Message: message, Expected: expected}
	}
}

// checked runs the checker of expressions for one use.
func (c *applyChecker) checked(e Expr, schema Schema, u use) *Checked {
	if c.err != nil {
		return nil
	}
	x := &checker{schema: schema, use: u}
	out := x.expr(e)
	switch {
	case out == nil:
	case u == useFilter && out.Type() != TypeBool && out.Type() != TypeNull:
		x.fail(out, CodeType, "a filter must be a condition, this is a "+out.Type().String())
	case u != useFilter && out.Type() == TypeCollection:
		x.fail(out, CodeType, "a collection is no single value")
	}
	if c.err = x.err; c.err != nil {
		return nil
	}
	return newChecked(out)
}

func (c *applyChecker) pipeline(steps []Step, in *layer) *Pipeline {
	if c.depth++; c.depth > hardDepth {
		if len(steps) > 0 {
			c.fail(steps[0].stepBase().src, steps[0].Span(), CodeLimit, "the steps are nested too deeply")
		}
		return nil
	}
	defer func() { c.depth-- }()
	p := &Pipeline{}
	for _, s := range steps {
		if stage, ok := c.stage(s, &in); ok {
			stage.Fields, stage.Open = in.added, in.base != nil
			p.Stages = append(p.Stages, stage)
		}
		if c.err != nil {
			return nil
		}
	}
	if in.base == nil {
		p.Fields = in.added
	} else {
		p.Computed = in.added
	}
	return p
}

// stage checks one step and replaces the schema by that of its result; false for
// a step that does nothing.
func (c *applyChecker) stage(s Step, in **layer) (Stage, bool) {
	out := Stage{Kind: s.Name(), Span: s.Span()}
	src := s.stepBase().src
	switch s := s.(type) {
	case *FilterStep:
		out.Filter = c.checked(s.Cond, *in, useFilter)
	case *GroupByStep:
		c.groupBy(s, in, &out)
	case *AggregateStep:
		var fields []Field
		out.Measures, fields = c.measures(s.Aggs, *in, src)
		*in = &layer{added: fields}
	case *ComputeStep:
		added := slices.Clone((*in).added)
		for _, e := range s.List {
			v := c.checked(e.Expr, *in, useValue)
			if v == nil {
				return out, false
			}
			if slices.ContainsFunc(added, func(f Field) bool { return f.Name == e.As }) {
				c.fail(src, e.Span, CodeDuplicate, "the name "+quoteShort(e.As)+" is given twice")
				return out, false
			}
			if !c.free(src, e.Span, e.As) {
				return out, false
			}
			out.Computed = append(out.Computed, Computed{Value: v, As: e.As, Span: e.Span})
			added = append(added, Field{Name: e.As, Type: valueType(v), Whole: v.expr.base().integer})
		}
		*in = &layer{base: (*in).base, added: added}
	case *OrderByStep:
		for _, k := range s.Keys {
			out.Keys = append(out.Keys, Key{Value: c.checked(k.Expr, *in, useSort), Desc: k.Desc})
		}
	case *TopStep:
		out.N = s.N
	case *SkipStep:
		out.N = s.N
	case *RankStep:
		c.rank(s, *in, &out)
	case *IdentityStep:
		return out, false
	case *ConcatStep:
		c.concat(s, in, &out)
	default:
		c.fail(src, s.Span(), CodeNotSupported, "the transformation "+s.Name()+" is not supported")
	}
	return out, c.err == nil
}

// valueType is the type of a field that holds a value; what is always null is a
// string that is always null.
func valueType(v *Checked) Type {
	if v.Type() == TypeNull {
		return TypeString
	}
	return v.Type()
}

func (c *applyChecker) groups(names []*Name, in Schema) []Field {
	var fields []Field
	for _, n := range names {
		f, ok := in.Field(n.Path)
		switch {
		case !ok:
			c.fail(n.src, n.span, CodeUnknownName, "there is no field "+quoteShort(n.Path))
			c.err.Suggestion = nearest(n.Path, in.Names())
			return nil
		case f.NoGroup:
			c.fail(n.src, n.span, CodeNotAllowed, "the field "+f.Name+" may not be grouped by")
			return nil
		case f.Type == TypeCollection:
			c.fail(n.src, n.span, CodeType, "a collection cannot be grouped by")
			return nil
		case slices.ContainsFunc(fields, func(g Field) bool { return g.Name == f.Name }):
			c.fail(n.src, n.span, CodeDuplicate, "the field "+f.Name+" is given twice")
			return nil
		}
		fields = append(fields, f)
	}
	return fields
}

func (c *applyChecker) groupBy(s *GroupByStep, in **layer, out *Stage) {
	out.Groups = c.groups(s.Names, *in)
	if c.err != nil {
		return
	}
	outer := c.taken
	c.taken = append(slices.Clip(outer), out.Groups...)
	defer func() { c.taken = outer }()
	after := slices.Clone(out.Groups)
	var fields []Field
	switch {
	case len(s.Steps) == 0:
	case len(s.Steps) == 1 && s.Steps[0].Name() == "aggregate":
		a := s.Steps[0].(*AggregateStep)
		out.Measures, fields = c.measures(a.Aggs, *in, a.src)
	default:
		out.Inner = c.pipeline(s.Steps, *in)
		if c.err != nil {
			return
		}
		if out.Inner.Fields == nil {
			// The rows of each group stay what they are, so their fields do.
			*in = &layer{base: (*in).base, added: out.Inner.Computed}
			return
		}
		fields = out.Inner.Fields
	}
	for _, f := range fields {
		// A group that the steps left in the rows is the same there.
		if !slices.ContainsFunc(out.Groups, func(g Field) bool { return g.Name == f.Name }) {
			after = append(after, f)
		}
	}
	*in = &layer{added: after}
}

// free reports whether a result may have a name.
func (c *applyChecker) free(src string, span Span, as string) bool {
	if slices.ContainsFunc(c.taken, func(g Field) bool { return g.Name == as }) {
		c.fail(src, span, CodeDuplicate, "the name "+quoteShort(as)+" is both a group and a result")
	}
	return c.err == nil
}

func (c *applyChecker) measures(list []AggregateExpr, in *layer, src string) (out []Measure, fields []Field) {
	for _, a := range list {
		m := Measure{Method: lowerASCII(a.Method), As: a.As, Type: TypeDecimal, Span: a.Span}
		whole := false
		count, isCount := a.Expr.(*Count)
		switch {
		case len(a.From) > 0:
			c.fail(src, a.Span, CodeNotSupported, "from is not supported")
		case a.Expr == nil:
			m.Method, whole = "count", true
		case isCount:
			c.fail(src, count.span, CodeNotSupported, "$count of a path in aggregate is not supported")
		case a.Method == "":
			c.fail(src, a.Span, CodeNotSupported, "the custom aggregate "+quoteShort(a.Expr.String())+" is not supported", "with and a method")
		default:
			m.Value = c.checked(a.Expr, measureLayer{in, m.Method}, useValue)
			if m.Value == nil {
				return nil, nil
			}
			t := m.Value.Type()
			switch m.Method {
			case "sum", "average":
				if t != TypeDecimal && t != TypeDuration && t != TypeNull {
					c.fail(src, a.Expr.Span(), CodeType, m.Method+" takes a number or duration, this is a "+t.String())
				}
				m.Type = t
				whole = m.Method == "sum" && m.Value.expr.base().integer
			case "min", "max":
				if t == TypeGuid {
					c.fail(src, a.Expr.Span(), CodeType, "guids have no order")
				}
				m.Type = t
				whole = m.Value.expr.base().integer
			case "countdistinct":
				whole = true
			default:
				c.fail(src, a.Span, CodeNotSupported, "the method "+quoteShort(a.Method)+" is not supported", "sum", "min", "max", "average", "countdistinct")
			}
			if m.Type == TypeNull {
				m.Type = TypeDecimal
			}
		}
		if c.err != nil || !c.free(src, a.Span, m.As) {
			return nil, nil
		}
		if slices.ContainsFunc(out, func(o Measure) bool { return o.As == m.As }) {
			c.fail(src, a.Span, CodeDuplicate, "the name "+quoteShort(m.As)+" is given twice")
			return nil, nil
		}
		out = append(out, m)
		fields = append(fields, Field{Name: m.As, Type: m.Type, Whole: whole})
	}
	return out, fields
}

func (c *applyChecker) rank(s *RankStep, in *layer, out *Stage) {
	amount := c.checked(s.Amount, in, useValue)
	by := c.checked(s.By, in, useSort)
	if c.err != nil {
		return
	}
	l, ok := amount.expr.(*Literal)
	rows := s.Kind == "topcount" || s.Kind == "bottomcount"
	switch {
	case !ok || l.Value.typ != TypeDecimal || signOf(l.Value) < 0:
		c.fail(s.src, s.Amount.Span(), CodeType, s.Kind+" takes a constant that is not negative")
	case rows && !l.Whole:
		c.fail(s.src, s.Amount.Span(), CodeType, s.Kind+" takes a whole number of rows")
	case !rows && by.Type() != TypeDecimal:
		c.fail(s.src, s.By.Span(), CodeType, s.Kind+" adds up a number, this is a "+by.Type().String())
	case (s.Kind == "toppercent" || s.Kind == "bottompercent") && Compare(l.Value, Number(100, 0)) > 0:
		c.fail(s.src, s.Amount.Span(), CodeOutOfRange, "a percentage is at most 100")
	default:
		out.Amount = l.Value
		out.Keys = []Key{{Value: by, Desc: s.Kind[0] == 't'}}
	}
}

// concat gives the rows of its branches one after the other; a field that two of
// them have must be of one type.
func (c *applyChecker) concat(s *ConcatStep, in **layer, out *Stage) {
	var all []Field
	open := false
	for _, b := range s.Branches {
		p := c.pipeline(b, *in)
		if c.err != nil {
			return
		}
		out.Branches = append(out.Branches, p)
		open = open || p.Fields == nil
		for _, f := range append(slices.Clone(p.Fields), p.Computed...) {
			i := slices.IndexFunc(all, func(g Field) bool { return g.Name == f.Name })
			switch {
			case i < 0:
				all = append(all, f)
			case all[i].Type != f.Type:
				c.fail(s.src, s.span, CodeType, "the branches of concat give "+f.Name+" as "+all[i].Type.String()+" and as "+f.Type.String())
				return
			}
		}
	}
	next := &layer{added: all}
	if open {
		next.base = (*in).base
		if next.base == nil {
			for _, f := range (*in).added {
				if !slices.ContainsFunc(all, func(g Field) bool { return g.Name == f.Name }) {
					next.added = append(next.added, f)
				}
			}
		}
	}
	*in = next
}
