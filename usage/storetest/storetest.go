package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/usagebook/usagebook/usage"
)

// Options declares what a store cannot do. nil and the zero value declare
// nothing: every case runs, which for A4 needs Reopen. Run copies what it needs
// and never writes to the options.
type Options struct {
	// NotDurable declares that the store forgets what it holds when it is
	// closed. Case A4 is left out. Defaults to false.
	NotDurable bool

	// Reopen opens the data of a store again the way a process does that was
	// started anew: s was not closed before and is not used after. It belongs
	// to durable stores and is what case A4 calls. A Reopen that ends a real
	// process and starts another one proves more than one that opens the same
	// file twice. Defaults to nil, with which A4 fails unless NotDurable is
	// set.
	Reopen func(t testing.TB, s usage.Store) usage.Store
}

// Run holds a store against its contract, one subtest for each rule.
//
// open returns a new and empty store each time it is called; it may register
// cleanups with t and stop the case with t.Fatal. Run closes each store when its
// case is over. open is called from the goroutine of the case only.
//
// The cases F and W, of failures and workloads, come last and run only when all
// rules hold: they find what no single rule names, and would otherwise bury the
// one explanation that helps under a hundred wrong sums. Under go test -short they
// are shorter.
func Run(t *testing.T, open func(t testing.TB) usage.Store, opts *Options) {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	var broken []string
	for _, c := range cases() {
		if c.durable && opts.NotDurable {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if c.workload && len(broken) > 0 {
				t.Skipf("not run, because a rule that it rests on is broken: %s", strings.Join(broken, ", "))
			}
			runCase(t, c, open, opts)
		})
		// A subtest that -run leaves out has not failed.
		if t.Failed() && len(broken) == 0 {
			broken = append(broken, c.name)
		}
	}
}

// aCase is one rule of the contract and how to see that it holds.
type aCase struct {
	// name begins with the number of the rule where it is written down at an
	// interface's method.
	name string
	// rule is the sentence that is held. It is printed with every failure.
	rule string
	// durable cases are left out for a store that is declared NotDurable.
	durable bool
	// workload cases run only where all others hold.
	workload bool
	run      func(k *kit)
}

// cases returns all cases in the order in which they run.
func cases() []aCase {
	var all []aCase
	for _, part := range [][]aCase{
		appendCases, contentCases, identityCases, correctionCases, scanCases, checkpointCases,
		rollupCases, groupCases, assumeCases, taskCases, closeCases, workloadCases, faultCases,
	} {
		all = append(all, part...)
	}
	return all
}

func runCase(t testing.TB, c aCase, open func(t testing.TB) usage.Store, opts *Options) {
	t.Helper()
	c.run(&kit{TB: t, opener: open, opts: opts, rule: c.rule})
}

// kit is what a case works with: a testing.TB whose failures carry the rule.
type kit struct {
	testing.TB
	opener func(t testing.TB) usage.Store
	opts   *Options
	rule   string
}

// Errorf reports a failure together with the rule that it breaks.
func (k *kit) Errorf(format string, args ...any) {
	k.Helper()
	k.TB.Errorf("%s", k.explain(format, args))
}

// Fatalf reports a failure together with the rule that it breaks, and ends the
// case.
func (k *kit) Fatalf(format string, args ...any) {
	k.Helper()
	k.TB.Fatalf("%s", k.explain(format, args))
}

func (k *kit) explain(format string, args []any) string {
	return fmt.Sprintf(format, args...) + "\nthe rule: " + k.rule
}
