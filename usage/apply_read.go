package usage

import (
	"slices"
	"strconv"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// run evaluates the pipeline into a sink.
func (r *applyRun) run(end applySink) error {
	return r.feed(r.a.stages, nil, end)
}

// feed reads what stages begin with in the cheapest way that serves them, and
// pushes it through the rest into next. narrowed are the filters before them.
func (r *applyRun) feed(stages []applyStage, narrowed []*filter.Checked, next applySink) error {
	stages, narrowed = r.a.leading(stages, narrowed)
	if len(stages) > 0 {
		s := &stages[0]
		switch {
		case s.src.Kind == "concat" && slices.ContainsFunc(s.branches, r.a.served):
			return r.feedBranches(s, narrowed, r.chain(stages[1:], next))
		case r.a.serves(s):
			return r.query(s, narrowed, r.chain(stages[1:], next))
		}
	}
	return r.scan(stages, narrowed, next)
}

// leading takes the filters off the front.
func (a *apply) leading(stages []applyStage, narrowed []*filter.Checked) ([]applyStage, []*filter.Checked) {
	narrowed = slices.Clip(narrowed)
	for len(stages) > 0 && stages[0].src.Kind == "filter" {
		narrowed = append(narrowed, stages[0].src.Filter)
		stages = stages[1:]
	}
	return stages, narrowed
}

// served reports whether a Query can answer what some stages begin with, so
// that they are better read alone than with others.
func (a *apply) served(stages []applyStage) bool {
	stages, _ = a.leading(stages, nil)
	if len(stages) == 0 {
		return false
	}
	s := &stages[0]
	return a.serves(s) || s.src.Kind == "concat" && slices.ContainsFunc(s.branches, a.served)
}

// serves reports whether a Query can do the work of a stage over records: group
// them by fields and aggregate fields.
func (a *apply) serves(s *applyStage) bool {
	if s.src.Kind != "groupby" && s.src.Kind != "aggregate" {
		return false
	}
	exprs, measures := s.aggregation()
	if s.src.Inner != nil && measures == nil {
		return false
	}
	for i, m := range measures {
		e := &exprs[i]
		if m.Value == nil || m.Method == "countdistinct" && e.program == nil {
			continue
		}
		if e.program != nil || e.slots[0].field == nil || e.slots[0].field.kind != valueField {
			return false
		}
	}
	return true
}

// aggregation returns the measures of a stage: its own, or those that its inner
// steps begin with.
func (s *applyStage) aggregation() ([]applyExpr, []filter.Measure) {
	if len(s.inner) > 0 && s.inner[0].src.Kind == "aggregate" {
		s = &s.inner[0]
	}
	return s.exprs, s.src.Measures
}

// feedBranches answers the branches of a concat one after the other.
func (r *applyRun) feedBranches(s *applyStage, narrowed []*filter.Checked, next applySink) error {
	for i, stages := range s.branches {
		out := &branchSink{slots: s.slots[i], next: next}
		if err := r.feed(stages, narrowed, out); err != nil {
			return err
		}
		if out.full {
			break
		}
	}
	return next.finish()
}

// narrow makes the query of the records that some filters leave.
func (a *apply) narrow(filters []*filter.Checked) (*query, error) {
	q := &query{book: a.q.book, scope: a.q.scope, src: Query{From: a.src.From, To: a.src.To, On: a.src.On},
		from: openPast, to: openFuture, now: a.q.now, token: a.q.token, mark: a.q.mark, state: a.q.state}
	if err := q.compileRange(); err != nil {
		return nil, err
	}
	if err := q.compileFilter(); err != nil {
		return nil, err
	}
	if len(filters) == 0 {
		return q, nil
	}
	// Stores go by the Book's own names of fields.
	c, err := filter.Check(filter.Conjunction(filters...).Expr(), a.q.book.fields)
	if err != nil {
		return nil, err
	}
	return q, q.takeFilter(c)
}

var applyAggregations = map[string]Aggregation{"sum": Sum, "min": Min, "max": Max, "average": Avg, "countdistinct": CountDistinct}

// query has a Query do the work of a stage.
func (r *applyRun) query(s *applyStage, narrowed []*filter.Checked, next applySink) error {
	a := r.a
	q, err := a.narrow(narrowed)
	if err != nil {
		return err
	}
	groups := s.src.Groups
	if s.windowed {
		q.src.Window = a.src.Window
		groups = groups[2:]
	}
	for _, g := range groups {
		q.src.GroupBy = append(q.src.GroupBy, g.Name)
	}
	_, measures := s.aggregation()
	for i, m := range measures {
		// The names of the pipeline are its own affair.
		in := Measure{Name: "#" + strconv.Itoa(i), Aggregation: applyAggregations[m.Method]}
		if m.Value == nil {
			in.Aggregation = Count
		} else {
			in.Of = m.Value.Fields()[0].Name
		}
		q.src.Measures = append(q.src.Measures, in)
	}
	if len(measures) == 0 {
		q.src.Measures = []Measure{{Name: "#", Aggregation: Count}}
	}
	for _, step := range []func() error{q.compileGroups, q.compileMeasures, q.compileConditions} {
		if err := step(); err != nil {
			return err
		}
	}
	read, err := a.q.book.run(r.ctx, q)
	if err != nil {
		return err
	}
	r.reads, r.raw = append(r.reads, read.reads...), append(r.raw, q.raw...)
	r.counted += read.counted
	return r.give(s, q, read.fold, len(measures), next)
}

// give pushes what a Query folded, in the order of groups.
func (r *applyRun) give(s *applyStage, q *query, f *fold, measures int, next applySink) error {
	accs := make([]*acc, 0, f.rows)
	for x := range f.all() {
		accs = append(accs, x)
	}
	slices.SortFunc(accs, func(a, b *acc) int {
		if a.from != b.from {
			if a.from < b.from {
				return -1
			}
			return 1
		}
		return slices.CompareFunc(a.group.key, b.group.key, filter.Compare)
	})
	if s.src.Kind == "aggregate" && len(accs) == 0 {
		accs = append(accs, &acc{group: &outGroup{}, measures: make([]tally, len(q.measures))})
	}
	var row applyRow
	for _, x := range accs {
		if err := r.tick(); err != nil {
			return err
		}
		row.cells = row.cells[:0]
		if s.windowed {
			row.cells = append(row.cells, instantValue(x.from), instantValue(x.to))
		}
		row.cells = append(row.cells, x.group.key...)
		groups := len(row.cells)
		for i := range measures {
			row.cells = append(row.cells, q.cell(&q.measures[i], &x.measures[i], false))
		}
		push := next.push
		if s.src.Inner != nil {
			push = func(row *applyRow) error { return r.giveInner(s, row, groups, next) }
		}
		if err := push(&row); err == errStop {
			break
		} else if err != nil {
			return err
		}
	}
	return next.finish()
}

// giveInner takes the one row that the first of the inner steps made of a group
// through the others.
func (r *applyRun) giveInner(s *applyStage, row *applyRow, groups int, next applySink) error {
	out := &bufferSink{run: r}
	inner := r.chain(s.inner[1:], out)
	if err := inner.push(&applyRow{cells: row.cells[groups:]}); err != nil && err != errStop {
		return err
	}
	if err := inner.finish(); err != nil {
		return err
	}
	var full applyRow
	return out.drain(func(x *applyRow) error { return next.push(s.carried(&full, row.cells[:groups], x)) })
}

// scan pushes the records themselves.
func (r *applyRun) scan(stages []applyStage, narrowed []*filter.Checked, next applySink) error {
	q, err := r.a.narrow(narrowed)
	if err != nil {
		return err
	}
	if err := q.compileConditions(); err != nil {
		return err
	}
	sel := q.selection()
	if ordered(stages) {
		sel.Order = ByStart
		if r.a.rowwise && !r.counting {
			sel.Resume = r.a.resume()
		}
	}
	first := r.chain(stages, next)
	done := read{kind: "raw", from: q.from, to: q.to}
	row := applyRow{}
	p := &pager{q: q}
	err = p.scan(r.ctx, sel, func(s *Stored) error {
		done.rows++
		row.record = s
		return first.push(&row)
	})
	if err != nil {
		return err
	}
	r.reads, r.raw = append(r.reads, done), append(r.raw, "the pipeline goes over records")
	r.counted += done.rows
	return first.finish()
}

// ordered reports whether the order of the rows that come into some stages makes
// a difference.
func ordered(stages []applyStage) bool {
	for i := range stages {
		s := &stages[i]
		switch s.src.Kind {
		case "filter", "compute":
			continue
		case "aggregate":
			return false
		case "groupby":
			return s.src.Inner != nil && ordered(s.inner)
		case "concat":
			return slices.ContainsFunc(s.branches, ordered)
		}
		return true
	}
	return true
}

// resume is the record after which a page goes on, where records come in the
// order of the answer.
func (a *apply) resume() *aggregate.Position {
	if a.q.token == nil || len(a.order) > 0 || len(a.q.token.Keys) == 0 {
		return nil
	}
	keys, err := uncursor(a.q.token.Keys)
	if err != nil || len(keys) != 4 {
		return nil
	}
	return &aggregate.Position{Start: keys[0].Micros(), Source: keys[1].Str(), ID: keys[2].Str(), Tenant: keys[3].Str()}
}

// reasons says why no rollup could serve, if none did.
func (r *applyRun) reasons() []string {
	if slices.ContainsFunc(r.reads, func(x read) bool { return x.kind == "rollup" }) {
		return nil
	}
	return r.raw
}
