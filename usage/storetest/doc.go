// Package storetest holds a [usage.Store] to its contract. Whoever writes a
// store runs it as the store's main test:
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) usage.Store {
//			s, err := mystore.Open(t.TempDir(), nil)
//			if err != nil {
//				t.Fatal(err)
//			}
//			return s
//		}, &storetest.Options{Reopen: reopen})
//	}
//
// Three nouns:
//
//   - a case is one rule of the contract and how to see that it holds. Its
//     subtest is named after the number of the rule, and its failure prints the
//     rule. A1 to A9, S1 to S7, R1 to R3, C1 to C3 and M1 to M3 stand at the
//     methods of usage.Store (R4 and A8 bind the caller too, and R4 is kept by
//     the kit itself); I are the rules of identity and content, K those of
//     corrections, G those of usage.Grouper, usage.FilterGrouper and
//     usage.RollupGrouper, P those of usage.Assumer, T1 to T14 those of
//     usage.TaskStore, X those of Close, F those of failing and of hidden powers. G, P and T are held where the store has these interfaces;
//   - a workload (W) is a made-up history with duplicates, conflicts, late
//     data, corrections of corrections and clocks that change, about which a
//     [usage.Book] over the store is asked hundreds of questions;
//   - the model is the naive reading of the same history that every answer is
//     compared with, to the last digit. It shares no code with the library.
//
// The kit never asks which store it is testing. What a store cannot do is
// declared, by name, in [Options]. It uses the standard library and the
// library's own types, and nothing else.
//
// [Compare] tells several stores one history and holds their answers to each
// other, byte by byte. It needs no model, so it can ask more than Run in the same
// time, of stores that Run has passed.
//
// # What it does not do
//
// It does not pull the plug: a Reopen that opens a file again in the same
// process shows that everything was written, and not that it was on stable
// storage. It measures nothing; see [Bench].
//
// # Performance
//
// Run takes one to two seconds over a store in memory, most of it the
// workloads, and about ten times as long under the race detector. The
// environment variable USAGEBOOK_WORKLOADS=20 goes through twenty times as many
// histories; go test -short through one of each kind.
package storetest
