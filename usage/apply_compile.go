package usage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
)

// maxApplySteps bounds the work that one text of 8 KiB can ask for: each branch
// of a concat may be a query of its own.
const maxApplySteps = 64

// apply is an ApplyQuery that was understood: names resolved, expressions
// compiled, the moment fixed.
type apply struct {
	src ApplyQuery
	// q holds what a pipeline has in common with a Query: scope, range, moment,
	// size of the page and token.
	q      *query
	schema *applySchema

	// stages are those of the pipeline and, as the last one, Filter.
	stages  []applyStage
	columns []filter.Field // of the result, beside the record's own when open
	open    bool           // rows of the result may be records
	// rowwise: the rows are the records, perhaps not all of them, each with its
	// own place in the order.
	rowwise bool

	order []applyExpr
	desc  []bool

	pipeline *filter.Pipeline
	filter   *filter.Checked
	keys     []filter.Key
}

func (b *Book) compileApply(ctx context.Context, scope Scope, src ApplyQuery) (*apply, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	q := &query{book: b, scope: scope, from: openPast, to: openFuture, now: b.Now(), src: Query{From: src.From, To: src.To, On: src.On,
		Window: src.Window, Limit: src.Limit, PageSize: src.PageSize, AsOf: src.AsOf}}
	a := &apply{src: src, q: q, schema: &applySchema{fields: b.fields}}
	for _, step := range []func() error{q.compileRange, a.check, q.compilePage, a.openToken} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if err := q.fix(ctx); err != nil {
		return nil, err
	}
	a.compile()
	return a, nil
}

// check parses the three texts and checks each against what it can name.
func (a *apply) check() error {
	tree, err := filter.ParseApply(a.src.Apply, nil)
	if err != nil {
		return invalid("apply: %w", err)
	}
	if err = a.checkSize(tree.Steps); err != nil {
		return err
	}
	if a.src.Window.Unit != aggregate.None {
		if err = a.window(tree.Steps); err != nil {
			return err
		}
	}
	if err = a.closeSchema(tree.Steps); err != nil {
		return err
	}
	if a.pipeline, err = filter.CheckApply(tree, a.schema); err != nil {
		return invalid("apply: %w", err)
	}
	if err = a.checkNames(a.pipeline, true); err != nil {
		return err
	}
	a.columns, a.open = nil, true
	if n := len(a.pipeline.Stages); n > 0 {
		a.columns, a.open = a.pipeline.Stages[n-1].Fields, a.pipeline.Stages[n-1].Open
	}
	result := &resultSchema{columns: a.columns}
	if a.open {
		result.base = a.schema
	}
	if strings.TrimSpace(a.src.Filter) != "" {
		e, err := filter.Parse(a.src.Filter, nil)
		if err == nil {
			a.filter, err = filter.Check(e, result)
		}
		if err == nil {
			err = a.refuseFormerMeters(a.filter, a.src.Filter)
		}
		if err != nil {
			return invalid("filter: %w", err)
		}
	}
	if strings.TrimSpace(a.src.OrderBy) != "" {
		list, err := filter.ParseOrderBy(a.src.OrderBy, nil)
		if err == nil {
			a.keys, err = filter.CheckOrderBy(list, result)
		}
		if err != nil {
			return invalid("order by: %w", err)
		}
		if len(a.keys) > maxOrderKeys {
			return invalid("order by: %d expressions, at most %d are allowed", len(a.keys), maxOrderKeys)
		}
	}
	return nil
}

func (a *apply) fault(span filter.Span, code, format string, args ...any) error {
	return invalid("apply: %w", &filter.Error{Text: a.src.Apply, Span: span, Code: code, Message: fmt.Sprintf(format, args...)})
}

// eachNested calls visit with the lists of steps inside a step.
func eachNested(s filter.Step, visit func([]filter.Step)) {
	switch s := s.(type) {
	case *filter.GroupByStep:
		visit(s.Steps)
	case *filter.ConcatStep:
		for _, b := range s.Branches {
			visit(b)
		}
	}
}

// checkSize bounds the number of steps and of what stands in each.
func (a *apply) checkSize(steps []filter.Step) error {
	n := 0
	var fault error
	var walk func([]filter.Step)
	walk = func(list []filter.Step) {
		for _, s := range list {
			if fault != nil {
				return
			}
			if n++; n > maxApplySteps {
				fault = a.fault(s.Span(), filter.CodeLimit, "more than %d transformations", maxApplySteps)
				return
			}
			size, most, what := 0, maxMeasures, "results"
			switch s := s.(type) {
			case *filter.GroupByStep:
				size, most, what = len(s.Names), maxGroupFields, "groups"
			case *filter.AggregateStep:
				size = len(s.Aggs)
			case *filter.ComputeStep:
				size = len(s.List)
			case *filter.OrderByStep:
				size, most, what = len(s.Keys), maxOrderKeys, "keys"
			}
			if size > most {
				fault = a.fault(s.Span(), filter.CodeLimit, "%d %s in one transformation, at most %d are allowed", size, what, most)
			}
			eachNested(s, walk)
		}
	}
	walk(steps)
	return fault
}

// window puts the window's bounds before the groups of the first grouping.
func (a *apply) window(steps []filter.Step) error {
	grouped, err := a.windowSteps(steps)
	if err == nil && !grouped {
		return a.fault(filter.Span{From: 0, To: len(a.src.Apply)}, filter.CodeNotAllowed, "a window needs a groupby or an aggregate that it can cut")
	}
	return err
}

func (a *apply) windowSteps(steps []filter.Step) (grouped bool, err error) {
	bounds := []*filter.Name{{Path: "start"}, {Path: "end"}}
	for i, s := range steps {
		switch s := s.(type) {
		case *filter.GroupByStep:
			own := *s
			own.Names = append(bounds, s.Names...)
			steps[i] = &own
			return true, nil
		case *filter.AggregateStep:
			steps[i] = &filter.GroupByStep{Names: bounds, Steps: []filter.Step{s}}
			return true, nil
		case *filter.ConcatStep:
			n := 0
			for _, b := range s.Branches {
				grouped, err := a.windowSteps(b)
				if err != nil {
					return false, err
				}
				if grouped {
					n++
				}
			}
			if n == len(s.Branches) {
				return true, nil
			}
			if n > 0 {
				return false, a.fault(s.Span(), filter.CodeNotAllowed, "with a window, either every branch of concat groups or none")
			}
		}
	}
	return false, nil
}

// closeSchema looks at the leading filters: where they select declared and
// closed meters alone, names that none of these declares are unknown.
func (a *apply) closeSchema(steps []filter.Step) error {
	var leading []*filter.Checked
	for _, s := range steps {
		f, ok := s.(*filter.FilterStep)
		if !ok {
			break
		}
		c, err := filter.Check(f.Cond, a.schema)
		if err != nil {
			return invalid("apply: %w", err)
		}
		leading = append(leading, c)
	}
	if len(leading) == 0 {
		return nil
	}
	a.schema.closed = a.q.book.catalogue.allClosed(a.q.book.metersOf(filter.Conjunction(leading...)))
	return nil
}

// checkNames refuses what the checker of package filter cannot know to be wrong.
// open: the rows that come in are records.
func (a *apply) checkNames(p *filter.Pipeline, open bool) error {
	for i := range p.Stages {
		s := &p.Stages[i]
		if s.Filter != nil {
			if err := a.refuseFormerMeters(s.Filter, a.src.Apply); err != nil {
				return invalid("apply: %w", err)
			}
		}
		for _, c := range s.Computed {
			if f, ok := a.schema.fields.resolve(c.As); open && ok && f.declared {
				return a.fault(c.Span, filter.CodeDuplicate, "the name %s is that of a field", quoted(c.As))
			}
		}
		nested := s.Branches
		if s.Inner != nil {
			nested = append(slices.Clip(nested), s.Inner)
		}
		for _, n := range nested {
			if err := a.checkNames(n, open); err != nil {
				return err
			}
		}
		open = s.Open
	}
	return nil
}

// refuseFormerMeters refuses a comparison of the meter with a name that it no
// longer has.
func (a *apply) refuseFormerMeters(c *filter.Checked, text string) error {
	at, err := a.q.book.formerMeter(c)
	if err == nil {
		return nil
	}
	return &filter.Error{Text: text, Span: at, Code: filter.CodeUnknownName, Message: err.Error()}
}

// applySchema resolves the names of records in a pipeline. A field has the bare
// name where that means the field, so that groups are named as people write
// them; the other spelling is its alias.
type applySchema struct {
	fields *fields
	// closed are the meters of which alone records can come, where all of them
	// are declared and closed.
	closed []*Meter
}

var _ filter.MeasureSchema = (*applySchema)(nil)

func (s *applySchema) Field(name string) (filter.Field, bool) {
	f, ok := s.fields.resolve(name)
	if !ok {
		return filter.Field{}, false
	}
	return s.describe(f)
}

// MeasureField implements filter.MeasureSchema.
func (s *applySchema) MeasureField(name, method string) (filter.Field, bool) {
	f, ok := s.fields.resolve(name)
	if !ok {
		return filter.Field{}, false
	}
	if f.kind == dimensionField && !f.declared {
		bare := name == f.key
		switch {
		case bare && method != "countdistinct":
			f = s.fields.value(name)
		case !bare:
			// The prefix says that it is no value.
			out, ok := s.describe(f)
			out.Name, out.Aliases = f.name, nil
			return out, ok
		}
	}
	return s.describe(f)
}

func (s *applySchema) describe(f *field) (filter.Field, bool) {
	if len(s.closed) > 0 && f.kind >= valueField && !slices.ContainsFunc(s.closed, func(m *Meter) bool { return m.declares(f) }) {
		return filter.Field{}, false
	}
	// Whatever else is said of a field is what the Book's own schema says: a
	// condition that is pushed down is checked again, against that.
	out, _ := s.fields.Field(f.name)
	if bare, ok := s.fields.resolve(f.key); ok && f.kind >= valueField && bare.name == f.name {
		out.Name, out.Aliases = f.key, []string{f.name}
	}
	return out, true
}

// Names implements filter.Schema.
func (s *applySchema) Names() []string {
	if len(s.closed) == 0 {
		return s.fields.Names()
	}
	names := slices.Clone(reservedNames)
	for _, m := range s.closed {
		names = append(names, m.names()...)
	}
	return names
}

// resultSchema resolves the columns of a result and, where its rows may be
// records, their fields.
type resultSchema struct {
	columns []filter.Field
	base    *applySchema
}

var _ filter.Schema = (*resultSchema)(nil)

func (s *resultSchema) Field(name string) (filter.Field, bool) {
	for _, f := range s.columns {
		if f.Name == name || slices.Contains(f.Aliases, name) {
			return f, true
		}
	}
	if s.base != nil {
		return s.base.Field(name)
	}
	return filter.Field{}, false
}

func (s *resultSchema) Names() []string {
	var names []string
	for _, f := range s.columns {
		names = append(names, f.Name)
	}
	if s.base != nil {
		names = append(names, s.base.Names()...)
	}
	return names
}

func (a *apply) openToken() error {
	if a.src.Token == "" {
		return nil
	}
	t, err := a.q.book.tokens.Open(a.src.Token, a.binding())
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	a.q.token, a.q.now = &t, t.Issued
	return nil
}

// binding is what a page token of this pipeline is bound to: the scope, and
// the pipeline as it was understood.
func (a *apply) binding() paginate.Binding {
	base := a.q.binding()
	b := appendPipeline(nil, a.pipeline)
	if a.filter != nil {
		b = appendKeyText(b, a.filter.String())
	}
	b = appendKeys(append(b, 'o'), a.keys)
	return paginate.Binding{Scope: base.Scope, Query: paginate.Digest("apply", string(base.Query[:]), string(b))}
}

// appendPipeline appends a form of a checked pipeline that is equal for equal
// ones, whatever their spelling.
func appendPipeline(b []byte, p *filter.Pipeline) []byte {
	number := func(n int) { b = appendKeyText(b, strconv.Itoa(n)) }
	value := func(c *filter.Checked) {
		if c == nil {
			b = append(b, '-')
			return
		}
		b = appendKeyText(append(b, '+'), c.String())
	}
	number(len(p.Stages))
	for i := range p.Stages {
		s := &p.Stages[i]
		b = appendKeyText(b, s.Kind)
		value(s.Filter)
		number(len(s.Groups))
		for _, g := range s.Groups {
			b = appendKeyText(b, g.Name)
		}
		number(len(s.Measures))
		for _, m := range s.Measures {
			value(m.Value)
			b = appendKeyText(appendKeyText(b, m.Method), m.As)
		}
		number(len(s.Computed))
		for _, c := range s.Computed {
			value(c.Value)
			b = appendKeyText(b, c.As)
		}
		b = appendKeys(b, s.Keys)
		b = appendKeyText(appendKeyText(b, strconv.FormatInt(s.N, 10)), s.Amount.String())
		if s.Inner != nil {
			b = appendPipeline(append(b, 'i'), s.Inner)
		}
		number(len(s.Branches))
		for _, x := range s.Branches {
			b = appendPipeline(b, x)
		}
	}
	return b
}

func appendKeys(b []byte, keys []filter.Key) []byte {
	b = appendKeyText(b, strconv.Itoa(len(keys)))
	for _, k := range keys {
		b = appendKeyText(b, k.Value.String())
		b = append(b, strconv.FormatBool(k.Desc)...)
	}
	return b
}

// applyStage is a stage that was compiled for the rows that come into it.
type applyStage struct {
	src *filter.Stage
	// exprs are the condition of filter, the values of compute, the arguments of
	// the measures (a nil program for $count), and the keys of orderby and of
	// topcount and its kin.
	exprs []applyExpr
	desc  []bool // of keys

	groups []applySlot
	// windowed: the first two groups are the bounds of the record's window.
	windowed bool
	inner    []applyStage
	// weight is what a group counts for while it is held: one for itself and
	// one for each stage that its rows go through.
	weight int
	// carry are the cells of the rows of inner that come after the groups; open
	// rows go on as they are.
	carry []int

	branches [][]applyStage
	// slots say for each branch where its rows have the columns of the result.
	slots [][]applySlot
}

// applySlot is where a row has a value: in a cell, in its record, or nowhere.
type applySlot struct {
	column int // negative: in the record
	field  *field
}

// applyRow is a row under way. It is valid during a push only; whoever keeps it
// clones it.
type applyRow struct {
	record *Stored
	cells  []filter.Value
}

func (r *applyRow) at(s applySlot) filter.Value {
	switch {
	case s.column >= 0:
		return r.cells[s.column]
	case s.field == nil || r.record == nil:
		return filter.Null()
	}
	return s.field.of(r.record)
}

func (r *applyRow) clone() applyRow { return applyRow{r.record, slices.Clone(r.cells)} }

// applyExpr is a compiled expression over the rows of one place. A name alone is
// read without a program. Like its apply it is used by one goroutine.
type applyExpr struct {
	program *filter.Program
	slots   []applySlot
	row     *applyRow
}

func (e *applyExpr) Value(slot int) filter.Value { return e.row.at(e.slots[slot]) }

func (e *applyExpr) eval(r *applyRow) (filter.Value, error) {
	if e.program == nil {
		return r.at(e.slots[0]), nil
	}
	e.row = r
	return e.program.Eval(e)
}

func (e *applyExpr) match(r *applyRow) (bool, error) {
	e.row = r
	return e.program.Match(e)
}

// applyPlace is what the rows at a place of the pipeline have: columns, and
// beside them a record's fields where it is open.
type applyPlace struct {
	columns []filter.Field
	open    bool
}

func (a *apply) slot(at applyPlace, name string) applySlot {
	if i := slices.IndexFunc(at.columns, func(f filter.Field) bool { return f.Name == name }); i >= 0 {
		return applySlot{column: i}
	}
	s := applySlot{column: -1}
	if at.open {
		s.field, _ = a.schema.fields.resolve(name)
	}
	return s
}

func (a *apply) expr(at applyPlace, c *filter.Checked) applyExpr {
	var e applyExpr
	for _, f := range c.Fields() {
		e.slots = append(e.slots, a.slot(at, f.Name))
	}
	if _, ok := c.Expr().(*filter.Name); !ok || c.Type() == filter.TypeBool {
		e.program = c.At(a.q.now).Compile()
	}
	return e
}

// compile compiles the pipeline with its filter and order. It comes after the
// token is open: now() means the time of the first page on all pages.
func (a *apply) compile() {
	a.stages = a.compileStages(a.pipeline, applyPlace{open: true}, a.src.Window.Unit != aggregate.None)
	end := applyPlace{a.columns, a.open}
	if a.filter != nil {
		s := &filter.Stage{Kind: "filter", Filter: a.filter, Fields: a.columns, Open: a.open}
		a.stages = append(a.stages, applyStage{src: s, exprs: []applyExpr{a.expr(end, a.filter)}})
	}
	for _, k := range a.keys {
		a.order, a.desc = append(a.order, a.expr(end, k.Value)), append(a.desc, k.Desc)
	}
	a.rowwise = !slices.ContainsFunc(a.stages, func(s applyStage) bool { return s.src.Kind != "filter" && s.src.Kind != "compute" })
}

// compileStages compiles the stages of a pipeline. cut: the first grouping is by
// window.
func (a *apply) compileStages(p *filter.Pipeline, at applyPlace, cut bool) []applyStage {
	out := make([]applyStage, len(p.Stages))
	for i := range p.Stages {
		src := &p.Stages[i]
		s := &out[i]
		s.src = src
		switch src.Kind {
		case "filter":
			s.exprs = []applyExpr{a.expr(at, src.Filter)}
		case "compute":
			for _, c := range src.Computed {
				s.exprs = append(s.exprs, a.expr(at, c.Value))
			}
		case "groupby", "aggregate":
			a.compileGroup(s, at, cut)
			cut = false
		case "concat":
			a.compileConcat(s, at, cut)
			cut = cut && !grouping(src.Branches[0])
		default:
			for _, k := range src.Keys {
				s.exprs, s.desc = append(s.exprs, a.expr(at, k.Value)), append(s.desc, k.Desc)
			}
		}
		at = applyPlace{src.Fields, src.Open}
	}
	return out
}

// grouping reports whether a pipeline groups.
func grouping(p *filter.Pipeline) bool {
	return slices.ContainsFunc(p.Stages, func(s filter.Stage) bool {
		return s.Kind == "groupby" || s.Kind == "aggregate" || s.Kind == "concat" && slices.ContainsFunc(s.Branches, grouping)
	})
}

func countStages(stages []applyStage) int {
	n := len(stages)
	for i := range stages {
		n += countStages(stages[i].inner)
		for _, b := range stages[i].branches {
			n += countStages(b)
		}
	}
	return n
}

func (a *apply) compileGroup(s *applyStage, at applyPlace, cut bool) {
	src := s.src
	for _, g := range src.Groups {
		s.groups = append(s.groups, a.slot(at, g.Name))
	}
	s.windowed, s.weight = cut, 1
	for _, m := range src.Measures {
		s.exprs = append(s.exprs, a.measure(at, m))
	}
	if src.Inner == nil {
		return
	}
	s.inner = a.compileStages(src.Inner, at, false)
	s.weight += countStages(s.inner)
	if src.Open {
		return
	}
	for _, f := range src.Fields[len(src.Groups):] {
		s.carry = append(s.carry, slices.IndexFunc(src.Inner.Fields, func(g filter.Field) bool { return g.Name == f.Name }))
	}
}

// measure compiles the argument of a measure.
func (a *apply) measure(at applyPlace, m filter.Measure) applyExpr {
	if m.Value == nil {
		return applyExpr{}
	}
	e := a.expr(at, m.Value)
	if e.program == nil && m.Method == "countdistinct" {
		if f := e.slots[0].field; f != nil && f.kind == dimensionField && !f.declared && m.Value.Fields()[0].Name == f.key {
			// Nobody said whether the name is a value or a dimension.
			own := *f
			own.kind = eitherField
			e.slots[0].field = &own
		}
	}
	return e
}

func (a *apply) compileConcat(s *applyStage, at applyPlace, cut bool) {
	for _, b := range s.src.Branches {
		s.branches = append(s.branches, a.compileStages(b, at, cut))
		end := at
		if n := len(b.Stages); n > 0 {
			end = applyPlace{b.Stages[n-1].Fields, b.Stages[n-1].Open}
		}
		slots := make([]applySlot, len(s.src.Fields))
		for i, f := range s.src.Fields {
			slots[i] = a.slot(end, f.Name)
			if x := slots[i].field; x != nil && x.valueType() != f.Type {
				// Another branch has a result of the name of what happens to be a
				// field, of another type: records have no such result.
				slots[i].field = nil
			}
		}
		s.slots = append(s.slots, slots)
	}
}
