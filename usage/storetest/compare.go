package storetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// Named is a store in a comparison.
type Named struct {
	// Name is what failures call it.
	Name string
	// Store is new and empty. Compare does not close it.
	Store usage.Store
	// Reopen, where it is not nil, is called now and then to open the data of the
	// store again; it may close s, which is not used after. Defaults to nil, with
	// which the store stays as it is.
	Reopen func(t testing.TB, s usage.Store) usage.Store
}

// Compare tells several stores the same made-up history, and asks each of them
// the same questions all the while, as many as queries says: the histories and
// questions of the workloads of [Run], drawn from a seed. Every answer has to be
// the same, byte by byte: every row with its bounds and cells, every record with
// its Sequence, Recorded, verdict and correction, the pages as they are cut, the
// first six of them, and what became of each record that was sent. At the end so has every record of
// the book.
//
// What the contract leaves to a store is not compared: whether a receipt has the
// Sequence and Recorded of a record already, page tokens, and plans.
//
// There is no model here, which is slow: stores that agree may all be wrong. Run
// says which is right.
func Compare(t testing.TB, seed uint64, queries int, stores ...Named) {
	t.Helper()
	k := &kit{TB: t, rule: "Any two stores answer the same questions about the same history in the same way, to the last byte."}
	if len(stores) < 2 {
		k.Fatalf("a comparison needs two stores, not %d", len(stores))
	}
	opts := usage.Options{RollBatch: 40, SnapshotHold: 20 * time.Minute}
	c := &comparison{kit: k, seed: seed}
	for _, s := range stores {
		c.sides = append(c.sides, &side{Named: s, world: k.worldOver(k.bench(s.Store, nil), seed, opts)})
	}
	// What is done next is drawn here, once for all. Each world draws the same
	// records and questions for itself, as long as its store answers as the
	// others do; that they are the same is compared too.
	rng := rand.New(rand.NewPCG(seed, 20261127))
	c.each("a batch of new records", func(w *world) string {
		bulk := make([]usage.Record, 120)
		for i := range bulk {
			bulk[i] = w.fresh()
		}
		return w.receipt(bulk...)
	})
	for asked := 0; asked < queries; {
		c.each("a batch", func(w *world) string {
			out := w.receipt(w.batch()...)
			w.tick()
			return out
		})
		if steps := rng.IntN(7) - 1; steps > 2 {
			c.each("a step of the rollups", func(w *world) string { w.roll(steps - 2); return "" })
		} else if steps < 0 {
			c.each("all steps of the rollups", func(w *world) string { w.roll(-1); return "" })
		}
		if rng.IntN(20) == 0 {
			c.reopen()
		}
		for range min(8, queries-asked) {
			c.each("the answer", func(w *world) string { return w.transcript(w.question()) })
			asked++
		}
	}
	c.each("the whole book", func(w *world) string {
		var b strings.Builder
		for _, r := range w.everything() {
			fmt.Fprintln(&b, showStored(r))
		}
		return b.String()
	})
}

type comparison struct {
	*kit
	seed  uint64
	sides []*side
}

type side struct {
	Named
	world *world
}

// each does the same on every side and compares what comes of it, line by line.
func (c *comparison) each(what string, do func(w *world) string) {
	c.Helper()
	var want string
	for i, s := range c.sides {
		s.world.side = s.Name + ": "
		got := do(s.world)
		if i == 0 {
			want = got
			continue
		}
		if got != want {
			c.differ(what, c.sides[0].Name, s.Name, want, got)
		}
	}
}

func (c *comparison) differ(what, one, other, want, got string) {
	c.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	line := 0
	for line < min(len(a), len(b)) && a[line] == b[line] {
		line++
	}
	at := func(list []string) string {
		if line < len(list) {
			return list[line]
		}
		return "(nothing more)"
	}
	c.Fatalf("seed %d: %s differs in line %d, of %s\n  %s\nof %s\n  %s\nafter\n  %s", c.seed, what, line+1, one, at(a), other, at(b), a[0])
}

func (c *comparison) reopen() {
	c.Helper()
	for _, s := range c.sides {
		if s.Reopen == nil {
			continue
		}
		s.world.store = s.Reopen(c.TB, s.world.store)
		s.world.book = s.world.newBook(&s.world.opts)
	}
}

// receipt sends a batch and writes down what became of each record.
func (w *world) receipt(records ...usage.Record) string {
	w.k.Helper()
	var b strings.Builder
	for i, e := range w.append(records...) {
		fmt.Fprintf(&b, "record %d of %d, %s: %s, verdict %v, violations %v", i, len(records), show(&records[i]), e.Outcome, e.Verdict, e.Violations)
		if e.Head != nil {
			fmt.Fprintf(&b, ", head %q", *e.Head)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// transcript asks the book, page by page, and writes the question and everything
// of the answer down.
func (w *world) transcript(q *question) string {
	w.k.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, q)
	query := q.query()
	for pages := 0; ; pages++ {
		page, err := w.book.Query(w.ctx(), q.scope(), query)
		if err != nil {
			w.fatalf("%v\nthe error: %v", q, err)
		}
		fmt.Fprintf(&b, "page %d as of %d %s, count %d, more %v, columns", pages, page.AsOf.Sequence, showTime(page.AsOf.Time), page.Count, page.Next != "")
		for _, c := range page.Columns {
			fmt.Fprintf(&b, " %q", c.Name)
		}
		b.WriteByte('\n')
		for i := range page.Rows {
			r := &page.Rows[i]
			b.WriteString(text(r))
			if r.Record != nil {
				fmt.Fprintf(&b, ": %s", showStored(r.Record))
			}
			b.WriteByte('\n')
		}
		// The last of a thousand small pages is read as the fifth is, and each of
		// them may cost what all of them cost.
		if page.Next == "" || pages == 5 {
			return b.String()
		}
		if len(page.Rows) == 0 {
			w.fatalf("%v\npage %d is empty and has a next one", q, pages)
		}
		query.Token = page.Next
	}
}
