package ratelimit_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/examples/ratelimit"
	"github.com/usagebook/usagebook/httpadapter"
)

func Example() {
	options := httpadapter.Options{Limiter: &ratelimit.Limiter{PerSecond: 5, Burst: 2}}
	for range 3 {
		ok, wait := options.Limiter.Allow("portal", httpadapter.ReadClass)
		fmt.Println(ok, wait.Round(100*time.Millisecond))
	}
	// Output:
	// true 0s
	// true 0s
	// false 200ms
}

func TestAllow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ratelimit.Limiter{PerSecond: 1, Burst: 1}
		ask := func(subject string, class httpadapter.RouteClass) bool {
			ok, _ := l.Allow(subject, class)
			return ok
		}
		require.True(t, ask("a", httpadapter.ReadClass))
		require.False(t, ask("a", httpadapter.ReadClass))
		require.True(t, ask("b", httpadapter.ReadClass))
		require.True(t, ask("a", httpadapter.WriteClass))
		time.Sleep(time.Second)
		require.True(t, ask("a", httpadapter.ReadClass), "a refusal takes no turn")
	})
}
