package difftest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// harness is the two engines, a schema and what was seen.
type harness struct {
	schema  *filter.Fields
	engines []*engine
	seen    map[string]int
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	fields := generated()
	return &harness{schema: schemaOf(t, fields), engines: engines(t, fields), seen: map[string]int{}}
}

const (
	rowsPerBatch       = 40
	conditionsPerBatch = 30
	ordersPerBatch     = 10
)

// batch draws rows, conditions and orders from a seed and holds the engines to Go.
func (h *harness) batch(t testing.TB, seed uint64) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 1))}
	rows := make([]row, rowsPerBatch)
	for i := range rows {
		rows[i] = randomRow(g.Rand)
	}
	for _, e := range h.engines {
		e.fill(t, rows)
	}
	for range conditionsPerBatch {
		text := g.condition(g.IntN(5))
		parsed, err := filter.Parse(text, nil)
		require.NoError(t, err, "seed %d: %s", seed, text)
		c, err := filter.Check(parsed, h.schema)
		require.NoError(t, err, "seed %d: %s", seed, text)
		h.condition(t, rows, c)
	}
	for range ordersPerBatch {
		text := g.order()
		list, err := filter.ParseOrderBy(text, nil)
		require.NoError(t, err, "seed %d: %s", seed, text)
		keys, err := filter.CheckOrderBy(list, h.schema)
		require.NoError(t, err, "seed %d: %s", seed, text)
		h.order(t, rows, keys, text)
	}
}

// condition holds that an engine's rows which match the residual are those that
// match the whole. A row for which the whole fails is refused by the engine or fails
// the residual, and cannot fail what was pushed.
func (h *harness) condition(t testing.TB, rows []row, c *filter.Checked) {
	t.Helper()
	whole := c.Compile()
	var want []bool
	var failed []bool
	for _, r := range rows {
		ok, err := whole.Match(bound{r, whole.Fields()})
		want, failed = append(want, ok), append(failed, err != nil)
		if ok {
			h.seen["selected"]++
		} else {
			h.seen["refused"]++
		}
	}
	for _, e := range h.engines {
		ids, residual, pushed := e.where(t, c)
		switch {
		case residual == nil:
			h.seen[e.name+" all"]++
		case pushed:
			h.seen[e.name+" part"]++
		default:
			h.seen[e.name+" none"]++
		}
		if residual == nil {
			require.NotContains(t, failed, true, "%s pushed what may fail: %s", e.name, c)
		}
		let := make([]bool, len(rows))
		for _, id := range ids {
			let[id] = true
		}
		var rest *filter.Program
		if residual != nil {
			rest = residual.Compile()
		}
		for i, r := range rows {
			got := let[i]
			if got && rest != nil {
				ok, err := rest.Match(bound{r, rest.Fields()})
				require.Equal(t, failed[i], err != nil, "%s: %s fails otherwise than %s: %v of %s", e.name, residual, c, err, r.show())
				got = ok
			}
			require.Equal(t, want[i], got, "%s: %s\nSQL: %s\nresidual: %s\nrow: %s", e.name, c, e.writer.Where(c, 1).SQL, residual, r.show())
		}
	}
}

// sorted returns the order of rows in Go, ties by index; ok is false when a key
// fails.
func sorted(rows []row, keys []filter.Key) (ids []int, ok bool) {
	values := make([][]filter.Value, len(rows))
	for _, k := range keys {
		p := k.Value.Compile()
		for i, r := range rows {
			v, err := p.Eval(bound{r, p.Fields()})
			if err != nil {
				return nil, false
			}
			values[i] = append(values[i], v)
		}
	}
	ids = make([]int, len(rows))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		for i, k := range keys {
			d := filter.Compare(values[a][i], values[b][i])
			if k.Desc {
				d = -d
			}
			if d != 0 {
				return d
			}
		}
		return 0
	})
	return ids, true
}

func (h *harness) order(t testing.TB, rows []row, keys []filter.Key, text string) {
	t.Helper()
	want, ok := sorted(rows, keys)
	for _, e := range h.engines {
		got, exact := e.orderBy(t, keys)
		if !exact {
			h.seen[e.name+" order in Go"]++
			continue
		}
		h.seen[e.name+" order"]++
		require.True(t, ok, "%s pushed what may fail: %s", e.name, text)
		require.Equal(t, want, got, "%s: %s\nSQL: %s", e.name, text, e.writer.OrderBy(keys, 1).SQL)
	}
}

// TestDifferential runs the batches of fixed seeds.
func TestDifferential(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const seeds = plainSeeds
	for seed := range uint64(seeds) {
		h.batch(t, seed)
	}
	t.Log(h.seen)
	// A run in which nothing was pushed, or nothing stayed, would prove nothing.
	for _, e := range h.engines {
		for _, what := range []string{" all", " part", " none", " order", " order in Go"} {
			require.Greater(t, h.seen[e.name+what], seeds/4, "%s%s", e.name, what)
		}
	}
	require.Greater(t, h.seen["selected"]*10, h.seen["refused"])
	require.Greater(t, h.seen["refused"]*10, h.seen["selected"])
}

// FuzzDifferential runs the batch of any seed.
func FuzzDifferential(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(seed << 32)
	}
	h := newHarness(f)
	f.Fuzz(func(t *testing.T, seed uint64) { h.batch(t, seed) })
}
