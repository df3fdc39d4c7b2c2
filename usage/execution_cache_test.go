package usage

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// kept returns a result of n rows with so many cells each.
func kept(n, perRow int) *keeper {
	k := &keeper{perRow: perRow}
	for range n {
		k.add(Row{Cells: []filter.Value{filter.Bool(true)}})
	}
	return k
}

func TestResultCache(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &resultCache{now: func() time.Time { return now }}
	has := func(id string) bool { _, ok := c.get(id); return ok }
	later := now.Add(time.Hour)

	c.put("none", later, kept(0, 10))
	rows, ok := c.get("none")
	require.True(t, ok, "no rows are a result")
	require.Empty(t, rows)
	require.False(t, has("unknown"))

	// One that is too large is counted and not kept.
	k := kept(mostResultCells/10+1, 10)
	require.EqualValues(t, mostResultCells/10+1, k.rows)
	require.Empty(t, k.list)
	c.put("large", later, k)
	require.False(t, has("large"))

	// What was used last stays.
	big := func() *keeper { return kept(mostResultCells/8-1, 8) }
	for i := range 4 {
		c.put(fmt.Sprint(i), later, big())
	}
	require.True(t, has("0"), "all fit")
	c.put("4", later, big())
	require.True(t, has("0"), "it was used after 1 was")
	require.False(t, has("1"))
	require.False(t, has("none"), "it was used before")
	c.put("4", later, kept(1, 8))
	rows, _ = c.get("4")
	require.Len(t, rows, 1, "the later one of two")

	// Many small ones are bounded by their number.
	for i := range 2 * mostResults {
		c.put(fmt.Sprint("small ", i), later, kept(1, 1))
	}
	require.Len(t, c.results, mostResults)
	require.True(t, has(fmt.Sprint("small ", 2*mostResults-1)))
	require.False(t, has("0"))

	now = later
	require.False(t, has(fmt.Sprint("small ", 2*mostResults-1)), "it has expired")
	require.Empty(t, c.results)
}
