package intern_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/usagebook/usagebook/usage/internal/intern"
)

func TestCacheKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	c := intern.New[int, string](8)
	c.Put(-1, "used")
	for i := range 1000 {
		c.Put(i, "flood")
		v, ok := c.Get(-1)
		require.True(t, ok, "after %d others", i)
		require.Equal(t, "used", v)
		require.LessOrEqual(t, c.Len(), 16)
	}
	for i := 992; i < 1000; i++ {
		_, ok := c.Get(i)
		require.True(t, ok, "one of the last ones, %d", i)
	}
	_, ok := c.Get(0)
	require.False(t, ok)
	c.Clear()
	require.Zero(t, c.Len())
}

func TestCacheReplacesInAFullGeneration(t *testing.T) {
	t.Parallel()
	c := intern.New[string, int](0) // as good as 1
	c.Put("a", 1)
	c.Put("a", 2)
	require.Equal(t, 1, c.Len())
	v, ok := c.Get("a")
	require.True(t, ok)
	require.Equal(t, 2, v)
}

func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	c := intern.New[int, int](50)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := range 5000 {
				k := (i*7 + w) % 200
				if v, ok := c.Get(k); ok && v != k {
					t.Errorf("under %d there is %d", k, v)
				}
				c.Put(k, k)
			}
		})
	}
	group.Wait()
}
