package postgresstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// The rows of one statement: few at first, for who wants no more, then many.
const (
	firstPage = 500
	mostPage  = 16_000
)

// errStopped ends a scan whose consumer wants no more.
var errStopped = errors.New("stopped")

// Scan yields records; see [usage.Store] for the rules. It reads some hundred
// records in one statement, then thousands in each, and holds no connection
// while it yields.
func (s *Store) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		q, err := s.query(ctx, &sel)
		if err == nil {
			r := reader{query: q, ctx: ctx, yield: yield}
			err = r.run()
		}
		if err != nil && err != errStopped {
			yield(nil, fault("scan", err))
		}
	}
}

// reader is a scan under way.
type reader struct {
	*query
	ctx   context.Context
	yield func(*usage.Stored, error) bool
	// keeps remembers what Selection.Series said of each series.
	keeps map[int64]bool
	// unwanted are the series known not to be wanted, as an array.
	unwanted string
}

func (r *reader) run() error {
	class := r.sel.Class
	switch {
	case r.empty:
		return nil
	case (class == usage.Chained || class == usage.Corrections) && !r.linkedHere:
		return nil
	case r.sel.Identities != nil:
		return r.identities()
	case class == usage.Chained || class == usage.Corrections:
		return r.chain()
	case r.sel.Order == usage.ByStart:
		if err := r.decide(); err != nil {
			return err
		}
		return r.byStart()
	case r.sel.Order == usage.BySequence || r.lo > 0 || r.tenants == nil && r.meters == nil && r.from == math.MinInt64 && r.to == math.MaxInt64:
		return r.bySequence()
	}
	if err := r.decide(); err != nil {
		return err
	}
	return r.byPair()
}

// decide asks Selection.Series about the series of the tenants and meters in
// question, as far as they are known, so that the records of those that are not
// wanted stay in the database.
func (r *reader) decide() error {
	if r.sel.Series == nil || r.tenants == nil && r.meters == nil {
		return nil
	}
	c, err := r.catalog(r.ctx, r.query, false)
	if err != nil || c == nil {
		return err
	}
	var list array
	r.keeps = make(map[int64]bool, len(c.series))
	for id, s := range c.all() {
		keep := r.sel.Series(s)
		if r.keeps[id] = keep; !keep {
			list.int(id)
		}
	}
	if len(list.b) > 0 {
		r.unwanted = list.String()
	}
	return nil
}

// wanted writes the condition that a record is of no series that is known not to
// be wanted.
func (r *reader) wanted(b *builder) {
	if r.unwanted != "" {
		b.add(" AND NOT EXISTS (SELECT FROM unnest(", b.arg(r.unwanted), "::bigint[]) m(id) WHERE m.id = r.series)")
	}
}

// row is a record as it was read.
type row struct {
	usage.Stored
	pair, series, shape, verdict, start int64
	numbers                             []aggregate.Number
}

func (r *row) position() aggregate.Position {
	return aggregate.Position{Start: r.start, Source: r.Source, ID: r.ID, Tenant: r.Tenant}
}

// columns are what scanRow reads.
func (q *query) columns() string {
	const own = `b.base + r.ord, b.recorded, r.pair, r.series, r.start, r."end", r.shape, r.verdict, r.kind, r.tenant, r.source, r.id, r.value, r.more`
	if !q.linked {
		return own
	}
	return own + ", c.target_source, c.target_id, y.at, y.kind, y.source, y.id"
}

// joins follow records r and their batches b where corrections matter: c is what
// the record corrects, and y what corrects it as of the mark.
func (q *query) joins(b *builder) {
	if !q.linked {
		return
	}
	b.add(q.text(` LEFT JOIN {s}.corrections c ON r.kind IS NOT NULL AND c.batch = r.batch AND c.ord = r.ord
	LEFT JOIN (SELECT x.target_batch, x.target_ord, xb.base + x.ord AS at, x.kind, x.source, x.id
		FROM {s}.corrections x JOIN {s}.batches xb ON xb.id = x.batch WHERE xb.base + x.ord <= `), b.arg(int64(q.mark.mark)),
		") y ON y.target_batch = r.batch AND y.target_ord = r.ord")
}

// class writes the condition on the part that corrections play.
func (q *query) class(b *builder) {
	switch {
	case q.sel.Class == usage.Plain && q.linked:
		b.add(" AND r.kind IS NULL AND y.at IS NULL")
	case q.sel.Class == usage.Chained:
		b.add(" AND (r.kind IS NOT NULL OR y.at IS NOT NULL)")
	case q.sel.Class == usage.Corrections:
		b.add(" AND r.kind IS NOT NULL")
	}
}

func scanRow(c [][]byte, linked bool) (*row, error) {
	r := &row{pair: integer(c[2]), series: integer(c[3]), start: integer(c[4]), shape: integer(c[6]), verdict: integer(c[7])}
	r.Sequence, r.Recorded = uint64(integer(c[0])), time.UnixMicro(integer(c[1])).UTC()
	if r.start != voidStart {
		r.Start = time.UnixMicro(r.start).UTC()
	}
	if c[5] != nil {
		r.End = time.UnixMicro(integer(c[5])).UTC()
	}
	r.Tenant, r.Source, r.ID = string(c[9]), string(c[10]), string(c[11])
	if c[12] != nil {
		n, err := number(c[12])
		if err != nil {
			return nil, err
		}
		r.numbers = []aggregate.Number{n}
	}
	if c[13] != nil {
		err := elements(c[13], func(e []byte) error {
			n, err := number(e)
			r.numbers = append(r.numbers, n)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if !linked {
		return r, nil
	}
	if c[8] != nil && c[14] != nil {
		r.Corrects = &usage.Correction{Kind: usage.CorrectionKind(binary.BigEndian.Uint16(c[8])), Source: string(c[14]), ID: string(c[15])}
	}
	if c[16] != nil {
		r.CorrectedBy = &usage.CorrectedBy{Sequence: uint64(integer(c[16])), Kind: usage.CorrectionKind(binary.BigEndian.Uint16(c[17])), Source: string(c[18]), ID: string(c[19])}
	}
	return r, nil
}

// rows runs a query for records.
func (r *reader) rows(b *builder) ([]*row, error) {
	var out []*row
	err := r.read(r.ctx, b.String(), b.args, func(c [][]byte) error {
		x, err := scanRow(c, r.linked)
		out = append(out, x)
		return err
	})
	return out, err
}

// give yields rows, leaving out those of series that are not wanted. No
// connection is held.
func (r *reader) give(rows []*row) error {
	if len(rows) == 0 {
		return r.ctx.Err()
	}
	in := pgxSession{r.pool}
	ids := make([]int64, len(rows))
	for i, x := range rows {
		ids[i] = x.series
	}
	series, err := r.resolveSeries(r.ctx, in, ids)
	if err != nil {
		return err
	}
	for i, x := range rows {
		ids[i] = x.shape
	}
	shapes, err := r.resolveShapes(r.ctx, in, ids)
	if err != nil {
		return err
	}
	for i, x := range rows {
		ids[i] = x.verdict
	}
	verdicts, err := r.resolveVerdicts(r.ctx, in, ids)
	if err != nil {
		return err
	}
	for _, x := range rows {
		s := series[x.series]
		if r.sel.Series != nil {
			keep, asked := r.keeps[x.series]
			if !asked {
				if r.keeps == nil {
					r.keeps = map[int64]bool{}
				}
				keep = r.sel.Series(s)
				r.keeps[x.series] = keep
			}
			if !keep {
				continue
			}
		}
		names := shapes[x.shape]
		if len(names) != len(x.numbers) {
			return damaged("a record has %d values and %d names for them", len(x.numbers), len(names))
		}
		if len(names) > 0 {
			list := make([]usage.Value, len(names))
			for i, name := range names {
				list[i] = usage.Value{Name: name, Number: x.numbers[i]}
			}
			x.Values = usage.NewValues(list...)
		}
		x.Meter, x.Dimensions, x.Verdict = s.Meter, s.Dimensions, verdicts[x.verdict]
		// Every record: a consumer that cancels wants no further one.
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if !r.yield(&x.Stored, nil) {
			return errStopped
		}
	}
	return nil
}

// order sorts rows that are all there.
func (r *reader) order(rows []*row) {
	switch r.sel.Order {
	case usage.ByStart:
		slices.SortFunc(rows, func(a, b *row) int { return a.position().Compare(b.position()) })
	case usage.BySequence:
		slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.Sequence, b.Sequence) })
	}
}

// identities reads exactly these.
func (r *reader) identities() error {
	ids := slices.Clone(r.sel.Identities)
	slices.SortFunc(ids, func(a, b usage.Identity) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID))
	})
	ids = slices.DeleteFunc(slices.Compact(ids), func(id usage.Identity) bool {
		// What the database cannot write is booked under no identity.
		return !r.sel.Scope.Holds(id.Tenant) || !quotable(id.Tenant) || !quotable(id.Source) || !quotable(id.ID)
	})
	var all []*row
	for part := range slices.Chunk(ids, mostPage) {
		var b builder
		b.add("SELECT ", r.columns(), " FROM unnest(")
		for i, a := range identityArrays(part) {
			if i > 0 {
				b.add(", ")
			}
			b.add(b.arg(a), "::text[]")
		}
		b.add(r.text(") u(tenant, source, id) CROSS JOIN LATERAL (SELECT * FROM {s}.records r WHERE r.tenant = u.tenant AND r.source = u.source AND r.id = u.id LIMIT 1) r JOIN {s}.batches b ON b.id = r.batch"))
		r.joins(&b)
		b.add(" WHERE true")
		r.conditions(&b)
		rows, err := r.rows(&b)
		if err != nil {
			return err
		}
		if r.sel.Order == usage.Unordered {
			if err := r.give(rows); err != nil {
				return err
			}
			continue
		}
		all = append(all, rows...)
	}
	r.order(all)
	return r.give(all)
}

// conditions writes all conditions of the selection but its identities.
func (r *reader) conditions(b *builder) {
	r.events(b, nil)
	r.settledPart(b, r.lo, r.hi)
	r.class(b)
	r.hint(b)
	r.resume(b, r.sel.Resume)
}

func (r *reader) resume(b *builder, p *aggregate.Position) {
	if p == nil || r.sel.Order != usage.ByStart {
		return
	}
	// The first condition is one that an index serves.
	start := b.arg(p.Start)
	b.add(" AND r.start >= ", start, " AND (r.start, r.source, r.id, r.tenant) > (", start, "::bigint, ", b.arg(p.Source), "::text, ", b.arg(p.ID), "::text, ", b.arg(p.Tenant), "::text)")
}

// chain reads corrections and what they are about, which are found by them.
func (r *reader) chain() error {
	var after *row
	for page := firstPage; ; page = min(4*page, mostPage) {
		var b builder
		b.add("SELECT ", r.columns(), " FROM (")
		part := func(source, id string) {
			b.add("SELECT k.tenant, k.", source, " AS source, k.", id, " AS id FROM ", r.schema, ".corrections k JOIN ", r.schema, ".batches kb ON kb.id = k.batch WHERE kb.base + k.ord <= ", b.arg(int64(r.mark.mark)))
			if r.tenants != nil {
				b.add(" AND ", b.among("k.tenant", r.tenants))
			}
			if r.sel.Class == usage.Corrections && r.lo > 0 {
				// The correction is the record that is wanted, and lies behind lo itself.
				at := b.arg(r.lo)
				b.add(" AND kb.base >= coalesce((SELECT base FROM ", r.schema, ".batches WHERE base <= ", at, " ORDER BY base DESC LIMIT 1), 0) AND kb.base + k.ord > ", at)
			}
		}
		part("source", "id")
		if r.sel.Class == usage.Chained {
			b.add(" UNION ")
			part("target_source", "target_id")
		}
		// One look-up of the index for each: with outdated statistics a join goes
		// through all corrections of a tenant for each of its records.
		b.add(r.text(") k CROSS JOIN LATERAL (SELECT * FROM {s}.records r WHERE r.tenant = k.tenant AND r.source = k.source AND r.id = k.id LIMIT 1) r JOIN {s}.batches b ON b.id = r.batch"))
		r.joins(&b)
		b.add(" WHERE true")
		r.conditions(&b)
		switch r.sel.Order {
		case usage.ByStart:
			if after != nil {
				p := after.position()
				r.resume(&b, &p)
			}
			b.add(" ORDER BY r.start, r.source, r.id, r.tenant")
		case usage.BySequence:
			if after != nil {
				b.add(" AND b.base + r.ord > ", b.arg(int64(after.Sequence)))
			}
			b.add(" ORDER BY b.base + r.ord")
		default:
			if after != nil {
				b.add(" AND (r.tenant, r.source, r.id) > (", b.arg(after.Tenant), "::text, ", b.arg(after.Source), "::text, ", b.arg(after.ID), "::text)")
			}
			b.add(" ORDER BY r.tenant, r.source, r.id")
		}
		b.add(" LIMIT ", b.arg(page))
		rows, err := r.rows(&b)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			after = rows[len(rows)-1]
		}
		if err := r.give(rows); err != nil || len(rows) < page {
			return err
		}
	}
}

// bySequence reads one stretch of sequences after the other: they have hardly a
// gap, so a stretch is about as many records.
func (r *reader) bySequence() error {
	page := int64(firstPage)
	for lo := r.lo; lo < r.hi; page = min(4*page, mostPage) {
		hi := min(lo+page, r.hi)
		var b builder
		b.add("SELECT ", r.columns(), r.text(" FROM {s}.batches b JOIN {s}.records r ON r.batch = b.id"))
		r.joins(&b)
		b.add(" WHERE true")
		r.events(&b, nil)
		r.settledPart(&b, lo, hi)
		r.class(&b)
		r.hint(&b)
		rows, err := r.rows(&b)
		if err != nil {
			return err
		}
		r.order(rows)
		if err := r.give(rows); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// byStart reads in the order of event time: the first page by itself, and from
// there on stretches of time that should hold as many records as a statement is
// to give.
func (r *reader) byStart() error {
	q := *r.query
	after := r.sel.Resume
	if after != nil {
		q.from = max(q.from, after.Start)
	}
	first, end := q.from, q.to
	if r.mark.starts {
		first, end = r.mark.first, min(end, r.mark.last+1)
	}
	var stretch int64 // 0: to the end
	for page := firstPage; ; {
		q.to = r.to
		// Between the voids, which come first, and the first start there is nothing.
		if from := max(q.from, first); stretch > 0 && from < end-stretch {
			q.to = from + stretch
		}
		var b builder
		b.add("SELECT ", r.columns(), r.text(" FROM {s}.records r JOIN {s}.batches b ON b.id = r.batch"))
		r.joins(&b)
		b.add(" WHERE true")
		q.events(&b, nil)
		r.settledPart(&b, r.lo, r.hi)
		r.class(&b)
		r.wanted(&b)
		r.hint(&b)
		r.resume(&b, after)
		b.add(" ORDER BY r.start, r.source, r.id, r.tenant LIMIT ", b.arg(page))
		rows, err := r.rows(&b)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			p := rows[len(rows)-1].position()
			after = &p
		}
		if err := r.give(rows); err != nil {
			return err
		}
		full := len(rows) == page
		if !full && q.to >= r.to {
			return nil
		}
		took := int64(1)
		if len(rows) > 1 {
			took = max(1, rows[len(rows)-1].start-max(rows[0].start, voidStart+1))
		}
		if full {
			q.from = after.Start
		} else {
			q.from = q.to
		}
		page = min(4*page, mostPage)
		// Half a page is wanted, so that a stretch seldom has more than a page.
		switch {
		case full:
			stretch = stretchOf(took, int64(page/2), int64(len(rows)))
		case len(rows) < page/4:
			stretch = stretchOf(max(stretch, 1), 4, 1)
		}
	}
}

// stretchOf returns took * want / rows, of all time at most.
func stretchOf(took, want, rows int64) int64 {
	const most = math.MaxInt64 / 4
	if took > most/want {
		return most
	}
	return max(1, took*want/rows)
}

// byPair reads a selection that tenants, meters or a range narrow: at once where
// it is small, else some pairs at a time.
func (r *reader) byPair() error {
	rows, err := r.ofPairs(nil, 2*firstPage, nil)
	if err != nil {
		return err
	}
	if len(rows) <= 2*firstPage {
		return r.give(rows)
	}
	var b builder
	sql := r.pairsWanted(&b)
	if sql == "" {
		sql = "SELECT id FROM " + r.schema + ".pairs"
	}
	var pairs []int64
	if err := r.read(r.ctx, sql, b.args, func(c [][]byte) error { pairs = append(pairs, integer(c[0])); return nil }); err != nil {
		return err
	}
	slices.Sort(pairs)
	for n := 8; len(pairs) > 0; {
		n = min(n, len(pairs))
		rows, err := r.ofPairs(pairs[:n], mostPage, nil)
		switch {
		case err != nil:
			return err
		case len(rows) <= mostPage:
			if err := r.give(rows); err != nil {
				return err
			}
			pairs = pairs[n:]
			if len(rows) < mostPage/4 {
				n *= 4
			}
		case n > 1:
			n = max(1, n/4)
		default:
			if err := r.ofPair(pairs[0]); err != nil {
				return err
			}
			pairs = pairs[1:]
		}
	}
	return nil
}

// ofPair reads the records of one pair, in the order of its index.
func (r *reader) ofPair(pair int64) error {
	var after *row
	for {
		rows, err := r.ofPairs([]int64{pair}, mostPage, func(b *builder) {
			if after != nil {
				b.add(" AND r.start >= ", b.arg(after.start), " AND (r.start, b.base + r.ord) > (", b.arg(after.start), "::bigint, ", b.arg(int64(after.Sequence)), "::bigint)")
			}
			b.add(" ORDER BY r.start, b.base + r.ord")
		})
		if err != nil {
			return err
		}
		more := len(rows) > mostPage
		if more {
			rows = rows[:mostPage]
			after = rows[mostPage-1]
		}
		if err := r.give(rows); err != nil || !more {
			return err
		}
	}
}

// ofPairs reads at most one record more than limit.
func (r *reader) ofPairs(pairs []int64, limit int, order func(*builder)) ([]*row, error) {
	var b builder
	b.add("SELECT ", r.columns(), r.text(" FROM {s}.records r JOIN {s}.batches b ON b.id = r.batch"))
	r.joins(&b)
	b.add(" WHERE true")
	r.events(&b, pairs)
	r.settledPart(&b, r.lo, r.hi)
	r.class(&b)
	r.wanted(&b)
	r.hint(&b)
	if order != nil {
		order(&b)
	}
	b.add(" LIMIT ", b.arg(limit+1))
	return r.rows(&b)
}
