package postgresstore

import (
	"strconv"
	"strings"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// Few records are added up here: sorting, grouping and counting takes the database
// longer than sending them.
const (
	// mostExpected is how many records a question is expected to be about so that they
	// are asked for themselves, and mostFew how many may come until the database is
	// asked to add them up after all.
	mostExpected = 64
	mostFew      = 256
	// mostDense is how many tenants' meters are remembered that had more.
	mostDense = 1000
)

// few answers what is probably about few records, of one tenant and meter of a book at
// rest. It reports false, and nothing was given out, where it was about more.
func (g *grouping) few(give func(*usage.GroupRow) error) (done bool, err error) {
	confirm := g.read.Confirm
	if confirm == nil || confirm.Mark.Sequence != g.mark.mark || !g.alone || g.lo > 0 || g.hi < int64(g.mark.mark) || booked(g.read.Where) {
		return false, nil
	}
	pairs, err := g.pairsAtHand(g.ctx, g.query, true)
	if err != nil || len(pairs) != 1 || !g.expectsFew() {
		return false, err
	}
	key := pairKey(g.tenants[0], g.meters[0])
	if _, dense := g.dense.Get(key); dense {
		return false, nil
	}
	shapes, err := g.allShapes(g.ctx)
	if err != nil || shapes == nil {
		return false, err
	}
	var b builder
	b.Grow(512)
	out := []string{"r.start", "r.verdict", "r.shape"}
	for _, name := range g.read.Values {
		out = append(out, g.valueOf(&b, name, shapes))
	}
	b.add("SELECT ", strings.Join(out, ", "), " FROM ", g.schema, ".records r WHERE true")
	g.events(&b, pairs)
	if g.linked {
		g.uncorrected(&b)
	}
	if err := g.filter(&b); err != nil {
		return false, err
	}
	b.add(" AND ")
	g.confirmed(&b, confirm)
	b.add(" LIMIT " + strconv.Itoa(mostFew+1))

	space := sumSpaces.Get().(*sumSpace)
	defer space.free()
	rows, values := space.rows, space.values
	n, unknown := 0, false
	err = g.Store.read(g.ctx, b.String(), b.args, func(c [][]byte) error {
		r := sumRow{verdict: integer(c[1])}
		if !g.windows.whole {
			r.window, _ = g.windows.exact.Locate(integer(c[0]))
		}
		unknown = unknown || !knowsShape(shapes, integer(c[2]))
		n++
		if k := len(rows); k == 0 || rows[k-1].verdict != r.verdict || rows[k-1].window != r.window {
			// They come in the order of time, or in no order: another row for the same
			// window does no harm.
			if cap(values)-len(values) < len(g.read.Values) {
				values = make([]aggregate.Summary, 0, max(2*cap(values), len(g.read.Values)))
			}
			from := len(values)
			values = values[:from+len(g.read.Values)]
			clear(values[from:])
			r.values = values[from:]
			rows = append(rows, r)
		}
		sums := &rows[len(rows)-1]
		sums.records++
		for i, cell := range c[3:] {
			if cell == nil {
				continue
			}
			v, err := number(cell)
			if err != nil {
				return err
			}
			sums.values[i].Add(v)
		}
		return nil
	})
	space.rows, space.values = rows, values
	switch {
	case err != nil:
		return false, err
	case n == 0:
		return true, g.confirm(g.ctx, confirm)
	case n > mostFew:
		g.dense.Put(key, struct{}{})
		return false, nil
	case unknown:
		g.names.shapesNow.Store(nil)
		return false, nil
	}
	again, err := g.give(rows, give)
	return !again, err
}

// expectsFew reports whether the range of the question holds few records of a tenant's
// meter, if records were spread evenly.
func (g *grouping) expectsFew() bool {
	known := g.names.pairsKnown.Load()
	if known == nil || len(known.ids) == 0 {
		return false
	}
	seconds := func(from, to int64) int64 { return max(1, (to-from)/1_000_000) }
	each := g.mark.mark / uint64(len(known.ids))
	all := seconds(g.mark.first, g.mark.last)
	asked := min(all, seconds(max(g.from, g.mark.first), min(g.to, g.mark.last)))
	// each × asked / all, without leaving 64 bits: ranges are below 2^39 seconds.
	return each <= mostExpected || each < 1<<24 && int64(each)*asked/all <= mostExpected
}
