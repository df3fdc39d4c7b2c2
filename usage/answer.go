package usage

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
)

// maxFilled bounds the rows of a zero-filled answer.
const maxFilled = 100_000

// Query answers a page of a query in a scope.
//
// Errors: ErrScope for the zero Scope; ErrInvalid for a query that cannot be
// understood, with a *filter.Error inside where an expression is at fault;
// paginate.ErrToken and its kin for a token; ErrTooLarge; and those of the
// store.
func (b *Book) Query(ctx context.Context, scope Scope, query Query) (*Page, error) {
	page, err := b.query(ctx, scope, query)
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	return page, nil
}

func (b *Book) query(ctx context.Context, scope Scope, query Query) (*Page, error) {
	q := b.newQuery(scope, query, b.Now())
	q.assume = true
	if err := q.compile(ctx); err != nil {
		return nil, err
	}
	return q.page(ctx)
}

// page reads the page that follows the query's token.
func (q *query) page(ctx context.Context) (*Page, error) {
	p, err := q.pager()
	if err != nil {
		return nil, err
	}
	if q.records {
		err = p.readRecords(ctx)
	} else {
		err = p.readRows(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p.page()
}

// Rows yields the rows of a whole answer, all of one moment, page by page in
// the background of the loop: Limit caps them, PageSize and Token are not
// needed. After an error it yields nothing more.
func (b *Book) Rows(ctx context.Context, scope Scope, query Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		q := b.newQuery(scope, query, b.Now())
		q.assume = true
		if err := q.compile(ctx); err != nil {
			yield(Row{}, fmt.Errorf("usage: %w", err))
			return
		}
		for row, err := range q.rows(ctx) {
			if err != nil {
				yield(Row{}, fmt.Errorf("usage: %w", err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// rows yields the rows of the answer that are left after the query's token.
func (q *query) rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		p, err := q.pager()
		if err != nil {
			yield(Row{}, err)
			return
		}
		p.size = -1
		if q.src.Limit > 0 {
			p.size = q.src.Limit - int(p.seen)
		}
		if q.records && q.byStart() && p.offset == 0 {
			stopped := false
			n := 0
			err = p.stream(ctx, func(s *Stored) error {
				if p.size >= 0 && n == p.size {
					return errStop
				}
				n++
				if !yield(q.recordRow(s), nil) {
					stopped = true
					return errStop
				}
				return nil
			})
			if err != nil && !stopped {
				yield(Row{}, err)
			}
			return
		}
		if q.unordered() && q.token == nil {
			q.inOrder(ctx, p.size, yield)
			return
		}
		if q.records {
			err = p.readRecords(ctx)
		} else {
			err = p.readRows(ctx)
		}
		if err != nil {
			yield(Row{}, err)
			return
		}
		items := p.found.sorted()
		items = items[min(p.offset, len(items)):]
		if p.size >= 0 {
			items = items[:min(p.size, len(items))]
		}
		room := cellRoom{columns: len(q.columns)}
		for i := range items {
			if !yield(q.rowIn(&items[i], room.take(len(items)-i)), nil) {
				return
			}
		}
	}
}

// cellRoom is room for the cells of some rows at once, which may be kept.
type cellRoom struct {
	columns int
	cells   []filter.Value
}

// take returns room for a row, of so many that are to come.
func (r *cellRoom) take(left int) []filter.Value {
	n := r.columns
	if cap(r.cells) < n {
		r.cells = make([]filter.Value, 0, n*min(64, left))
	}
	cells := r.cells[:0:n]
	r.cells = r.cells[n:n:cap(r.cells)]
	return cells
}

// inOrder yields rows that need not be put in order, as they are finished.
func (q *query) inOrder(ctx context.Context, most int, yield func(Row, error) bool) {
	r, err := q.book.run(ctx, q)
	if err != nil {
		yield(Row{}, err)
		return
	}
	left := r.fold.rows
	if most >= 0 {
		left = min(left, most)
	}
	room := cellRoom{columns: len(q.columns)}
	for a := range r.fold.inOrder() {
		if left == 0 || !yield(q.rowIn(&item{acc: a}, room.take(left)), nil) {
			return
		}
		left--
	}
}

// pager collects the items of one page.
type pager struct {
	q *query
	// size is how many to answer, negative for all; offset how many to pass
	// over where the cursor could not hold the keys.
	size   int
	offset int
	after  []filter.Value // the keys of the last item of the page before
	seen   int64
	total  int64
	count  bool // total is to be counted
	found  least
	keys   []filter.Value // scratch space
	values rowValues      // scratch space
}

func (q *query) pager() (*pager, error) {
	p := &pager{q: q, size: q.src.PageSize}
	if t := q.token; t != nil {
		p.seen = t.Seen
		p.total = t.Total
		if len(t.Keys) > 0 {
			var err error
			if p.after, err = uncursor(t.Keys); err != nil {
				return nil, err
			}
		} else {
			p.offset = int(t.Seen)
		}
	}
	p.count = q.src.Count && (q.token == nil || p.total == 0)
	if l := q.src.Limit; l > 0 {
		p.size = max(0, min(p.size, l-int(p.seen)))
	}
	return p, nil
}

// start readies the collection: one item more than the page has tells whether
// there is a next page.
func (p *pager) start() {
	p.found = least{q: p.q, most: -1}
	if p.size >= 0 {
		p.found.most = p.offset + p.size + 1
	}
}

func (p *pager) offer(it item) error {
	if p.after != nil && p.q.compare(it.keys, p.after) <= 0 {
		return nil
	}
	p.found.add(it)
	if most := p.q.book.opts.MaxGroups; len(p.found.items) > most {
		return fmt.Errorf("query: %w: more than %d rows to put in order; narrow the query or read it by pages", ErrTooLarge, most)
	}
	return nil
}

func (p *pager) readRows(ctx context.Context) error {
	q := p.q
	p.start()
	r, err := q.book.run(ctx, q)
	if err != nil {
		return err
	}
	if p.count {
		p.total = int64(r.fold.rows)
	}
	if q.unordered() {
		return p.takeInOrder(r.fold)
	}
	for a := range r.fold.all() {
		it, err := q.rowItem(a, false, &p.values, p.keys)
		if err != nil {
			return err
		}
		p.keys = it.keys
		if err := p.offer(it); err != nil {
			return err
		}
	}
	if q.src.ZeroFill {
		return p.fill(r.fold)
	}
	return nil
}

// unordered reports whether the answer is rows in the order in which a fold has them.
func (q *query) unordered() bool { return !q.records && len(q.order) == 0 && !q.src.ZeroFill }

// takeInOrder takes the rows of the page out of those that come in the order of the
// answer. Keys are made only where some were given out already.
func (p *pager) takeInOrder(f *fold) error {
	most := f.rows
	if p.found.most >= 0 {
		most = min(most, p.found.most)
	}
	p.found.inOrder = true
	if most == 0 {
		return nil
	}
	p.found.items = make([]item, 0, most)
	for a := range f.inOrder() {
		if p.after != nil {
			it, err := p.q.rowItem(a, false, &p.values, p.keys)
			if err != nil {
				return err
			}
			if p.keys = it.keys; p.q.compare(it.keys, p.after) <= 0 {
				continue
			}
		}
		if p.found.items = append(p.found.items, item{acc: a}); len(p.found.items) == most {
			break
		}
	}
	return nil
}

// fill adds rows for the windows in which a group was silent.
func (p *pager) fill(f *fold) error {
	q := p.q
	// Groups that were looked at appear only if they have a row.
	var groups []*outGroup
	for _, g := range f.groups {
		if len(g.rows) > 0 {
			groups = append(groups, g)
		}
	}
	if len(q.groups) == 0 && len(groups) == 0 {
		groups = append(groups, &outGroup{})
	}
	w := q.src.Window
	if w.Unit == aggregate.None {
		if len(q.groups) == 0 && f.rows == 0 {
			return p.fillOne(&acc{group: groups[0], from: q.from, to: q.to, measures: make([]tally, len(q.measures))})
		}
		return nil
	}
	if len(groups) == 0 || q.from >= q.to {
		return nil
	}
	windows := w.Count(q.src.From, q.src.To, maxFilled)
	if windows*len(groups) > maxFilled {
		return fmt.Errorf("query: %w: zero fill of %d groups over more than %d windows makes more than %d rows; use a shorter range or longer windows",
			ErrTooLarge, len(groups), maxFilled/len(groups), maxFilled)
	}
	empty := make([]tally, len(q.measures))
	for from, to := range w.All(q.src.From, q.src.To) {
		for _, g := range groups {
			if _, ok := g.place(from.UnixMicro()); ok {
				continue
			}
			if err := p.fillOne(&acc{group: g, from: from.UnixMicro(), to: to.UnixMicro(), measures: empty}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pager) fillOne(a *acc) error {
	if p.count {
		p.total++
	}
	it, err := p.q.rowItem(a, true, &p.values, p.keys)
	if err != nil {
		return err
	}
	p.keys = it.keys
	return p.offer(it)
}

func (p *pager) readRecords(ctx context.Context) error {
	p.start()
	q := p.q
	n := int64(0)
	visit := func(s *Stored) error {
		it, err := q.recordItem(s, p.keys)
		if err != nil {
			return err
		}
		p.keys = it.keys
		n++
		return p.offer(it)
	}
	var err error
	if q.byStart() && !p.count {
		err = p.stream(ctx, func(s *Stored) error {
			if err := visit(s); err != nil {
				return err
			}
			if p.size >= 0 && len(p.found.items) == p.found.most {
				return errStop
			}
			return nil
		})
	} else {
		err = p.scan(ctx, q.selection(), visit)
	}
	if p.count {
		p.total = n
	}
	return err
}

// stream visits the records of the answer in the order of start.
func (p *pager) stream(ctx context.Context, visit func(*Stored) error) error {
	sel := p.q.selection()
	sel.Order = ByStart
	if n := len(p.after); n >= 4 {
		k := p.after[n-4:]
		sel.Resume = &aggregate.Position{Start: k[0].Micros(), Source: k[1].Str(), ID: k[2].Str(), Tenant: k[3].Str()}
	}
	return p.scan(ctx, sel, visit)
}

func (p *pager) scan(ctx context.Context, sel Selection, visit func(*Stored) error) error {
	q := p.q
	if q.mark.Sequence == 0 && q.mark.Extra == "" || q.from >= q.to {
		return nil
	}
	row := new(recordRow)
	return q.scanCounted(ctx, sel, func(s *Stored) error {
		ok, err := q.recordAdmits(s, row)
		if err != nil || !ok {
			return err
		}
		return visit(s)
	})
}

// page finishes the page and seals the token of the next one.
func (p *pager) page() (*Page, error) {
	q := p.q
	items := p.found.sorted()
	items = items[min(p.offset, len(items)):]
	more := len(items) > p.size
	if more {
		items = items[:p.size]
	}
	out := &Page{Columns: q.columns, Rows: make([]Row, len(items)), AsOf: q.asOf()}
	cells := make([]filter.Value, 0, len(items)*len(q.columns)) // one piece for all rows
	for i := range items {
		from := len(cells)
		out.Rows[i] = q.rowIn(&items[i], cells[from:from:from+len(q.columns)])
		cells = cells[:from+len(q.columns)]
	}
	if q.src.Count {
		out.Count = p.total
		if q.src.Limit > 0 {
			out.Count = min(out.Count, int64(q.src.Limit))
		}
	}
	seen := p.seen + int64(len(items))
	if !more || len(items) == 0 || q.src.Limit > 0 && seen >= int64(q.src.Limit) {
		return out, nil
	}
	t := paginate.Token{Binding: q.binding(), Mark: q.mark.Sequence, Extra: q.mark.Extra, Seen: seen, Total: p.total, Issued: q.now}
	if p.offset == 0 {
		last := items[len(items)-1]
		if p.found.inOrder {
			var err error
			if last, err = q.rowItem(last.acc, false, &p.values, nil); err != nil {
				return nil, err
			}
		}
		t.Keys = cursor(last.keys)
	}
	if q.token != nil {
		// The first page decides how long the walk may take.
		t.Issued, t.Expires = q.token.Issued, q.token.Expires
	}
	var err error
	if out.Next, err = q.book.tokens.Seal(t); err != nil {
		t.Keys = nil // too long to travel: go by the number of rows
		if out.Next, err = q.book.tokens.Seal(t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// answer is what the rows have in common.
func (q *query) answer() *answer {
	if q.common == nil {
		q.common = &answer{columns: q.columns, groups: len(q.groups), book: q.book, mark: q.mark, now: q.now}
	}
	return q.common
}

// asOf is the moment of the answer in a form that repeats it.
func (q *query) asOf() AsOf {
	return asOfMark(q.mark)
}

// rowIn makes the row of an item, with room for its cells.
func (q *query) rowIn(it *item, cells []filter.Value) Row {
	if it.record != nil {
		return q.recordRowIn(it.record, cells)
	}
	a := it.acc
	r := Row{Start: instant(a.from), End: instant(a.to), Cells: cells, of: q.answer()}
	if q.src.On == RecordedTime && q.src.Window.Unit == aggregate.None {
		// Without a window the bounds are those of the query's own clock.
		r.Start, r.End = q.src.From, q.src.To
	}
	r.Cells = append(r.Cells, a.group.key...)
	for i := range q.measures {
		r.Cells = append(r.Cells, q.cell(&q.measures[i], &a.measures[i], it.filled))
	}
	return r
}

func (q *query) recordRow(s *Stored) Row {
	return q.recordRowIn(s, make([]filter.Value, 0, len(q.columns)))
}

func (q *query) recordRowIn(s *Stored, cells []filter.Value) Row {
	r := Row{Start: s.Start, End: s.End, Record: s, Cells: cells, of: q.answer()}
	for _, c := range q.columns {
		r.Cells = append(r.Cells, q.book.fields.reserved[c.Name].of(s))
	}
	return r
}

// Plan tells how a query would be read.
type Plan struct {
	// Reads are the requests to the store, in the order of reading.
	Reads []PlanRead
	// RowsRead is the number of rollup rows and records that are looked at.
	RowsRead int64
	// Records is the number of counted records behind the answer.
	Records int64
	// Raw says why no rollup can serve the query; empty when rollups can, as
	// far as they reach.
	Raw []string
	// AsOf is the moment the plan is of, Checkpoint the one whose rollups are
	// read.
	AsOf       AsOf
	Checkpoint uint64
}

// PlanRead is one request to the store.
type PlanRead struct {
	// Kind is "rollup"; "raw" for records up to the checkpoint, "tail" for those
	// after it, and "restated" for a bucket whose rollup a correction made
	// stale.
	Kind string
	// Projection names the set of dimensions of a rollup: "meter", "series" or
	// one of Options.Rollups.
	Projection string
	// Level is hour, day or month for a rollup.
	Level aggregate.Unit
	// From and To bound event time, half-open, zero where open.
	From, To time.Time
	// Rows is the number of rollup rows or records that were looked at.
	Rows int64
	// Grouped: the store added the records up, and did not give them out one by
	// one ([Grouper]).
	Grouped bool
}

// Plan reads a query and answers how it was read instead of what: which
// projections and levels of rollups, which records, and how many rows of each.
func (b *Book) Plan(ctx context.Context, scope Scope, query Query) (*Plan, error) {
	q, err := b.compile(ctx, scope, query)
	if err != nil {
		return nil, fmt.Errorf("usage: plan: %w", err)
	}
	out := &Plan{AsOf: q.asOf()}
	var r *reader
	if q.records {
		r = &reader{q: q}
		done := read{kind: "raw", from: q.from, to: q.to}
		p := &pager{q: q}
		err = p.scan(ctx, q.selection(), func(*Stored) error { done.rows++; return nil })
		r.reads, r.counted = []read{done}, done.rows
		q.raw = []string{"the answer is records"}
	} else {
		r, err = b.run(ctx, q)
	}
	if err != nil {
		return nil, fmt.Errorf("usage: plan: %w", err)
	}
	out.Raw, out.Records = q.raw, r.counted
	for _, x := range r.reads {
		if x.kind == "rollup" {
			out.Checkpoint = q.state.Checkpoint
		}
		from, to := q.bounds(x.from, x.to)
		out.Reads = append(out.Reads, PlanRead{Kind: x.kind, Projection: x.projection, Level: x.level, From: from, To: to, Rows: x.rows, Grouped: x.grouped})
		out.RowsRead += x.rows
	}
	return out, nil
}

// String returns the plan as lines for a person.
func (p *Plan) String() string {
	s := fmt.Sprintf("as of %d, rollups of %d: %d rows read for %d records\n", p.AsOf.Sequence, p.Checkpoint, p.RowsRead, p.Records)
	for _, why := range p.Raw {
		s += "  no rollups: " + why + "\n"
	}
	for _, r := range p.Reads {
		s += "  " + r.Kind
		if r.Projection != "" {
			s += fmt.Sprintf(" %s by %s", r.Projection, r.Level)
		}
		bound := func(t time.Time) string {
			if t.IsZero() {
				return "open"
			}
			return t.Format(time.RFC3339Nano)
		}
		s += fmt.Sprintf(" from %s to %s: %d rows", bound(r.From), bound(r.To), r.Rows)
		if r.Grouped {
			s += ", added up by the store"
		}
		s += "\n"
	}
	return s
}
