//go:build unix

package memstore_test

import (
	"syscall"
	"time"
)

// processorTime is what the process has had of all processors: on a machine
// that others use too it says more than the clock.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
