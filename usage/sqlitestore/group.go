package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// Group adds up records by group and window; see [usage.Grouper]. It reads the
// rows of each wanted tenant and meter, which lie together in the order of time,
// and adds up in Go: exactly, and faster than SQLite's own GROUP BY would.
func (s *Store) Group(ctx context.Context, read usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	return func(yield func(*usage.GroupRow, error) bool) {
		err := s.group(ctx, &read, func(r *usage.GroupRow) bool { return yield(r, nil) })
		if err != nil && err != errStopped {
			yield(nil, fault("group", err))
		}
	}
}

func (s *Store) group(ctx context.Context, read *usage.GroupRead, yield func(*usage.GroupRow) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if read.Group == nil || read.Selection.Class != usage.Plain || read.Selection.Identities != nil {
		return fmt.Errorf("%w: it needs a Group function, class Plain and no identities", usage.ErrInvalid)
	}
	q, err := s.query(ctx, &read.Selection)
	if err != nil || q.none() {
		return err
	}
	g := &grouping{query: q, ctx: ctx, read: read, locator: read.Window.Locator(), single: read.Window.Unit == aggregate.None, tally: s.newTally(len(read.Values))}
	if read.Where != nil {
		if !s.Filters(read.Where) {
			return fmt.Errorf("%w: the condition %s is not about values and the start alone", usage.ErrInvalid, read.Where)
		}
		g.sieve = newSieve(read.Where)
	}
	for i, name := range read.Values {
		if first := slices.Index(read.Values, name); first < i {
			if g.again == nil {
				g.again = make(map[int]int)
			}
			g.again[i] = first
		}
	}
	r := reader{query: q}
	if r.narrow() && len(q.pairs) > 1 {
		err = g.bySequence(yield)
	} else {
		err = g.byPair(yield)
	}
	if err == nil {
		err = g.give(yield)
	}
	g.clear()
	s.tallies.Put(g.tally)
	return err
}

// mostFigures is about the number of figures that are kept before they are given
// out and begun anew, so that a read of very many groups does not hold them all
// here and in the book too.
const mostFigures = 1 << 17

// heldFor is about how long a connection is held at a time.
const heldFor = 50 * time.Millisecond

// checkEvery is the number of rows between two looks at the context.
const checkEvery = 1024

// grouping is a Group under way.
type grouping struct {
	*query
	ctx     context.Context
	read    *usage.GroupRead
	locator aggregate.Locator
	single  bool   // one window
	sieve   *sieve // nil without a condition

	// What was asked already, by codes. groups has a table for each class.
	groups  [8][]int32
	pair    int64     // the one at hand
	pairAs  [8]int32  // its groups, where dimensions don't matter
	classes []int8    // by code of the verdict, -1 unknown
	shapes  [][]int32 // by code of the shape: the first place in read.Values of each value, or -1

	*tally
	again    map[int]int // places of read.Values with a name that stands before
	examined int64
}

const (
	unwanted = -1
	unasked  = 0 // groups are kept one higher
)

// full reports whether what was added up is to be given out.
func (g *grouping) full() bool { return len(g.rows)*(g.values+1) >= mostFigures }

// give yields what was added up.
func (g *grouping) give(yield func(*usage.GroupRow) bool) error {
	row := usage.GroupRow{Values: make([]aggregate.Summary, g.values)}
	for i := range g.rows {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		r := &g.rows[i]
		row.Group, row.Window, row.Records = int(r.group), r.window, r.records
		copy(row.Values, g.figures(i))
		for k, first := range g.again {
			row.Values[k] = row.Values[first]
		}
		row.Read, g.examined = g.examined, 0
		if !yield(&row) {
			return errStopped
		}
	}
	g.clear()
	return nil
}

func (g *grouping) byPair(yield func(*usage.GroupRow) bool) error {
	for at := 0; at < len(g.pairs); {
		err := g.s.pool.read(g.ctx, func(c *conn) error {
			for end := time.Now().Add(heldFor); at < len(g.pairs) && !g.full(); at++ {
				if err := g.records(c, g.pairs[at]); err != nil {
					return err
				}
				if time.Now().After(end) {
					at++
					break
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if g.full() {
			if err := g.give(yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// records adds up the records of a pair.
func (g *grouping) records(c *conn, p *pair) error {
	var chained map[int64]bool
	if g.chained[p.code] {
		rs, err := c.query(g.ctx, "SELECT "+chainColumns+" FROM usagebook_chained WHERE pair = ? AND start >= ? AND start < ? AND since <= ?", p.code, g.from, g.to, g.mark)
		if err != nil {
			return err
		}
		chained = make(map[int64]bool)
		for rs.next() {
			chained[readChain(rs, 0).seq] = true
		}
		if err := rs.close(); err != nil {
			return err
		}
	}
	const statement = "SELECT start, seq, data FROM usagebook_records WHERE pair = ? AND start >= ? AND start < ?"
	var rs *rows
	var err error
	if g.lo == 0 {
		// Nearly all are wanted: looking at the sequence here costs less.
		rs, err = c.query(g.ctx, statement, p.code, g.from, g.to)
	} else {
		rs, err = c.query(g.ctx, statement+" AND seq > ?", p.code, g.from, g.to, g.lo)
	}
	if err != nil {
		return err
	}
	defer rs.close() // should Group panic
	for n := 0; rs.next(); n++ {
		if n%checkEvery == checkEvery-1 {
			if err := g.ctx.Err(); err != nil {
				return err
			}
		}
		at := place{p.code, rs.int(0), rs.int(1)}
		if at.seq > g.hi || chained != nil && chained[at.seq] {
			continue
		}
		if err := g.add(c, p, at, rs.blob(2)); err != nil {
			return err
		}
	}
	return rs.close()
}

func (g *grouping) bySequence(yield func(*usage.GroupRow) bool) error {
	for next := g.lo + 1; next <= g.hi; {
		err := g.s.pool.read(g.ctx, func(c *conn) error {
			for end := time.Now().Add(heldFor); next <= g.hi && !g.full() && time.Now().Before(end); {
				if err := g.ctx.Err(); err != nil {
					return err
				}
				places, last, err := g.places(c, next, mostRows)
				if err != nil {
					return err
				}
				for _, at := range places {
					if err := g.record(c, at); err != nil {
						return err
					}
				}
				next = last + 1
			}
			return nil
		})
		if err != nil {
			return err
		}
		if g.full() {
			if err := g.give(yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// record adds up the record at a place.
func (g *grouping) record(c *conn, at place) error {
	if g.chained[at.pair] {
		h, found, err := findChain(g.ctx, c, at)
		if err != nil || found && h.since <= g.mark {
			return err
		}
	}
	var data []byte
	found, err := c.one(g.ctx, "SELECT data FROM usagebook_records WHERE pair = ? AND start = ? AND seq = ?", []driver.Value{at.pair, at.start, at.seq}, func(r *rows) { data = r.blob(0) })
	if err != nil {
		return err
	}
	if !found {
		return damaged("record %d is not where it was written", at.seq)
	}
	return g.add(c, g.pairOf(at.pair), at, data)
}

// add adds a record up.
func (g *grouping) add(c *conn, p *pair, at place, data []byte) error {
	w, err := parseContent(data, at)
	if err != nil {
		return err
	}
	g.examined++
	class, err := g.classOf(c, w.verdict)
	if err != nil {
		return err
	}
	group, err := g.groupOf(c, p, w.series, class)
	if err != nil || group < 0 {
		return err
	}
	if g.sieve != nil {
		if ok, err := g.sieve.takes(g, c, at, w.shape, w.values); err != nil || !ok {
			return err
		}
	}
	window := int64(0)
	if !g.single {
		window, _ = g.locator.Locate(at.start)
	}
	i := g.at(group, window)
	g.rows[i].records++
	values := g.figures(i)
	shape, err := g.shapeOf(c, w.shape)
	if err != nil {
		return err
	}
	for _, k := range shape {
		coef, scale, wide, small := w.values.number()
		switch {
		case k < 0:
		case !small:
			values[k].Add(wide)
		case g.again == nil && g.read.FiguresOf(int(k)) == usage.FigureSum:
			values[k].Count++
			values[k].Sum.AddFixed(coef, scale)
		default:
			values[k].AddFixed(coef, scale)
		}
	}
	if w.values.bad || len(w.values.data) > 0 {
		return damaged("the values of record %d are of an unknown form", at.seq)
	}
	return nil
}

// grow makes room for a code in a list.
func grow[T any](list []T, code int64) []T {
	if code < int64(len(list)) {
		return list
	}
	return append(list, make([]T, max(code+1-int64(len(list)), int64(len(list)), 64))...)
}

func (g *grouping) classOf(c *conn, code int64) (usage.VerdictClass, error) {
	g.classes = grow(g.classes, code)
	if k := g.classes[code]; k != 0 {
		return usage.VerdictClass(k - 1), nil
	}
	v, err := g.s.names.verdictOf(g.ctx, c, code)
	if err != nil {
		return 0, err
	}
	class := v.Class()
	if int(class) >= len(g.groups) {
		return 0, unknownForm(verdictName, code)
	}
	g.classes[code] = int8(class) + 1
	return class, nil
}

func (g *grouping) groupOf(c *conn, p *pair, series int64, class usage.VerdictClass) (int32, error) {
	if g.read.Dimensions != nil && len(g.read.Dimensions) == 0 {
		// All series of a pair have the same answer.
		if g.pair != p.code {
			g.pair, g.pairAs = p.code, [8]int32{}
		}
		of := &g.pairAs[class]
		if *of == unasked {
			*of = g.ask(&usage.Series{Tenant: p.tenant, Meter: p.meter}, class)
		}
		return answer(*of), nil
	}
	of := grow(g.groups[class], series)
	g.groups[class] = of
	if of[series] == unasked {
		s, err := g.s.names.seriesOf(g.ctx, c, series)
		if err != nil {
			return 0, err
		}
		of[series] = g.ask(s, class)
	}
	return answer(of[series]), nil
}

// ask asks for a group and returns it in the form that it is kept in.
func (g *grouping) ask(s *usage.Series, class usage.VerdictClass) int32 {
	n := g.read.Group(s, class)
	if n < 0 {
		return unwanted
	}
	return int32(n) + 1
}

func answer(kept int32) int32 {
	if kept == unwanted {
		return unwanted
	}
	return kept - 1
}

func (g *grouping) shapeOf(c *conn, code int64) ([]int32, error) {
	g.shapes = grow(g.shapes, code)
	if s := g.shapes[code]; s != nil {
		return s, nil
	}
	names, err := g.s.names.shapeOf(g.ctx, c, code)
	if err != nil {
		return nil, err
	}
	s := make([]int32, len(names))
	for i, name := range names {
		s[i] = int32(slices.Index(g.read.Values, name))
	}
	g.shapes[code] = s
	return s, nil
}
