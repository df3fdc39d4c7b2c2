package usage

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/filter"
)

// applyRun is one evaluation of a pipeline.
type applyRun struct {
	a   *apply
	ctx context.Context
	// held is what is in memory: groups, distinct values, rows that wait.
	held   int
	pushed uint
	// counting: the rows of the pages before are counted too.
	counting bool

	reads   []read
	raw     []string // why no rollup could serve
	counted int64
}

func (r *applyRun) hold(n int) error {
	if r.held += n; r.held > r.a.q.book.opts.MaxGroups {
		return fmt.Errorf("query: apply: %w: more than %d groups, distinct values and rows to hold; group by fewer fields, use a narrower filter or fewer transformations that need all rows",
			ErrTooLarge, r.a.q.book.opts.MaxGroups)
	}
	return nil
}

func (r *applyRun) release(n int) { r.held -= n }

// weight is what a row counts for while it is held: one, unless it has more cells
// than a row of a Query can have.
func (r *applyRow) weight() int { return 1 + len(r.cells)/(maxGroupFields+maxMeasures+1) }

// tick looks at the context now and then: rows that are pushed from memory pass
// no store that would.
func (r *applyRun) tick() error {
	if r.pushed++; r.pushed%1024 == 0 {
		return r.ctx.Err()
	}
	return nil
}

// applySink is where rows go: a transformation in progress, or the end of all.
// The rows are valid during push only.
type applySink interface {
	// push takes a row. errStop says that no further row is wanted; finish is
	// called all the same.
	push(r *applyRow) error
	// finish, called once, pushes what waited for the last row, and finishes
	// what comes next.
	finish() error
}

// chain returns the sink of stages that end in next.
func (r *applyRun) chain(stages []applyStage, next applySink) applySink {
	for i := len(stages) - 1; i >= 0; i-- {
		s := &stages[i]
		switch s.src.Kind {
		case "filter":
			next = &filterSink{s: s, next: next}
		case "compute":
			next = &computeSink{s: s, next: next}
		case "groupby", "aggregate":
			next = newGroupSink(r, s, next)
		case "top":
			next = &topSink{left: s.src.N, next: next}
		case "skip":
			next = &skipSink{left: s.src.N, next: next}
		case "concat":
			next = newConcatSink(r, s, next)
		case "orderby":
			next = &orderSink{kept: keptRows{run: r, desc: s.desc, most: wanted(stages[i+1:])}, s: s, next: next}
		case "topcount", "bottomcount":
			next = &orderSink{kept: keptRows{run: r, desc: s.desc, most: whole(s.src.Amount)}, s: s, restore: true, next: next}
		default:
			next = &rankSink{kept: keptRows{run: r, desc: s.desc, most: -1}, s: s, next: next}
		}
	}
	return next
}

// most is a number of rows that no run can hold.
const manyRows = 1 << 40

// wanted is how many of the first rows stages look at; negative: any number.
func wanted(stages []applyStage) int {
	n := int64(0)
	for _, s := range stages {
		switch s.src.Kind {
		case "skip":
			n += min(s.src.N, manyRows)
		case "top":
			return int(min(n+min(s.src.N, manyRows), manyRows))
		default:
			return -1
		}
	}
	return -1
}

func whole(v filter.Value) int {
	if d := v.Decimal(); d.Cmp(decimal.NewFromInt(manyRows)) < 0 {
		return int(d.IntPart())
	}
	return manyRows
}

type filterSink struct {
	s    *applyStage
	next applySink
}

func (f *filterSink) push(r *applyRow) error {
	ok, err := f.s.exprs[0].match(r)
	if !ok || err != nil {
		return err
	}
	return f.next.push(r)
}

func (f *filterSink) finish() error { return f.next.finish() }

type computeSink struct {
	s    *applyStage
	next applySink
	row  applyRow
}

func (c *computeSink) push(r *applyRow) error {
	c.row.record = r.record
	c.row.cells = append(c.row.cells[:0], r.cells...)
	for i := range c.s.exprs {
		v, err := c.s.exprs[i].eval(r)
		if err != nil {
			return err
		}
		c.row.cells = append(c.row.cells, v)
	}
	return c.next.push(&c.row)
}

func (c *computeSink) finish() error { return c.next.finish() }

type topSink struct {
	left int64
	next applySink
}

func (t *topSink) push(r *applyRow) error {
	if t.left == 0 {
		return errStop
	}
	t.left--
	if err := t.next.push(r); err != nil || t.left > 0 {
		return err
	}
	return errStop
}

func (t *topSink) finish() error { return t.next.finish() }

type skipSink struct {
	left int64
	next applySink
}

func (s *skipSink) push(r *applyRow) error {
	if s.left > 0 {
		s.left--
		return nil
	}
	return s.next.push(r)
}

func (s *skipSink) finish() error { return s.next.finish() }

// bufferSink keeps rows until it is drained.
type bufferSink struct {
	run  *applyRun
	rows []applyRow
}

func (b *bufferSink) push(r *applyRow) error {
	if err := b.run.hold(r.weight()); err != nil {
		return err
	}
	b.rows = append(b.rows, r.clone())
	return nil
}

func (b *bufferSink) finish() error { return nil }

// drain gives the rows away and lets them go.
func (b *bufferSink) drain(push func(*applyRow) error) error {
	rows := b.rows
	if len(rows) == 0 {
		return nil
	}
	b.rows = nil
	held := len(rows) * rows[0].weight() // rows of one place have the same cells
	defer func() { b.run.release(held) }()
	for i := range rows {
		if err := b.run.tick(); err != nil {
			return err
		}
		if err := push(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// concatSink gives each row to every branch. What the first one makes goes on at
// once, what the others make waits for it.
type concatSink struct {
	s        *applyStage
	next     applySink
	branches []applySink
	full     []bool // branches that want no more
	first    *branchSink
	rest     []*bufferSink
}

func newConcatSink(run *applyRun, s *applyStage, next applySink) *concatSink {
	c := &concatSink{s: s, next: next, full: make([]bool, len(s.branches)), first: &branchSink{slots: s.slots[0], next: next}}
	for i, stages := range s.branches {
		if i == 0 {
			c.branches = append(c.branches, run.chain(stages, c.first))
			continue
		}
		b := &bufferSink{run: run}
		c.rest = append(c.rest, b)
		c.branches = append(c.branches, run.chain(stages, b))
	}
	return c
}

func (c *concatSink) push(r *applyRow) error {
	open := false
	for i, b := range c.branches {
		if c.full[i] {
			continue
		}
		switch err := b.push(r); err {
		case nil:
			open = true
		case errStop:
			c.full[i] = true
		default:
			return err
		}
	}
	if c.first.full || !open {
		return errStop
	}
	return nil
}

func (c *concatSink) finish() error {
	for i, b := range c.branches {
		if err := b.finish(); err != nil {
			return err
		}
		if i == 0 || c.first.full {
			continue
		}
		out := &branchSink{slots: c.s.slots[i], next: c.next}
		err := c.rest[i-1].drain(out.push)
		if err != nil && err != errStop {
			return err
		}
		c.first.full = out.full
	}
	return c.next.finish()
}

// branchSink lays the rows of a branch out as those of the concat, whose next
// sink it does not finish.
type branchSink struct {
	slots []applySlot
	next  applySink
	full  bool // next wants no more
	row   applyRow
}

func (b *branchSink) push(r *applyRow) error {
	b.row.record = r.record
	b.row.cells = b.row.cells[:0]
	for _, s := range b.slots {
		b.row.cells = append(b.row.cells, r.at(s))
	}
	err := b.next.push(&b.row)
	if err == errStop {
		b.full = true
	}
	return err
}

func (b *branchSink) finish() error { return nil }

// keptRow is a row with the keys that order it and its place before.
type keptRow struct {
	keys []filter.Value
	at   int64
	row  applyRow
}

// keptRows keeps the first rows of an order: a heap whose top is the last one of
// them, once it is full.
type keptRows struct {
	run  *applyRun
	desc []bool
	most int // negative: all
	rows []keptRow
	at   int64
}

func (k *keptRows) compare(a, b *keptRow) int {
	if c := compareKeys(a.keys, b.keys, k.desc); c != 0 {
		return c
	}
	return cmp.Compare(a.at, b.at)
}

// compareKeys orders keys, each in its direction; those without one ascend.
func compareKeys(a, b []filter.Value, desc []bool) int {
	for i := range a {
		if i == len(b) {
			return 1
		}
		if c := filter.Compare(a[i], b[i]); c != 0 {
			if i < len(desc) && desc[i] {
				return -c
			}
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func (k *keptRows) Len() int           { return len(k.rows) }
func (k *keptRows) Less(i, j int) bool { return k.compare(&k.rows[i], &k.rows[j]) > 0 }
func (k *keptRows) Swap(i, j int)      { k.rows[i], k.rows[j] = k.rows[j], k.rows[i] }
func (k *keptRows) Push(x any)         { k.rows = append(k.rows, x.(keptRow)) }
func (k *keptRows) Pop() any {
	last := len(k.rows) - 1
	x := k.rows[last]
	k.rows = k.rows[:last]
	return x
}

// add takes a row in if it is among the first. keys and row are cloned.
func (k *keptRows) add(keys []filter.Value, r *applyRow) error {
	x := keptRow{keys: keys, at: k.at, row: *r}
	k.at++
	switch {
	case k.most < 0 || len(k.rows) < k.most:
		if err := k.run.hold(r.weight()); err != nil {
			return err
		}
		x.keys, x.row = slices.Clone(keys), r.clone()
		k.rows = append(k.rows, x)
		if len(k.rows) == k.most {
			heap.Init(k)
		}
	case k.most > 0 && k.compare(&x, &k.rows[0]) < 0:
		x.keys, x.row = slices.Clone(keys), r.clone()
		k.rows[0] = x
		heap.Fix(k, 0)
	}
	return nil
}

func (k *keptRows) sort() {
	slices.SortFunc(k.rows, func(a, b keptRow) int { return k.compare(&a, &b) })
}

// restore puts rows back into the order in which they came.
func restore(rows []keptRow) {
	slices.SortFunc(rows, func(a, b keptRow) int { return cmp.Compare(a.at, b.at) })
}

// give pushes rows, and lets go of all that were kept.
func (k *keptRows) give(rows []keptRow, next applySink) error {
	held := 0
	if len(k.rows) > 0 {
		held = len(k.rows) * k.rows[0].row.weight()
	}
	k.rows = nil
	for i := range rows {
		if err := k.run.tick(); err != nil {
			return err
		}
		if err := next.push(&rows[i].row); err == errStop {
			break
		} else if err != nil {
			return err
		}
		rows[i] = keptRow{}
	}
	k.run.release(held)
	return next.finish()
}

// orderSink is orderby and, with restore, topcount and bottomcount.
type orderSink struct {
	kept    keptRows
	s       *applyStage
	restore bool
	next    applySink
	keys    []filter.Value
}

func (o *orderSink) push(r *applyRow) error {
	if o.kept.most == 0 {
		return errStop
	}
	var err error
	if o.keys, err = evalKeys(o.keys[:0], o.s.exprs, r); err != nil {
		return err
	}
	return o.kept.add(o.keys, r)
}

func evalKeys(to []filter.Value, exprs []applyExpr, r *applyRow) ([]filter.Value, error) {
	for i := range exprs {
		v, err := exprs[i].eval(r)
		if err != nil {
			return to, err
		}
		to = append(to, v)
	}
	return to, nil
}

func (o *orderSink) finish() error {
	if o.restore {
		restore(o.kept.rows)
	} else {
		o.kept.sort()
	}
	return o.kept.give(o.kept.rows, o.next)
}

// rankSink is topsum, toppercent, bottomsum and bottompercent: the rows from the
// greatest or least on, until what they add up to is enough.
type rankSink struct {
	kept  keptRows
	s     *applyStage
	next  applySink
	total applyTally
	keys  []filter.Value
}

func (k *rankSink) push(r *applyRow) error {
	var err error
	if k.keys, err = evalKeys(k.keys[:0], k.s.exprs, r); err != nil {
		return err
	}
	if !k.keys[0].IsNull() {
		k.total.addNumber(k.keys[0])
	}
	return k.kept.add(k.keys, r)
}

func (k *rankSink) finish() error {
	k.kept.sort()
	enough := k.enough()
	var sum applyTally
	n := 0
	for n < len(k.kept.rows) && !enough(sum.total()) {
		if v := k.kept.rows[n].keys[0]; !v.IsNull() {
			sum.addNumber(v)
		}
		n++
	}
	rows := k.kept.rows[:n]
	restore(rows)
	return k.kept.give(rows, k.next)
}

func (k *rankSink) enough() func(decimal.Decimal) bool {
	amount := k.s.src.Amount.Decimal()
	if k.s.src.Kind == "topsum" || k.s.src.Kind == "bottomsum" {
		return func(sum decimal.Decimal) bool { return sum.Cmp(amount) >= 0 }
	}
	total := k.total.total()
	part := total.Mul(amount)
	sign := total.Sign()
	return func(sum decimal.Decimal) bool {
		// sum / total >= amount / 100, without dividing.
		return sign != 0 && sum.Mul(decimal.NewFromInt(100)).Cmp(part)*sign >= 0
	}
}
