package usage

import (
	"context"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
)

// resultSink collects the rows of one page: the first ones after a place.
type resultSink struct {
	a    *apply
	kept keptRows
	// offset is how many to pass over where the cursor could not hold the keys.
	offset int
	after  []filter.Value
	seen   int64 // on the pages before
	rows   int64 // pushed so far
	total  int64
	count  bool
	keys   []filter.Value
}

func (a *apply) result(run *applyRun) (*resultSink, error) {
	size := a.q.src.PageSize
	s := &resultSink{a: a, kept: keptRows{run: run, desc: a.desc}}
	if t := a.q.token; t != nil {
		s.seen, s.total = t.Seen, t.Total
		if len(t.Keys) > 0 {
			var err error
			if s.after, err = uncursor(t.Keys); err != nil {
				return nil, err
			}
		} else {
			s.offset = int(t.Seen)
		}
	}
	s.count = a.src.Count && (a.q.token == nil || s.total == 0)
	run.counting = s.count
	if l := a.src.Limit; l > 0 {
		size = max(0, min(size, l-int(s.seen)))
	}
	// One more than the page has tells whether there is a next one.
	s.kept.most = s.offset + size + 1
	return s, nil
}

// appendPlace appends what makes the order of rows total: the place of a record,
// and of a row that the pipeline made the number that it came as.
func (a *apply) appendPlace(keys []filter.Value, r *applyRow, number int64) []filter.Value {
	if !a.rowwise {
		return append(keys, filter.Number(number, 0))
	}
	s := r.record
	return append(keys, timeValue(s.Start), filter.String(s.Source), filter.String(s.ID), filter.String(s.Tenant))
}

func (s *resultSink) push(r *applyRow) error {
	s.rows++
	var err error
	if s.keys, err = evalKeys(s.keys[:0], s.a.order, r); err != nil {
		return err
	}
	s.keys = s.a.appendPlace(s.keys, r, s.rows)
	if s.after != nil && compareKeys(s.keys, s.after, s.a.desc) <= 0 {
		return nil
	}
	if err := s.kept.add(s.keys, r); err != nil {
		return err
	}
	if len(s.a.order) == 0 && !s.count && len(s.kept.rows) == s.kept.most {
		return errStop // the rows come in their order
	}
	return nil
}

func (s *resultSink) finish() error {
	s.kept.sort()
	return nil
}

func (a *apply) page(ctx context.Context) (*ApplyPage, error) {
	run := &applyRun{a: a, ctx: ctx}
	s, err := a.result(run)
	if err != nil {
		return nil, err
	}
	if err := run.run(s); err != nil {
		return nil, err
	}
	if s.count {
		s.total = s.rows
	}
	size := s.kept.most - 1 - s.offset
	rows := s.kept.rows[min(s.offset, len(s.kept.rows)):]
	more := len(rows) > size
	if more {
		rows = rows[:size]
	}
	columns := a.resultColumns()
	out := &ApplyPage{Columns: columns, Rows: make([]ApplyRow, len(rows)), AsOf: a.q.asOf()}
	for i := range rows {
		out.Rows[i] = a.resultRow(columns, &rows[i].row)
	}
	if a.src.Count {
		out.Count = s.total
		if a.src.Limit > 0 {
			out.Count = min(out.Count, int64(a.src.Limit))
		}
	}
	seen := s.seen + int64(len(rows))
	if !more || len(rows) == 0 || a.src.Limit > 0 && seen >= int64(a.src.Limit) {
		return out, nil
	}
	t := paginate.Token{Binding: a.binding(), Mark: a.q.mark.Sequence, Extra: a.q.mark.Extra, Seen: seen, Total: s.total, Issued: a.q.now}
	if s.offset == 0 {
		t.Keys = applyCursor(rows[len(rows)-1].keys)
	}
	if a.q.token != nil {
		// The first page decides how long the walk may take.
		t.Issued, t.Expires = a.q.token.Issued, a.q.token.Expires
	}
	if out.Next, err = a.q.book.tokens.Seal(t); err != nil {
		t.Keys = nil // too long to travel: go by the number of rows
		if out.Next, err = a.q.book.tokens.Seal(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// applyCursor is cursor for computed keys too: tokens hold no instant between
// two microseconds.
func applyCursor(keys []filter.Value) []paginate.Value {
	for _, v := range keys {
		if v.Type() == filter.TypeTime && !filter.Equal(v, filter.Micros(v.Micros())) {
			return nil
		}
	}
	return cursor(keys)
}

// resultColumns are those of the result: the record's own fields where rows may
// be records, and those of the pipeline.
func (a *apply) resultColumns() []ApplyColumn {
	var out []ApplyColumn
	for _, name := range a.recordColumns() {
		out = append(out, ApplyColumn{Name: name, Type: a.q.book.fields.reserved[name].valueType(), Record: true})
	}
	for _, f := range a.columns {
		out = append(out, ApplyColumn{Name: f.Name, Type: f.Type})
	}
	return out
}

// recordColumns are the reserved names that no column of the pipeline has.
func (a *apply) recordColumns() []string {
	if !a.open {
		return nil
	}
	var out []string
	for _, name := range reservedNames {
		taken := false
		for _, f := range a.columns {
			taken = taken || f.Name == name
		}
		if !taken {
			out = append(out, name)
		}
	}
	return out
}

func (a *apply) resultRow(columns []ApplyColumn, r *applyRow) ApplyRow {
	out := ApplyRow{Record: r.record, columns: columns, book: a.q.book, Cells: make([]filter.Value, 0, len(columns))}
	for _, c := range columns[:len(columns)-len(a.columns)] {
		out.Cells = append(out.Cells, r.at(applySlot{column: -1, field: a.q.book.fields.reserved[c.Name]}))
	}
	out.Cells = append(out.Cells, r.cells...)
	return out
}

// rowsSink gives the rows of the whole result away as they come.
type rowsSink struct {
	a       *apply
	columns []ApplyColumn
	left    int // negative: no limit
	yield   func(ApplyRow) bool
}

func (s *rowsSink) push(r *applyRow) error {
	if s.left == 0 {
		return errStop
	}
	s.left--
	if !s.yield(s.a.resultRow(s.columns, r)) || s.left == 0 {
		s.left = 0
		return errStop
	}
	return nil
}

func (s *rowsSink) finish() error { return nil }

// rows yields the rows after the token, if there is one, to the end.
func (a *apply) rows(ctx context.Context, yield func(ApplyRow) bool) error {
	run := &applyRun{a: a, ctx: ctx}
	s, err := a.result(run)
	if err != nil {
		return err
	}
	end := &rowsSink{a: a, columns: a.resultColumns(), left: -1, yield: yield}
	if l := a.src.Limit; l > 0 {
		end.left = max(0, l-int(s.seen))
	}
	if len(a.order) == 0 {
		return run.run(&afterSink{result: s, next: end})
	}
	s.kept.most, s.count = -1, false
	if end.left >= 0 {
		s.kept.most = s.offset + end.left
	}
	if err := run.run(s); err != nil {
		return err
	}
	return s.kept.give(s.kept.rows[min(s.offset, len(s.kept.rows)):], end)
}

// afterSink passes over the rows of the pages before.
type afterSink struct {
	result *resultSink
	next   *rowsSink
}

func (s *afterSink) push(r *applyRow) error {
	p := s.result
	p.rows++
	if p.rows <= int64(p.offset) {
		return nil
	}
	if p.after != nil {
		p.keys = p.a.appendPlace(p.keys[:0], r, p.rows)
		if compareKeys(p.keys, p.after, nil) <= 0 {
			return nil
		}
	}
	return s.next.push(r)
}

func (s *afterSink) finish() error { return nil }

func (a *apply) plan(ctx context.Context) (*Plan, error) {
	run := &applyRun{a: a, ctx: ctx}
	s, err := a.result(run)
	if err != nil {
		return nil, err
	}
	if err := run.run(s); err != nil {
		return nil, err
	}
	out := &Plan{AsOf: a.q.asOf(), Raw: run.reasons(), Records: run.counted}
	for _, x := range run.reads {
		if x.kind == "rollup" {
			out.Checkpoint = a.q.state.Checkpoint
		}
		from, to := a.q.bounds(x.from, x.to)
		out.Reads = append(out.Reads, PlanRead{Kind: x.kind, Projection: x.projection, Level: x.level, From: from, To: to, Rows: x.rows})
		out.RowsRead += x.rows
	}
	return out, nil
}
