package intern_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/usagebook/usagebook/usage/internal/intern"
)

func TestGetBytes(t *testing.T) {
	t.Parallel()
	c := intern.New[string, int](4)
	for i := range 100 {
		c.Put(fmt.Sprint(i), i)
		c.Put("used", -1)
		v, ok := intern.GetBytes(c, []byte("used"))
		require.True(t, ok)
		require.Equal(t, -1, v)
		v, ok = intern.GetBytes(c, []byte(fmt.Sprint(i)))
		require.True(t, ok)
		require.Equal(t, i, v)
	}
	_, ok := intern.GetBytes(c, []byte("0"))
	require.False(t, ok)
}

// What is found in the older generation stays.
func TestGetBytesKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	c := intern.New[string, int](8)
	c.Put("used", 1)
	for i := range 1000 {
		c.Put(fmt.Sprint(i), i)
		_, ok := intern.GetBytes(c, []byte("used"))
		require.True(t, ok, "after %d others", i)
	}
}

func TestGetBytesAllocatesNothing(t *testing.T) {
	c := intern.New[string, int](8)
	c.Put("a name that is not short at all, and so on", 1)
	key := []byte("a name that is not short at all, and so on")
	require.Zero(t, testing.AllocsPerRun(100, func() { intern.GetBytes(c, key) }))
}
