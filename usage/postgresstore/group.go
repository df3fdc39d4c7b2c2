package postgresstore

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// Group adds up records by group and window; see [usage.Grouper]. The database
// groups, cuts time and adds up, in one statement, and all that comes back is
// held until it is yielded.
//
// Where the groups look at dimensions, the series of the tenants and meters in
// question are remembered, up to some ten thousand, and the database is told
// which of them are wanted and which of them belong together. Beyond that it
// groups by series.
func (s *Store) Group(ctx context.Context, read usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	return func(yield func(*usage.GroupRow, error) bool) {
		err := s.group(ctx, &read, func(row *usage.GroupRow) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(row, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(nil, fault("group", err))
		}
	}
}

func (s *Store) group(ctx context.Context, read *usage.GroupRead, give func(*usage.GroupRow) error) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	if read.Group == nil || read.Selection.Class != usage.Plain || read.Selection.Identities != nil {
		return fmt.Errorf("%w: it needs a Group function, class Plain and no identities", usage.ErrInvalid)
	}
	q, err := s.query(ctx, &read.Selection)
	if err != nil {
		return err
	}
	if q.empty || !q.mark.starts {
		return s.confirm(ctx, read.Confirm)
	}
	g := grouping{query: q, ctx: ctx, read: read}
	g.alone = g.byPair() && len(q.tenants) == 1 && len(q.meters) == 1
	g.windows = newWindows(read.Window, max(q.from, q.mark.first), min(q.to, q.mark.last+1))
	if read.Dimensions == nil || len(read.Dimensions) > 0 {
		if g.catalog, err = s.catalog(ctx, q, read.Confirm != nil); err != nil {
			return err
		}
	}
	if done, err := g.few(give); done || err != nil {
		return err
	}
	for {
		again, err := g.run(give)
		if err != nil || !again {
			return err
		}
	}
}

// grouping is a Group under way.
type grouping struct {
	*query
	ctx     context.Context
	read    *usage.GroupRead
	windows windows
	catalog *catalog // nil: by pair, or by series
	alone   bool     // all is of one tenant and meter
	// kinds are what the series of the catalog belong to: series of one kind
	// are in the same group of each class. kind[i] is that of the i-th
	// series, -1 where none is wanted; groups[k] are the groups of kind k by class.
	kind   []int64
	groups [][]int
}

// byPair reports whether the groups look at tenant and meter alone.
func (g *grouping) byPair() bool { return g.read.Dimensions != nil && len(g.read.Dimensions) == 0 }

// sumRow is a row of the answer.
type sumRow struct {
	kind, code, verdict, shape int64
	window, records            int64
	values                     []aggregate.Summary
}

// run asks the database and gives the answer out. It reports true when the answer
// had a shape of values that nobody had thought of, and nothing was given out.
func (g *grouping) run(give func(*usage.GroupRow) error) (again bool, err error) {
	byPair := g.byPair()
	every := make([]bool, len(g.read.Values)) // all records have the value
	if g.catalog != nil {
		if err := g.decide(); err != nil {
			return false, err
		}
	}
	var b builder
	b.Grow(1024)
	code := "r.series"
	if byPair {
		code = "r.pair"
	}
	if g.alone {
		code = "" // there is but one
	}
	kind := ""
	complete := g.catalog.complete(&g.mark)
	switch {
	case complete && len(g.groups) == 0:
		return false, g.confirm(g.ctx, g.read.Confirm)
	case complete && len(g.groups) == 1:
		code = "" // there is one kind, and no other series
	case complete:
		kind, code = "m.kind", ""
	case g.catalog != nil:
		kind = "coalesce(m.kind, -1)"
		code = "CASE WHEN m.kind IS NULL THEN r.series ELSE 0 END"
	}
	shapes, err := g.allShapes(g.ctx)
	if err != nil {
		return false, err
	}
	shape := ""
	if len(g.read.Values) > 0 && shapes != nil {
		shape = "r.shape" // to see when there are others by now
	}
	// What there is no need to tell apart is no column.
	var keys, out []string
	var row sumRow
	var places []*int64
	for _, k := range []struct {
		column string
		place  *int64
	}{{g.windows.column(&b), &row.window}, {kind, &row.kind}, {code, &row.code}, {"r.verdict", &row.verdict}, {shape, &row.shape}} {
		if k.column != "" {
			out, places = append(out, k.column), append(places, k.place)
			keys = append(keys, strconv.Itoa(len(out)))
		}
	}
	out, places = append(out, "count(*)"), append(places, &row.records)
	for i, name := range g.read.Values {
		v := g.valueOf(&b, name, shapes)
		asked := g.read.FiguresOf(i)
		if every[i] = v == everyValue; !every[i] {
			out = append(out, "count("+v+")") // else there are as many as records
		}
		for _, f := range figures {
			if asked&f.figure != 0 {
				out = append(out, f.name+"("+v+")")
			}
		}
	}
	b.add("SELECT ", strings.Join(out, ", "))
	b.add(" FROM ", g.schema, ".records r")
	interval := g.lo > 0 || g.hi < int64(g.mark.mark)
	confirm := g.read.Confirm
	if interval || booked(g.read.Where) {
		b.add(" JOIN ", g.schema, ".batches b ON b.id = r.batch")
	}
	var pairs []int64 // nil: those in scope
	if g.alone {
		if pairs, err = g.pairsAtHand(g.ctx, g.query, confirm != nil); err != nil {
			return false, err
		}
		if pairs != nil && len(pairs) == 0 {
			return false, g.confirm(g.ctx, confirm)
		}
	}
	switch {
	case complete:
		var ids, kinds array
		pairs = g.wantedPairs()
		for i := range g.catalog.pairs {
			if k := g.kind[i]; k >= 0 {
				ids.int(g.catalog.ids[i])
				kinds.int(k)
			}
		}
		b.add(" JOIN unnest(", b.arg(ids.String()), "::bigint[], ", b.arg(kinds.String()), "::bigint[]) m(series, kind) ON m.series = r.series")
	case g.catalog != nil:
		b.add(" LEFT JOIN unnest(", b.arg(g.catalog.array), "::bigint[], ", b.arg(ints(g.kind)), "::bigint[]) m(series, kind) ON m.series = r.series")
	}
	b.add(" WHERE true")
	g.events(&b, pairs)
	switch {
	case interval:
		g.settledPart(&b, g.lo, g.hi)
	case confirm == nil || confirm.Mark.Sequence != uint64(g.mark.mark):
		g.upToMark(&b)
	default:
		// Where the book is in that state there is nothing above the mark.
	}
	if g.linked {
		g.uncorrected(&b)
	}
	if err := g.filter(&b); err != nil {
		return false, err
	}
	if g.catalog != nil && !complete {
		b.add(" AND (m.kind IS NULL OR m.kind >= 0)")
	}
	if confirm != nil {
		b.add(" AND ")
		g.confirmed(&b, confirm)
	}
	b.add(" GROUP BY ", strings.Join(keys, ", "))

	space := sumSpaces.Get().(*sumSpace)
	defer space.free()
	rows, values := space.rows, space.values
	unknown := false
	if len(pairs) > fewPairs || g.catalog != nil && len(g.catalog.ids) > fewPairs {
		// A plan that is made for any list takes it for a short one, and would go
		// from the index to most of the table, or through the list for each record:
		// plan this time.
		b.args = append([]any{pgx.QueryExecModeCacheDescribe}, b.args...)
	}
	err = g.Store.read(g.ctx, b.String(), b.args, func(c [][]byte) error {
		for i, p := range places {
			*p = integer(c[i])
		}
		c = c[len(places):]
		r := row
		if !g.windows.whole {
			var err error
			if r.window, err = g.windows.start(r.window); err != nil {
				return err
			}
		}
		unknown = unknown || shape != "" && !knowsShape(shapes, r.shape)
		if cap(values)-len(values) < len(g.read.Values) {
			values = make([]aggregate.Summary, 0, max(min(4096, 2*cap(values)), len(g.read.Values)))
		}
		from := len(values)
		for i := range g.read.Values {
			var v aggregate.Summary
			var err error
			if every[i] {
				v.Count = r.records
			} else {
				v.Count, c = integer(c[0]), c[1:]
			}
			if c, err = summary(c, g.read.FiguresOf(i), &v); err != nil {
				return err
			}
			values = append(values, v)
		}
		r.values = values[from:]
		rows = append(rows, r)
		return nil
	})
	space.rows, space.values = rows, values
	if err != nil {
		return false, err
	}
	if len(rows) == 0 {
		// There are no records, or the book is in another state.
		return false, g.confirm(g.ctx, g.read.Confirm)
	}
	if unknown {
		g.names.shapesNow.Store(nil)
		return true, nil
	}
	return g.give(rows, give)
}

// filter writes the condition on records.
func (g *grouping) filter(b *builder) error {
	if g.read.Where == nil {
		return nil
	}
	where, ok := g.where(g.read.Where, len(b.args))
	if !ok || where.Residual != nil {
		return fmt.Errorf("%w: the database cannot decide the condition %s", usage.ErrInvalid, g.read.Where)
	}
	b.add(" AND (", where.SQL, ")")
	b.args = append(b.args, where.Args...)
	return nil
}

// sumSpace is room for an answer, which nobody keeps.
type sumSpace struct {
	rows   []sumRow
	values []aggregate.Summary // the last piece of it
}

var sumSpaces = sync.Pool{New: func() any {
	return &sumSpace{make([]sumRow, 0, 32), make([]aggregate.Summary, 0, 32)}
}}

// mostSpace is how many rows room is kept for.
const mostSpace = 4096

func (s *sumSpace) free() {
	if cap(s.rows) > mostSpace || cap(s.values) > mostSpace {
		return
	}
	clear(s.rows)
	clear(s.values)
	s.rows, s.values = s.rows[:0], s.values[:0]
	sumSpaces.Put(s)
}

// figures are in the order in which a statement returns them.
var figures = []struct {
	figure usage.Figures
	name   string
}{{usage.FigureSum, "sum"}, {usage.FigureMin, "min"}, {usage.FigureMax, "max"}}

// summary reads the figures of a value but its count, and returns what comes behind.
func summary(c [][]byte, asked usage.Figures, v *aggregate.Summary) (rest [][]byte, err error) {
	for _, f := range figures {
		if asked&f.figure == 0 {
			continue
		}
		if c[0] != nil {
			switch f.figure {
			case usage.FigureSum:
				v.Sum, err = sum(c[0])
			case usage.FigureMin:
				v.Min, err = number(c[0])
			case usage.FigureMax:
				v.Max, err = number(c[0])
			}
			if err != nil {
				return nil, err
			}
		}
		c = c[1:]
	}
	return c, nil
}

// give yields rows by their groups.
func (g *grouping) give(rows []sumRow, give func(*usage.GroupRow) error) (again bool, err error) {
	in := pgxSession{g.pool}
	var codes []int64
	var verdictIDs []int64
	for i := range rows {
		// Neighbours are mostly of one series and verdict.
		if code := rows[i].code; (g.catalog == nil && !g.alone || rows[i].kind < 0) && (len(codes) == 0 || codes[len(codes)-1] != code) {
			codes = append(codes, code)
		}
		if v := rows[i].verdict; i == 0 || verdictIDs[len(verdictIDs)-1] != v {
			verdictIDs = append(verdictIDs, v)
		}
	}
	verdicts, err := g.resolveVerdicts(g.ctx, in, verdictIDs)
	if err != nil {
		return false, err
	}
	var series map[int64]*usage.Series
	if g.alone {
		series = map[int64]*usage.Series{0: {Tenant: g.tenants[0], Meter: g.meters[0]}}
	} else if g.byPair() {
		series, err = g.resolvePairs(g.ctx, in, codes)
	} else {
		series, err = g.resolveSeries(g.ctx, in, codes)
	}
	if err != nil {
		return false, err
	}
	if g.catalog != nil && len(codes) > 0 {
		g.Store.extend(g.query, g.catalog, series)
	}
	type asked struct {
		code  int64
		class usage.VerdictClass
	}
	groups := map[asked]int{}
	var out usage.GroupRow
	last, class := int64(-1), usage.VerdictClass(0)
	var lastAt asked
	lastGroup := -1
	for i := range rows {
		r := &rows[i]
		if r.verdict != last || i == 0 {
			last, class = r.verdict, verdicts[r.verdict].Class()
		}
		group := -1
		if g.catalog != nil && r.kind >= 0 {
			if int(class) >= len(allClasses) {
				return false, damaged("a verdict of class %d", class)
			}
			group = g.groups[r.kind][class]
		} else if at := (asked{r.code, class}); at == lastAt && i > 0 {
			group = lastGroup
		} else {
			var ok bool
			if group, ok = groups[at]; !ok {
				group = g.read.Group(series[r.code], class)
				groups[at] = group
			}
			lastAt, lastGroup = at, group
		}
		if group < 0 {
			continue
		}
		out = usage.GroupRow{Group: group, Window: r.window, Records: r.records, Values: r.values, Read: r.records}
		if err := give(&out); err != nil {
			return false, err
		}
	}
	return false, nil
}

// mostPairs is how many pairs a statement is told. Beyond that it goes by the
// tenants and meters.
const mostPairs = 2000

// fewPairs is how many pairs are about what the planner expects of a list that it
// does not see.
const fewPairs = 16

// wantedPairs returns the pairs of the series that are wanted; nil where there are
// too many.
func (g *grouping) wantedPairs() []int64 {
	seen := map[int64]bool{}
	out := []int64{}
	for i, pair := range g.catalog.pairs {
		if g.kind[i] >= 0 && !seen[pair] {
			if len(out) == mostPairs {
				return nil
			}
			seen[pair] = true
			out = append(out, pair)
		}
	}
	return out
}

// decide asks Group about the series of the catalog, for all classes of verdicts.
func (g *grouping) decide() error {
	g.kind, g.groups = make([]int64, len(g.catalog.series)), nil
	kinds := map[string]int64{}
	var key []byte
	for i, s := range g.catalog.series {
		if i%1024 == 0 {
			if err := g.ctx.Err(); err != nil {
				return err
			}
		}
		groups := make([]int, len(allClasses))
		key = key[:0]
		wanted := false
		for k, c := range allClasses {
			if k > 0 && g.read.IgnoresClass {
				groups[k] = groups[0]
			} else {
				groups[k] = max(g.read.Group(s, c), -1)
			}
			wanted = wanted || groups[k] >= 0
			if k == 0 || !g.read.IgnoresClass {
				key = append(strconv.AppendInt(key, int64(groups[k]), 10), ' ')
			}
		}
		if !wanted {
			g.kind[i] = -1
			continue
		}
		n, ok := kinds[string(key)]
		if !ok {
			n = int64(len(g.groups))
			kinds[string(key)] = n
			g.groups = append(g.groups, groups)
		}
		g.kind[i] = n
	}
	return nil
}

// upToMark writes the condition that a record is among those up to the mark,
// without a look at its batch: it is when its batch is none of those with a
// higher id, and none that was settled later all the same.
func (q *query) upToMark(b *builder) {
	m := &q.mark
	most := b.arg(m.most)
	// Not r.batch alone: nearly all records meet it, and an index is of no use.
	b.add(" AND r.batch + 0 <= ", most, " AND r.batch + 0 <> ALL(ARRAY(SELECT id FROM ", q.schema, ".batches WHERE late AND through > ", b.arg(m.through), " AND id <= ", most, "))")
	if !m.whole() {
		b.add(" AND (r.batch <> ", b.arg(m.batch), " OR r.ord <= ", b.arg(m.ord()), ")")
	}
}

// uncorrected writes the condition that no correction up to the mark is about a
// record, and that it is none itself.
func (q *query) uncorrected(b *builder) {
	b.add(" AND r.kind IS NULL AND NOT EXISTS (SELECT FROM ", q.schema, ".corrections x JOIN ", q.schema, ".batches xb ON xb.id = x.batch",
		" WHERE x.target_batch = r.batch AND x.target_ord = r.ord AND xb.base + x.ord <= ", b.arg(int64(q.mark.mark)), ")")
}
