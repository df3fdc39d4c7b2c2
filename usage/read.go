package usage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/usagebook/usagebook/aggregate"
)

// A read is one request to the store on behalf of a query; Plan shows them.
type read struct {
	kind       string
	projection string
	level      aggregate.Unit
	from, to   int64
	rows       int64
	grouped    bool // by the store
}

// reader reads what a query needs, from rollups as far as they reach and from
// records for the rest, and folds it.
type reader struct {
	q     *query
	fold  *fold
	reads []read
	// counted is the number of records behind the answer.
	counted int64
	row     recordRow
	// groupings is the number of reads by a Grouper so far.
	groupings int
	// confirm is the assumed state until a read has confirmed it, then nil.
	confirm *State
}

// run reads the query. It starts over when the book is not as the store assumed,
// and without rollups in the two cases where they cannot serve after all: their
// snapshot was let go in the meantime, and a distinct count of a name that turns
// out to be a value's.
func (b *Book) run(ctx context.Context, q *query) (*reader, error) {
	held, counted := false, false
	for {
		r, err := b.readOnce(ctx, q)
		switch {
		case errors.Is(err, ErrMoved) && q.assumed:
			q.assume, q.assumed = false, false
			if err := q.fix(ctx); err != nil {
				return nil, err
			}
		case errors.Is(err, ErrHeld) && !held:
			held = true
			q.raw = append(q.raw, "the rollups of this moment are no longer held")
		case errors.Is(err, errValueCounted) && !counted:
			counted = true
			q.raw = append(q.raw, "a distinct count of a value")
			q.scan = true
			q.countRecords()
		default:
			return r, err
		}
	}
}

// countRecords has distinct counts of undeclared names look at the records
// alone.
func (q *query) countRecords() {
	for i := range q.measures {
		m := &q.measures[i]
		if m.extra >= 0 && m.slot >= 0 {
			m.extra, m.slot = -1, -1
		}
	}
}

func (b *Book) readOnce(ctx context.Context, q *query) (*reader, error) {
	r := &reader{q: q, fold: newFold(q)}
	if q.assumed {
		r.confirm = &q.state
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	return r, r.confirmed(ctx)
}

// confirmed makes sure that the assumed state is true, where no read has.
func (r *reader) confirmed(ctx context.Context) error {
	if r.confirm == nil {
		return nil
	}
	st, err := r.q.book.store.Checkpoint(ctx, AsOf{})
	if err != nil {
		return err
	}
	if st.Mark != r.confirm.Mark || st.Checkpoint != r.confirm.Checkpoint {
		return ErrMoved
	}
	r.confirm = nil
	return nil
}

func (r *reader) read(ctx context.Context) error {
	q := r.q
	if q.mark.Sequence == 0 && q.mark.Extra == "" || q.from >= q.to || q.src.On == RecordedTime && !q.src.To.IsZero() && !q.src.From.Before(q.src.To) {
		return nil // an empty book, or an empty range
	}
	pieces, err := r.pieces()
	if err != nil {
		return err
	}
	if pieces == nil {
		return r.raw(ctx, "raw", q.selection())
	}
	checkpoint := q.state.Checkpoint
	gone, err := r.restated(ctx, checkpoint)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if p.projection == nil {
			sel := q.selection()
			sel.From, sel.To = q.bounds(p.from, p.to)
			sel.Through = checkpoint
			if err := r.raw(ctx, "raw", sel); err != nil {
				return err
			}
		} else if err := r.rollups(ctx, p, checkpoint, gone); err != nil {
			return err
		}
	}
	if err := r.restate(ctx, checkpoint, gone); err != nil {
		return err
	}
	if q.mark.Sequence > checkpoint || q.mark.Extra != "" {
		sel := q.selection()
		sel.After = checkpoint
		if err := r.raw(ctx, "tail", sel); err != nil {
			return err
		}
	}
	if q.edges {
		return r.findEdges(ctx, checkpoint)
	}
	return nil
}

// pieces plans the range: nil when everything is to be read raw.
func (r *reader) pieces() ([]piece, error) {
	q := r.q
	if len(q.raw) > 0 || q.state.Checkpoint == 0 {
		return nil, nil
	}
	cov, err := q.book.coverage(q.state.Coverage)
	if err != nil {
		return nil, err
	}
	t := &tiler{window: q.src.Window.Locator(), cut: q.src.Window.Unit != aggregate.None}
	for i := range q.book.projections {
		p := &q.book.projections[i]
		if !slices.ContainsFunc(q.needs, func(d string) bool { return !p.has(d) }) {
			t.usable = append(t.usable, p)
		}
	}
	pieces := t.tile(cov, q.from, q.to)
	if !slices.ContainsFunc(pieces, func(p piece) bool { return p.projection != nil }) {
		return nil, nil
	}
	return pieces, nil
}

// place is a UTC bucket of a tenant's meter.
type place struct {
	tenant, meter string
	level         aggregate.Unit
	bucket        int64
}

// restatement are the buckets whose rollups cannot be used because a correction
// after the checkpoint touched them.
type restatement struct {
	records []*Stored // those whose standing changed
	places  map[place]bool
	// read are the places that a rollup was left out for.
	used map[place]bool
}

// restated finds the buckets touched by corrections between the checkpoint and
// the mark.
func (r *reader) restated(ctx context.Context, checkpoint uint64) (*restatement, error) {
	q := r.q
	if q.mark.Sequence == checkpoint && q.mark.Extra == "" {
		return &restatement{}, nil // there is nothing in between
	}
	if err := r.confirmed(ctx); err != nil {
		return nil, err
	}
	var corrections []*Stored
	sel := Selection{Scope: q.scope, Mark: q.mark, After: checkpoint, Class: Corrections}
	for s, err := range q.book.store.Scan(ctx, sel) {
		if err != nil {
			return nil, err
		}
		corrections = append(corrections, s)
	}
	out := &restatement{places: map[place]bool{}, used: map[place]bool{}}
	if len(corrections) == 0 {
		return out, nil
	}
	records, err := q.book.originals(ctx, q.mark, corrections)
	if err != nil {
		return nil, err
	}
	for _, s := range records {
		if s.Sequence == 0 || s.Sequence > checkpoint {
			continue // not in any rollup of this checkpoint
		}
		out.records = append(out.records, s)
		for _, level := range levels {
			out.places[place{s.Tenant, s.Meter, level, aggregate.Floor(level, s.Start.UnixMicro())}] = true
		}
	}
	return out, nil
}

// rollups folds the rows of one piece.
func (r *reader) rollups(ctx context.Context, p piece, checkpoint uint64, gone *restatement) error {
	q, f := r.q, r.fold
	done := read{kind: "rollup", projection: p.projection.name, level: p.level, from: p.from, to: p.to}
	sel := RollupSelection{Scope: q.scope, Checkpoint: checkpoint, Projection: p.projection.name, Level: p.level, From: p.from, To: p.to, Meters: q.meters, Confirm: r.confirm}
	if g, ok := q.book.store.(RollupGrouper); ok && len(gone.places) == 0 && !q.edges && r.confirm == nil {
		err := r.group(&done, func(read GroupRead) iter.Seq2[*GroupRow, error] {
			return g.GroupRollups(ctx, sel, read)
		})
		r.reads = append(r.reads, done)
		return err
	}
	var row *Rollup
	slots := make([]int, len(q.values))
	summary := func(slot int) *aggregate.Summary {
		// The place of a value is nearly always the same from row to row.
		at := slots[slot]
		if at < len(row.Values) && row.Values[at].Name == q.values[slot] {
			return &row.Values[at].Summary
		}
		for i := range row.Values {
			if row.Values[i].Name == q.values[slot] {
				slots[slot] = i
				return &row.Values[i].Summary
			}
		}
		return nil
	}
	// Rows of one series mostly follow each other, and what is known of the series
	// is known of all of them.
	var last RollupKey
	known := false
	var sub *subGroup // nil: not wanted
	for x, err := range q.book.store.ScanRollups(ctx, sel) {
		if err != nil {
			return err
		}
		row = x
		done.rows++
		if len(gone.places) > 0 {
			if at := (place{row.Tenant, row.Meter, p.level, row.Bucket}); gone.places[at] {
				continue // restate reads its records
			}
		}
		if !known || last.Verdict != row.Verdict || last.Tenant != row.Tenant || last.Meter != row.Meter || !last.Dimensions.same(row.Dimensions) {
			if sub, err = r.rollupGroup(row); err != nil {
				return err
			}
			last, known = row.RollupKey, true
		}
		if sub == nil {
			continue
		}
		var bucket *edge
		if q.edges {
			bucket = &edge{row.Bucket, aggregate.Next(p.level, row.Bucket)}
		}
		r.counted += row.Records
		if err := f.summed(sub, row.Bucket, row.Records, summary, bucket); err != nil {
			return err
		}
	}
	r.confirm = nil
	for at := range gone.places {
		if at.level == p.level && p.from <= at.bucket && at.bucket < p.to {
			gone.used[at] = true
		}
	}
	r.reads = append(r.reads, done)
	return nil
}

// rollupGroup returns the sub-group of a rollup row; nil where it is not wanted.
func (r *reader) rollupGroup(row *Rollup) (*subGroup, error) {
	if ok, err := r.q.seriesAdmits(row.Tenant, row.Meter, row.Dimensions); !ok || err != nil {
		return nil, err
	}
	if ok, err := r.q.classAdmits(row.Tenant, row.Meter, row.Dimensions, row.Verdict); !ok || err != nil {
		return nil, err
	}
	return r.fold.sub(row.Tenant, row.Meter, row.Dimensions, row.Verdict), nil
}

// restate reads the records of the buckets that rollups left out.
func (r *reader) restate(ctx context.Context, checkpoint uint64, gone *restatement) error {
	places := make([]place, 0, len(gone.used))
	for at := range gone.used {
		places = append(places, at)
	}
	sort.Slice(places, func(i, k int) bool {
		a, b := places[i], places[k]
		switch {
		case a.bucket != b.bucket:
			return a.bucket < b.bucket
		case a.tenant != b.tenant:
			return a.tenant < b.tenant
		}
		return a.meter < b.meter
	})
	for _, at := range places {
		if !r.q.tenantAdmits(at.tenant) || r.q.meters != nil && !slices.Contains(r.q.meters, at.meter) {
			continue
		}
		sel := r.q.selection()
		sel.Scope = ForTenant(at.tenant)
		sel.Meters = []string{at.meter}
		sel.From, sel.To = r.q.bounds(at.bucket, aggregate.Next(at.level, at.bucket))
		sel.Through = checkpoint
		if err := r.raw(ctx, "restated", sel); err != nil {
			return err
		}
	}
	return nil
}

// raw folds the records of a selection that count: added up by the store where
// it can, one by one otherwise.
func (r *reader) raw(ctx context.Context, kind string, sel Selection) error {
	done := read{kind: kind, from: openPast, to: openFuture}
	if !sel.From.IsZero() {
		done.from = sel.From.UnixMicro()
	}
	if !sel.To.IsZero() {
		done.to = sel.To.UnixMicro()
	}
	q := r.q
	g, ok := q.book.store.(Grouper)
	var err error
	if ok && !q.scan {
		done.grouped = true
		err = r.group(&done, func(read GroupRead) iter.Seq2[*GroupRow, error] {
			read.Selection, read.Where = sel, q.where
			read.Selection.Class, read.Selection.Filter = Plain, nil
			return g.Group(ctx, read)
		})
		if err == nil {
			sel.Class = Chained
			err = r.scan(ctx, sel, &done, false)
		}
	} else {
		err = r.scan(ctx, sel, &done, false)
	}
	r.reads = append(r.reads, done)
	return err
}

// group folds what the store adds up when it is asked.
func (r *reader) group(done *read, ask func(GroupRead) iter.Seq2[*GroupRow, error]) error {
	q, f := r.q, r.fold
	var subs []*subGroup
	var fault error
	r.groupings++
	request := GroupRead{Window: q.src.Window, Values: q.values, Figures: q.figures(), Dimensions: append([]string{}, q.needs...), AnyMeter: q.anyMeter(), IgnoresClass: q.ignoresClass(), Confirm: r.confirm}
	request.Group = func(s *Series, class VerdictClass) int {
		ok, err := q.seriesAdmits(s.Tenant, s.Meter, s.Dimensions)
		if ok && err == nil {
			ok, err = q.classAdmits(s.Tenant, s.Meter, s.Dimensions, class)
		}
		if err != nil {
			fault = err
		}
		if !ok || fault != nil {
			return -1
		}
		sub := f.sub(s.Tenant, s.Meter, s.Dimensions, class)
		if sub.read != r.groupings {
			sub.number, sub.read = len(subs), r.groupings
			subs = append(subs, sub)
		}
		return sub.number
	}
	var last *GroupRow
	summary := func(slot int) *aggregate.Summary { return &last.Values[slot] }
	for row, err := range ask(request) {
		if err == nil {
			err = fault
		}
		if err != nil {
			return err
		}
		if row.Group < 0 || row.Group >= len(subs) {
			return fmt.Errorf("the store yields the group %d, which it was not given", row.Group)
		}
		done.rows += row.Read
		r.counted += row.Records
		last = row
		if err := f.summed(subs[row.Group], row.Window, row.Records, summary, nil); err != nil {
			return err
		}
	}
	if fault == nil {
		r.confirm = nil
	}
	return fault
}

// anyMeter reports whether series that differ in the meter alone are treated alike.
func (q *query) anyMeter() bool {
	looks := func(f *field) bool { return f.kind == meterField || f.former() }
	if q.pivot || slices.ContainsFunc(q.groups, looks) || slices.ContainsFunc(q.extra, looks) {
		return false
	}
	for _, c := range []*condition{q.bySeries, q.byClass} {
		if c != nil && slices.ContainsFunc(c.fields, looks) {
			return false
		}
	}
	return !slices.ContainsFunc(q.required, func(r requiredDimension) bool { return looks(r.field) })
}

// ignoresClass reports whether records of a series are treated alike whatever their
// verdicts are.
func (q *query) ignoresClass() bool {
	differ := func(f *field) bool { return !f.perSeries() }
	return q.byClass == nil && !slices.ContainsFunc(q.groups, differ) && !slices.ContainsFunc(q.extra, differ)
}

// figures says what the measures need to know of each value.
func (q *query) figures() []Figures {
	out := make([]Figures, len(q.values))
	for i := range q.measures {
		m := &q.measures[i]
		if m.slot < 0 {
			continue
		}
		switch m.Aggregation {
		case Sum, Avg:
			out[m.slot] |= FigureSum
		case Min:
			out[m.slot] |= FigureMin
		case Max:
			out[m.slot] |= FigureMax
		}
	}
	return out
}

// scan folds the records of a selection one by one.
func (r *reader) scan(ctx context.Context, sel Selection, done *read, edgesOnly bool) error {
	if err := r.confirmed(ctx); err != nil {
		return err
	}
	return r.q.scanCounted(ctx, sel, func(s *Stored) error {
		done.rows++
		ok, err := r.q.recordAdmits(s, &r.row)
		if err != nil || !ok {
			return err
		}
		if !edgesOnly {
			r.counted++
		}
		return r.fold.record(s, edgesOnly)
	})
}

// scanCounted calls visit for the records of a selection that count, in the
// order of the scan, with everything decided that the series decides.
func (q *query) scanCounted(ctx context.Context, sel Selection, visit func(*Stored) error) error {
	return q.scanLinked(ctx, sel, func(s *Stored, l link) error {
		if !l.counts {
			return nil
		}
		return visit(s)
	})
}

// scanLinked is scanCounted for all records, with what their chains say.
func (q *query) scanLinked(ctx context.Context, sel Selection, visit func(*Stored, link) error) error {
	var fault error
	sel.Series = func(s *Series) bool {
		ok, err := q.seriesAdmits(s.Tenant, s.Meter, s.Dimensions)
		if err != nil {
			fault = err
		}
		return ok
	}
	err := q.book.scanLinked(ctx, sel, func(s *Stored, l link) error {
		if fault != nil || !q.tenantAdmits(s.Tenant) {
			return fault
		}
		return visit(s, l)
	})
	if err == nil {
		err = fault
	}
	return err
}

// findEdges reads the buckets in which rollups say the first and last records
// are, and finds them.
func (r *reader) findEdges(ctx context.Context, checkpoint uint64) error {
	var spans []edge
	for a := range r.fold.all() {
		for i := range a.measures {
			if x := a.measures[i].more; x != nil && x.edge != nil {
				spans = append(spans, *x.edge)
			}
		}
	}
	sort.Slice(spans, func(i, k int) bool { return spans[i].from < spans[k].from })
	for i := 0; i < len(spans); {
		span := spans[i]
		for i++; i < len(spans) && spans[i].from <= span.to; i++ {
			span.to = max(span.to, spans[i].to)
		}
		sel := r.q.selection()
		sel.From, sel.To = r.q.bounds(max(span.from, r.q.from), min(span.to, r.q.to))
		sel.Through = checkpoint
		done := read{kind: "raw", from: span.from, to: span.to}
		if err := r.scan(ctx, sel, &done, true); err != nil {
			return err
		}
		r.reads = append(r.reads, done)
	}
	return nil
}
