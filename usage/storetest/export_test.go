package storetest

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/usagebook/usagebook/usage"
)

// Failures runs the cases as Run does and returns what each failed one said,
// instead of failing t. Without workloads only the numbered rules are held.
func Failures(t testing.TB, workloads bool, open func(t testing.TB) usage.Store, opts *Options) map[string][]string {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	out := map[string][]string{}
	for _, c := range cases() {
		if c.durable && opts.NotDurable || c.workload && (!workloads || len(out) > 0) {
			continue
		}
		if said := record(t, c, open, opts); len(said) > 0 {
			out[c.name] = said
		}
	}
	return out
}

// Rules returns the rule of each case by its name.
func Rules() map[string]string {
	out := map[string]string{}
	for _, c := range cases() {
		out[c.name] = c.rule
	}
	return out
}

func record(t testing.TB, c aCase, open func(t testing.TB) usage.Store, opts *Options) []string {
	r := &recorder{TB: t}
	defer func() {
		for i := len(r.cleanups) - 1; i >= 0; i-- {
			r.cleanups[i]()
		}
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.say(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		runCase(r, c, open, opts)
	}()
	<-done
	return r.said
}

// recorder is a testing.TB that keeps failures to itself.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	said     []string
	cleanups []func()
}

func (r *recorder) say(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, s)
}

func (r *recorder) Helper()                      {}
func (r *recorder) Log(...any)                   {}
func (r *recorder) Logf(string, ...any)          {}
func (r *recorder) Error(args ...any)            { r.say(fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.say(fmt.Sprintf(f, args...)) }
func (r *recorder) Fail()                        { r.say("failed") }
func (r *recorder) Failed() bool                 { return len(r.said) > 0 }
func (r *recorder) Cleanup(f func())             { r.cleanups = append(r.cleanups, f) }
func (r *recorder) FailNow()                     { r.say("failed"); runtime.Goexit() }
func (r *recorder) Fatal(args ...any)            { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(f string, args ...any) {
	r.Errorf(f, args...)
	runtime.Goexit()
}

// CompareFailures compares as Compare does and returns what failed, instead of
// failing t.
func CompareFailures(t testing.TB, seed uint64, queries int, stores ...Named) []string {
	t.Helper()
	return record(t, aCase{run: func(k *kit) { Compare(k.TB, seed, queries, stores...) }}, nil, nil)
}
