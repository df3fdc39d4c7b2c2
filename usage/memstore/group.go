package memstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/usagebook/usagebook/usage"
)

// unasked is the group of a series that GroupRead.Group was not asked about
// yet; unwanted and below are those that it does not want.
const (
	unwanted = -1
	unasked  = -2
)

// mostFigures is about the number of figures that a worker keeps before it
// hands them out and begins anew, so that a read of very many groups does not
// hold them all here and in the book too. (Tests take fewer.)
const mostFigures = 1 << 18

// rowsAlone is how many rows, about, one goroutine has added up by the time that
// another has been woken and has handed over what it has.
const rowsAlone = 1 << 13

// Group adds up records by group and window; see [usage.Grouper]. It reads a
// snapshot taken when the iteration begins, with as many goroutines as
// GOMAXPROCS allows; none is left when it ends.
func (s *Store) Group(ctx context.Context, read usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	return func(yield func(*usage.GroupRow, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		if read.Group == nil || read.Selection.Class != usage.Plain || read.Selection.Identities != nil {
			yield(nil, fmt.Errorf("memstore: group: %w: it needs a Group function, class Plain and no identities", usage.ErrInvalid))
			return
		}
		q, err := s.query(&read.Selection)
		if err != nil {
			yield(nil, err)
			return
		}
		g := grouping{query: q, ctx: ctx, read: &read}
		if read.Where != nil {
			if g.sieve = newSieve(read.Where, q.lists.values); g.sieve == nil {
				yield(nil, fmt.Errorf("memstore: group: %w: Where has a field that no record has", usage.ErrInvalid))
				return
			}
		}
		if err := g.run(yield); err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

// grouping is a Group under way.
type grouping struct {
	*query
	ctx    context.Context
	read   *usage.GroupRead
	values []uint32 // numbers of the names; noValue where no record has it
	groups int      // group numbers are below it
	// lazy: groups are asked for when a row needs one, by the only worker.
	lazy  bool
	asked *asked      // where one answer serves several meters
	sieve *sieve      // what Where says; nil without one
	stop  atomic.Bool // the consumer wants no more
}

const noValue = 1<<32 - 1

// errStopped ends a grouping whose consumer wants no more.
var errStopped = errors.New("stopped")

func (g *grouping) run(yield func(*usage.GroupRow, error) bool) error {
	g.values = make([]uint32, len(g.read.Values))
	for i, name := range g.read.Values {
		g.values[i] = noValue
		for code, n := range g.lists.values {
			if n == name {
				g.values[i] = uint32(code)
			}
		}
	}
	ranges := g.ranges()
	rows, series := 0, 0
	for i := range ranges {
		rows += ranges[i].hi - ranges[i].lo
	}
	for i := range g.wants {
		series += len(g.wants[i].series)
	}
	if g.lazy = rows < series; !g.lazy {
		if err := g.ask(); err != nil {
			return err
		}
	}
	if len(ranges) == 0 || len(g.wants) == 0 {
		return nil
	}
	workers := min(runtime.GOMAXPROCS(0), len(ranges))
	if rows/len(g.pairsOf)*len(g.wants) < rowsAlone {
		workers = 1
	}
	give := func(w *worker) (err error) {
		w.sums.yield(&w.windows, g.read, func(row *usage.GroupRow) bool {
			if err = g.ctx.Err(); err == nil && !yield(row, nil) {
				err = errStopped
			}
			return err == nil
		})
		g.store.reuse(w.sums)
		return err
	}
	if g.lazy || workers == 1 {
		w := g.worker()
		for i := range ranges {
			err := w.part(&ranges[i], func() error {
				err := give(w)
				w.renew()
				return err
			})
			if err != nil {
				return err
			}
		}
		return give(w)
	}
	return g.parallel(ranges, workers, give)
}

// parallel gives each worker part after part. Rows are yielded here alone.
func (g *grouping) parallel(ranges []partRange, workers int, give func(*worker) error) error {
	var (
		next    atomic.Int64
		wait    sync.WaitGroup
		results = make(chan *worker)
		failed  atomic.Pointer[error]
	)
	for range workers {
		wait.Go(func() {
			w := g.worker()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(ranges) || g.stop.Load() || failed.Load() != nil {
					break
				}
				err := w.part(&ranges[i], func() error {
					results <- &worker{sums: w.sums, windows: w.windows}
					w.renew()
					return nil
				})
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
			}
			results <- w
		})
	}
	go func() {
		wait.Wait()
		close(results)
	}()
	// Whatever happens in the consumer, no worker may be left waiting.
	defer func() {
		g.stop.Store(true)
		for range results {
		}
	}()
	for w := range results {
		if failed.Load() != nil {
			break
		}
		if err := give(w); err != nil {
			return err
		}
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// ask finds the groups of all wanted series, in this goroutine, and drops the
// pairs of which none is wanted.
func (g *grouping) ask() error {
	series := 0
	for i := range g.wants {
		w := &g.wants[i]
		w.groups = make([]int32, len(w.series)*len(g.classes))
		series += len(w.series)
	}
	switch {
	case g.read.Dimensions != nil && len(g.read.Dimensions) == 0:
		// All series of a tenant and meter have the same answer.
		for i := range g.wants {
			w := &g.wants[i]
			if w.void || len(w.series) == 0 {
				continue
			}
			for class := range g.classes {
				n := g.groupOf(w.series[0], class)
				of := w.groups[class*len(w.series):][:len(w.series)]
				for local := range of {
					of[local] = n
				}
			}
		}
	case series > len(g.placeOf)/2:
		// Most of them: in the order in which they stand in memory.
		for code, at := range g.placeOf {
			if w := g.wanted(at.pair); w != nil {
				if err := g.askOne(w, at.local, code); err != nil {
					return err
				}
			}
		}
	default:
		for i := range g.wants {
			w := &g.wants[i]
			for local, code := range w.series {
				if err := g.askOne(w, uint32(local), int(code)); err != nil {
					return err
				}
			}
		}
	}
	kept := g.wants[:0]
	for i := range g.wants {
		w := g.wants[i]
		if g.wantOf != nil {
			g.wantOf[w.pair] = -1
		}
		if w.void {
			continue
		}
		if w.group = w.groups[0]; slices.ContainsFunc(w.groups, func(n int32) bool { return n != w.group }) {
			w.group = unasked
		}
		if w.group != unwanted {
			if g.wantOf != nil {
				g.wantOf[w.pair] = int32(len(kept))
			}
			kept = append(kept, w)
		}
	}
	g.wants = kept
	return nil
}

// askOne asks for the groups of a series.
func (g *grouping) askOne(w *want, local uint32, code int) error {
	if w.void {
		return nil
	}
	if code%checkEvery == 0 {
		if err := g.ctx.Err(); err != nil {
			return err
		}
	}
	for class := range g.classes {
		w.groups[class*len(w.series)+int(local)] = g.groupOf(uint32(code), class)
	}
	return nil
}

func (g *grouping) groupOf(series uint32, class int) int32 {
	if !g.read.AnyMeter {
		return g.groupAsked(series, class)
	}
	if g.asked == nil {
		g.asked = new(asked)
	}
	at := &g.placeOf[series]
	k := seriesKey{pair: g.pairsOf[at.pair].tenant, cut: g.asked.cut(g.read, at.labels, len(g.labels.where)), class: uint32(class)}
	if k.cut == 0 {
		d := g.labels.at(at.labels, !g.full)
		k.cut = g.asked.number(g.read, at.labels, &d)
	}
	memo := g.asked.groups.find(k)
	if memo.group == unasked {
		memo.group = g.groupAsked(series, class)
	}
	return memo.group
}

func (g *grouping) groupAsked(series uint32, class int) int32 {
	n := int32(max(g.read.Group(g.seriesAt(series), g.classes[class]), unwanted))
	g.groups = max(g.groups, int(n)+1)
	return n
}

// group returns the group of a series, asking for it when nobody did.
func (g *grouping) group(w *want, local uint32, class uint8) int32 {
	if w.void {
		return unwanted
	}
	if w.groups == nil {
		g.forget(w)
	}
	p := &w.groups[int(class)*len(w.series)+int(local)]
	if *p == unasked {
		*p = g.groupOf(w.series[local], int(class))
	}
	return *p
}

// forget notes that nothing was asked about the series of a pair.
func (g *grouping) forget(w *want) {
	w.groups = make([]int32, len(w.series)*len(g.classes))
	for i := range w.groups {
		w.groups[i] = unasked
	}
}

// worker adds up one part after the other.
type worker struct {
	*grouping
	windows windows
	sums    *sums
	columns []*column
	sifter  *sifter          // nil without a sieve
	numbers [blockRows]int64 // scratch
}

// blockRows is the number of elements that are unpacked at a time.
const blockRows = 512

func (g *grouping) worker() *worker {
	w := &worker{grouping: g, columns: make([]*column, len(g.values))}
	if g.sieve != nil {
		w.sifter = newSifter(g.query, g.sieve)
	}
	w.renew()
	return w
}

// renew begins anew with empty sums.
func (w *worker) renew() {
	groups := w.groups
	if w.lazy {
		groups = denseGroups + 1 // how many there are shows in the end: take the sparse table
	}
	w.sums, w.windows = w.store.newSums(len(w.values), groups), newWindows(w.read.Window)
}

// part adds up a part. full is called when the figures are to be handed out.
func (w *worker) part(p *partRange, full func() error) error {
	if err := w.alive(full); err != nil {
		return err
	}
	if p.head != nil {
		return w.partHead(p, full)
	}
	g := p.segment
	for i, name := range w.values {
		w.columns[i] = nil
		if name != noValue {
			w.columns[i] = g.column(name)
		}
	}
	if w.sifter != nil {
		w.sifter.segment(g, p.base)
	}
	// The class of verdict is the same all over nearly every segment.
	class := int16(-1)
	if g.verdict.width == 0 {
		class = int16(w.classOf[g.verdict.base])
	}
	var err error
	steps := 0
	w.runs(g, func(_ int, t *want, from, to int) bool {
		if t.void {
			return true
		}
		if steps += to - from; steps >= checkEvery {
			steps = 0
			if err = w.alive(full); err != nil {
				return false
			}
		}
		w.sums.read += int64(to - from)
		if t.group >= 0 && p.whole && p.chained == nil && w.sifter == nil {
			w.block(g, t.group, from, to)
			return true
		}
		err = w.rows(p, t, class, from, to, full)
		return err == nil
	})
	return err
}

// alive returns an error when the work is to end, and hands figures out when
// there are many.
func (w *worker) alive(full func() error) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.stop.Load() {
		return errStopped
	}
	if len(w.sums.figures)+len(w.sums.group) > w.store.figures {
		return full()
	}
	return nil
}

// block adds up a run that is wholly wanted and of one group.
func (w *worker) block(g *segment, group int32, from, to int) {
	for from < to {
		window, end := int32(0), to
		if !w.windows.single {
			var until int64
			window, until = w.windows.find(g.start.at(from))
			if g.start.at(to-1) >= until {
				end = g.start.search(from+1, to, until)
			}
		}
		at := w.sums.at(group, window)
		w.sums.records[at] += int64(end - from)
		for i, c := range w.columns {
			if c != nil {
				w.column(c, at*w.sums.values+i, c.presence.rank(from, c.elements()), c.presence.rank(end, c.elements()))
			}
		}
		from = end
	}
}

// column adds up elements [from, to) of a column.
func (w *worker) column(c *column, figureAt, from, to int) {
	if !c.uniform() {
		for i := from; i < to; i++ {
			w.one(c, figureAt, i)
		}
		return
	}
	for from < to {
		n := min(to-from, blockRows, c.blocks)
		block := w.numbers[:n]
		c.coef.read(block, from)
		sum, least, most := int64(0), block[0], block[0]
		for _, v := range block {
			sum += v
			least, most = min(least, v), max(most, v)
		}
		w.sums.addBlock(figureAt, int64(n), sum, least, most, c.scale)
		from += n
	}
}

// one adds up one element of a column.
func (w *worker) one(c *column, figureAt, i int) {
	if coef, scale, ok := c.small(i); ok {
		w.sums.addBlock(figureAt, 1, coef, coef, coef, scale)
		return
	}
	w.sums.addNumber(figureAt, c.wide[uint32(i)])
}

// rows adds up a run row by row. class is that of all its rows, or -1.
func (w *worker) rows(p *partRange, t *want, class int16, from, to int, full func() error) error {
	g := p.segment
	check := !p.whole || p.chained != nil
	if t.groups == nil {
		w.forget(t)
	}
	groups := t.groups
	if class >= 0 {
		groups = groups[int(class)*len(t.series):]
	}
	for from < to {
		n := min(to-from, blockRows)
		g.local.read(w.numbers[:n], from)
		if w.sifter != nil {
			w.sifter.block(from, n)
		}
		window, until := int32(0), int64(math.MinInt64)
		for i, local := range w.numbers[:n] {
			at, k := from+i, class
			if k < 0 {
				k = int16(w.classOf[g.verdict.at(at)])
				local += int64(k) * int64(len(t.series))
			}
			group := groups[local]
			if group < 0 {
				// Most rows of a narrow query end here.
				if group == unasked {
					group = w.group(t, uint32(w.numbers[i]), uint8(k))
				}
				if group < 0 {
					continue
				}
			}
			if check && !w.takes(p, int(g.row.at(at))) {
				continue
			}
			if w.sifter != nil {
				if ok, err := w.sifter.takes(i, at, t); err != nil {
					return err
				} else if !ok {
					continue
				}
			}
			if !w.windows.single {
				if start := g.start.at(at); start >= until {
					window, until = w.windows.find(start)
				}
			}
			place := w.sums.at(group, window)
			w.sums.records[place]++
			for v, c := range w.columns {
				if c == nil {
					continue
				}
				if e, ok := c.presence.index(at); ok {
					w.one(c, place*w.sums.values+v, e)
				}
			}
		}
		from += n
		if to > from {
			if err := w.alive(full); err != nil {
				return err
			}
		}
	}
	return nil
}

// partHead adds up the rows of a head.
func (w *worker) partHead(p *partRange, full func() error) error {
	h := p.head
	for row := p.lo; row < p.hi; row++ {
		if row%checkEvery == 0 {
			if err := w.alive(full); err != nil {
				return err
			}
		}
		k := w.place(h.pair[row])
		if k < 0 || h.start[row] < w.from || h.start[row] >= w.to || !w.takes(p, row) {
			continue
		}
		w.sums.read++
		t := &w.wants[k]
		group := w.group(t, h.local[row], w.classOf[h.verdict[row]])
		if group < 0 {
			continue
		}
		if w.sifter != nil {
			if ok, err := w.sifter.takesHead(p, row, t); err != nil {
				return err
			} else if !ok {
				continue
			}
		}
		window := int32(0)
		if !w.windows.single {
			window, _ = w.windows.find(h.start[row])
		}
		place := w.sums.at(group, window)
		w.sums.records[place]++
		cells := h.valuesOf(row)
		for i := range cells {
			c := &cells[i]
			for v, name := range w.values {
				if name != c.name {
					continue
				}
				if at := place*w.sums.values + v; c.wide {
					w.sums.addNumber(at, h.wide[c.coef])
				} else {
					w.sums.addBlock(at, 1, c.coef, c.coef, c.coef, c.scale)
				}
			}
		}
	}
	return nil
}
