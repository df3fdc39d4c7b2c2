package memstore_test

import (
	"syscall"
	"time"
	"unsafe"
)

// processorTime is what the process has had of all processors, and threadTime
// what the calling thread has: on a machine that others use too they say more
// than the clock.
func processorTime() time.Duration { return clock(2) } // CLOCK_PROCESS_CPUTIME_ID

func threadTime() time.Duration { return clock(3) } // CLOCK_THREAD_CPUTIME_ID

func clock(id uintptr) time.Duration {
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0
	}
	return time.Duration(t.Nano())
}
