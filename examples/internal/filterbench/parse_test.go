package filterbench_test

import (
	"testing"
	"time"

	"github.com/CiscoM31/godata"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// TestSameTrees holds that both parsers understand each text alike.
func TestSameTrees(t *testing.T) {
	t.Parallel()
	for _, c := range conditions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own, err := filter.Parse(c.odata, nil)
			require.NoError(t, err)
			other, err := godata.ParseFilterString(t.Context(), c.odata)
			require.NoError(t, err)
			require.Equal(t, godataTree(other.Tree), filterTree(t, own))
		})
	}
}

// BenchmarkParse reads each condition by filter, names resolved and types checked,
// and by godata, which does neither.
func BenchmarkParse(b *testing.B) {
	const texts = 100 // in a turn, so that the clock does not count
	fields := schema(b)
	for _, c := range conditions {
		b.Run(c.name, func(b *testing.B) {
			ctx := b.Context()
			own := func() error {
				tree, err := filter.Parse(c.odata, nil)
				if err == nil {
					_, err = filter.Check(tree, fields)
				}
				return err
			}
			other := func() error {
				_, err := godata.ParseFilterString(ctx, c.odata)
				return err
			}
			var times [2][]time.Duration
			for b.Loop() {
				for side, read := range []func() error{own, other} {
					start := time.Now()
					for range texts {
						if err := read(); err != nil {
							b.Fatal(err)
						}
					}
					times[side] = append(times[side], time.Since(start))
				}
			}
			mine, theirs := median(times[0]), median(times[1])
			b.ReportMetric(0, "ns/op") // of both sides together, which is of no use
			b.ReportMetric(mine/texts, "ns/text")
			b.ReportMetric(theirs/texts, "godata-ns/text")
			b.ReportMetric(theirs/mine, "x-godata")
			b.ReportMetric(testing.AllocsPerRun(10, func() { _ = own() }), "allocs/text")
		})
	}
}
