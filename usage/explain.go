package usage

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
)

// Explain asks why a figure is what it is, or what became of a record. Exactly
// one of Row and Identity is set.
type Explain struct {
	// Query is the query that Row comes from. For an Identity it is the query
	// in which the record is or isn't counted; the zero Query asks for the
	// scope alone.
	Query Query
	// Row is a row that Query answered: the explanation is of its records, as
	// of the moment of the row.
	Row *Row
	// Identity is a record: booked, with which verdict, corrected by what,
	// counted in the query, and if not why.
	Identity *Identity
	// PageSize is the number of records in a page of a row's explanation.
	// Defaults to 1,000; at most 10,000.
	PageSize int
	// Token is the Next of the page before.
	Token string
}

// Explanation is the answer to an Explain.
type Explanation struct {
	// Records are the records behind a row in the order (start, source, id,
	// tenant), those that no longer count among them; for an identity the one
	// record, and none when it is not booked.
	Records []Explained
	// Next is the token of the next page; empty when this is the last one.
	Next string
	// AsOf is the moment that the explanation speaks of.
	AsOf AsOf
	// Booked tells, for an identity, whether it is booked in the scope.
	Booked bool
}

// Explained is a record with its part in a figure.
type Explained struct {
	Stored
	// Counted tells whether the record counts in the query.
	Counted bool
	// Why says why not, as one of the Why constants and, in Detail, for a
	// person. Both are empty for a record that counts.
	Why, Detail string
	// Late records were booked after the end of their own bucket: the window of
	// the query, or the UTC hour where it has none. It changes no figure.
	Late bool
	// Chain are the corrections that follow the record, nearest first; the
	// last one is the head, which decides. Where a scope has requirements on
	// dimensions, a correction may be outside of it (a replacement may change
	// them): what is said here, its kind and identity, is all that shows of it.
	Chain []CorrectedBy
}

// Why a record does not count in a query.
const (
	WhyVoid        = "void"         // it is a void: it takes something away and adds nothing
	WhyVoided      = "voided"       // its chain ends in a void
	WhyReplaced    = "replaced"     // another record stands in its place
	WhyRange       = "range"        // outside the range of the query
	WhyFilter      = "filter"       // the filter is not true for it
	WhyMeasure     = "measure"      // every measure is of another meter
	WhyLaterThanAt = "later_booked" // booked after the moment that the query asks about
)

// Explain answers an [Explain] in a scope. The errors are those of Query.
func (b *Book) Explain(ctx context.Context, scope Scope, e Explain) (*Explanation, error) {
	var out *Explanation
	var err error
	switch {
	case (e.Row == nil) == (e.Identity == nil):
		err = fmt.Errorf("%w: exactly one of Row and Identity is to be given", ErrInvalid)
	case e.Row != nil:
		out, err = b.explainRow(ctx, scope, e)
	default:
		out, err = b.explainIdentity(ctx, scope, e)
	}
	if err != nil {
		return nil, fmt.Errorf("usage: explain: %w", err)
	}
	return out, nil
}

func (b *Book) explainIdentity(ctx context.Context, scope Scope, e Explain) (*Explanation, error) {
	query := e.Query
	query.Token, query.PageSize = "", 0
	q, err := b.compile(ctx, scope, query)
	if err != nil {
		return nil, err
	}
	out := &Explanation{AsOf: q.asOf()}
	if !scope.Holds(e.Identity.Tenant) {
		return out, nil
	}
	mark := q.mark
	found, err := b.find(ctx, mark, []Identity{*e.Identity})
	if err != nil {
		return nil, err
	}
	s := found[*e.Identity]
	later := false
	if s == nil && !query.AsOf.IsZero() {
		// Perhaps it was booked since.
		st, err := b.store.Checkpoint(ctx, AsOf{})
		if err != nil {
			return nil, err
		}
		if found, err = b.find(ctx, st.Mark, []Identity{*e.Identity}); err != nil {
			return nil, err
		}
		s, mark, later = found[*e.Identity], st.Mark, true
	}
	if s == nil {
		return out, nil
	}
	if s.isVoid() && len(q.required) > 0 {
		// A void has no dimensions of its own: it is as visible as what it is
		// about.
		targets, err := b.originals(ctx, mark, []*Stored{s})
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			if !q.requiredHold(t) {
				return out, nil
			}
		}
	} else if !q.requiredHold(s) {
		return out, nil
	}
	links, err := b.counted(ctx, mark, []*Stored{s}, true)
	if err != nil {
		return nil, err
	}
	x := q.explain(s, links[0])
	if later {
		x.Counted, x.Why, x.Detail = false, WhyLaterThanAt, "it was booked after the moment that is asked about"
	} else if x.Counted {
		if err := q.judge(&x); err != nil {
			return nil, err
		}
	}
	out.Booked = true
	out.Records = []Explained{x}
	return out, nil
}

func (q *query) requiredHold(s *Stored) bool {
	for i := range q.required {
		r := &q.required[i]
		if !r.holds(r.field.of(s)) {
			return false
		}
	}
	return true
}

// explain tells what the record and its chain say by themselves.
func (q *query) explain(s *Stored, l link) Explained {
	x := Explained{Stored: *s, Counted: l.counts, Chain: l.steps}
	if !s.Start.IsZero() {
		var end int64
		if q.src.Window.Unit != aggregate.None {
			_, end = q.src.Window.Locate(s.Start.UnixMicro())
		} else {
			end = aggregate.Next(aggregate.Hour, s.Start.UnixMicro())
		}
		x.Late = s.Recorded.UnixMicro() >= end
	}
	switch {
	case l.counts:
	case s.isVoid():
		x.Why = WhyVoid
		x.Detail = fmt.Sprintf("it voids the record with source %s and id %s", quoted(s.Corrects.Source), quoted(s.Corrects.ID))
	case len(l.steps) == 0: // a record without a chain counts
	case l.steps[0].Kind == Replace:
		x.Why, x.Detail = WhyReplaced, "replaced by "+l.steps[0].String()
	default:
		x.Why, x.Detail = WhyVoided, "voided by "+l.steps[len(l.steps)-1].String()
	}
	return x
}

// String names the correction for a person.
func (c CorrectedBy) String() string {
	return fmt.Sprintf("source %s, id %s (sequence %d)", quoted(c.Source), quoted(c.ID), c.Sequence)
}

// measured reports whether a measure takes records of a meter.
func (q *query) measured(meter string) bool {
	for i := range q.measures {
		if q.measures[i].takes(meter) {
			return true
		}
	}
	return len(q.measures) == 0
}

// judge tells whether a record that counts does so in this query.
func (q *query) judge(x *Explained) error {
	not := func(why, format string, args ...any) {
		x.Counted, x.Why, x.Detail = false, why, fmt.Sprintf(format, args...)
	}
	if !q.measured(x.Meter) {
		not(WhyMeasure, "every measure of the query is of another meter than %s", quoted(x.Meter))
		return nil
	}
	at := x.Start
	if q.src.On == RecordedTime {
		at = x.Recorded
	}
	switch {
	case !q.src.From.IsZero() && at.Before(q.src.From):
		not(WhyRange, "%s is before the range, which begins at %s", at.Format(time.RFC3339Nano), q.src.From.Format(time.RFC3339Nano))
		return nil
	case !q.src.To.IsZero() && !at.Before(q.src.To):
		not(WhyRange, "%s is not before the end of the range at %s", at.Format(time.RFC3339Nano), q.src.To.Format(time.RFC3339Nano))
		return nil
	}
	if q.filter == nil {
		return nil
	}
	// The conjunct that fails is worth more than "the filter".
	for _, c := range q.filter.Conjuncts() {
		cond := q.book.fields.condition(c)
		ok, err := cond.program.Match(&recordRow{fields: cond.fields, record: &x.Stored})
		if err != nil {
			return err
		}
		if !ok {
			not(WhyFilter, "not true for it: %s", c.String())
			return nil
		}
	}
	return nil
}

func (b *Book) explainRow(ctx context.Context, scope Scope, e Explain) (*Explanation, error) {
	if e.Row.of == nil {
		return nil, fmt.Errorf("%w: the row is not one of this query", ErrInvalid)
	}
	query := e.Query
	query.Token, query.PageSize, query.OrderBy, query.Limit = "", e.PageSize, "", 0
	query.AsOf = AsOf{Sequence: e.Row.of.mark.Sequence}
	if e.Row.of.mark.Sequence == 0 {
		query.AsOf = AsOf{Time: minTime.Add(time.Microsecond)}
	}
	q, err := b.compileAt(ctx, scope, query, e.Row.of.now)
	if err != nil {
		return nil, err
	}
	q.mark = e.Row.of.mark
	if e.Row.Record != nil {
		id := e.Row.Record.Identity()
		e.Identity = &id
		return b.explainIdentity(ctx, scope, Explain{Query: query, Identity: &id})
	}
	if len(e.Row.Cells) != len(q.columns) || e.Row.of.groups != len(q.groups) {
		return nil, fmt.Errorf("%w: the row is not one of this query", ErrInvalid)
	}
	binding := q.rowBinding(e.Row)
	p := &pager{q: q, size: q.src.PageSize}
	if e.Token != "" {
		t, err := b.tokens.Open(e.Token, binding)
		if err != nil {
			return nil, err
		}
		q.mark = Mark{Sequence: t.Mark, Extra: t.Extra}
		if p.after, err = uncursor(t.Keys); err != nil {
			return nil, err
		}
		p.seen = t.Seen
	}
	q.order, p.offset = nil, 0
	out := &Explanation{AsOf: q.asOf()}
	if q.mark.Sequence == 0 && q.mark.Extra == "" {
		return out, nil
	}
	sel := q.selection()
	sel.Order = ByStart
	q.narrow(&sel, e.Row)
	if len(p.after) == 4 {
		k := p.after
		sel.Resume = &aggregate.Position{Start: k[0].Micros(), Source: k[1].Str(), ID: k[2].Str(), Tenant: k[3].Str()}
	}
	row := new(recordRow)
	more := false
	err = q.scanLinked(ctx, sel, func(s *Stored, l link) error {
		if s.isVoid() {
			return nil
		}
		ok, err := q.recordAdmits(s, row)
		if err != nil || !ok {
			return err
		}
		for i, g := range q.groups {
			if !filter.Equal(g.of(s), e.Row.Cells[i]) {
				return nil
			}
		}
		if len(out.Records) == p.size {
			more = true
			return errStop
		}
		x := q.explain(s, l)
		if x.Counted && !q.measured(s.Meter) {
			x.Counted, x.Why, x.Detail = false, WhyMeasure, "every measure of the query is of another meter"
		}
		out.Records = append(out.Records, x)
		return nil
	})
	if err != nil || !more {
		return out, err
	}
	last, err := q.recordItem(&out.Records[len(out.Records)-1].Stored, nil)
	if err != nil {
		return nil, err
	}
	t := paginate.Token{Binding: binding, Mark: q.mark.Sequence, Extra: q.mark.Extra, Seen: p.seen + int64(len(out.Records)), Keys: cursor(last.keys)}
	out.Next, err = b.tokens.Seal(t)
	return out, err
}

// narrow limits a selection to the window of a row, within the query's range.
func (q *query) narrow(sel *Selection, row *Row) {
	if q.src.Window.Unit == aggregate.None {
		return
	}
	if sel.From.IsZero() || sel.From.Before(row.Start) {
		sel.From = row.Start
	}
	if sel.To.IsZero() || sel.To.After(row.End) {
		sel.To = row.End
	}
}

// rowBinding binds the tokens of an explanation to its row.
func (q *query) rowBinding(row *Row) paginate.Binding {
	bound := q.binding()
	key := appendKeyText(nil, string(bound.Query[:]))
	for i := range q.groups {
		key = appendValueKey(key, row.Cells[i])
	}
	if q.src.Window.Unit != aggregate.None {
		key = appendKeyText(key, strconv.FormatInt(row.Start.UnixMicro(), 10))
	}
	bound.Query = paginate.Digest("explain", string(key))
	return bound
}
