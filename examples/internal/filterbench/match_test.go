package filterbench_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// side is a library that takes part, with its times.
type side struct {
	name  string
	eval  evaluator
	times []time.Duration
}

// rowSets are the rows in the forms of the libraries. They are made once for all
// conditions.
type rowSets struct {
	charges []charge
	sides   func(t testing.TB, c condition) []*side
}

func newRowSets(n int) rowSets {
	rows := charges(n)
	own, structs, maps, activations := newFilterRows(rows), exprStructs(rows), exprMaps(rows), celRows(rows)
	return rowSets{rows, func(t testing.TB, c condition) []*side {
		t.Helper()
		return []*side{
			{name: "filter", eval: newFilterEvaluator(t, c, own)},
			{name: "expr-struct", eval: newExprStructs(t, c, structs)},
			{name: "expr-map", eval: newExprMaps(t, c, maps)},
			{name: "cel", eval: newCELEvaluator(t, c, activations)},
		}
	}}
}

// TestSameAnswers holds that all sides give the answers of Go for each row. A
// comparison of speed between different answers would say nothing.
func TestSameAnswers(t *testing.T) {
	t.Parallel()
	set := newRowSets(2000)
	for _, c := range conditions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := c.answers(set.charges)
			require.Contains(t, want, true)
			require.Contains(t, want, false)
			for _, s := range set.sides(t, c) {
				got := make([]bool, len(want))
				require.NoError(t, s.eval.evaluate(got), s.name)
				require.Equal(t, want, got, s.name)
			}
		})
	}
}

// TestFilterAllocatesNothing holds that no row costs an allocation.
func TestFilterAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	rows := newFilterRows(charges(1000))
	answers := make([]bool, 1000)
	for _, c := range conditions {
		t.Run(c.name, func(t *testing.T) {
			eval := newFilterEvaluator(t, c, rows)
			require.Zero(t, testing.AllocsPerRun(20, func() {
				if eval.evaluate(answers) != nil {
					panic("a condition failed")
				}
			}))
		})
	}
}

// BenchmarkMatch100k evaluates each condition over 100,000 rows on all sides in turn.
func BenchmarkMatch100k(b *testing.B) {
	const n = 100_000
	set := newRowSets(n)
	for _, c := range conditions {
		b.Run(c.name, func(b *testing.B) {
			want := c.answers(set.charges)
			sides := set.sides(b, c)
			got := make([]bool, n)
			allocs := testing.AllocsPerRun(1, func() {
				if err := sides[0].eval.evaluate(got); err != nil {
					b.Fatal(err)
				}
			})
			for b.Loop() {
				for _, s := range sides {
					clear(got)
					start := time.Now()
					err := s.eval.evaluate(got)
					s.times = append(s.times, time.Since(start))
					if err != nil {
						b.Fatal(s.name, err)
					}
					if !slices.Equal(want, got) {
						b.Fatal(s.name, "answers otherwise")
					}
				}
			}
			own, cel := median(sides[0].times), median(sides[3].times)
			expr := min(median(sides[1].times), median(sides[2].times))
			b.ReportMetric(0, "ns/op") // of all sides together, which is of no use
			b.ReportMetric(own/n, "ns/row")
			b.ReportMetric(expr/n, "expr-ns/row")
			b.ReportMetric(cel/n, "cel-ns/row")
			b.ReportMetric(expr/own, "x-expr")
			b.ReportMetric(cel/own, "x-cel")
			b.ReportMetric(allocs/n, "allocs/row")
		})
	}
}

// median returns the median in nanoseconds, which a pause of the machine does not
// move.
func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Nanoseconds())
}
