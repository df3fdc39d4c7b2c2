// Package filterbench compares package filter with libraries that do part of its
// work: CiscoM31/godata, which reads the same language, and expr-lang/expr and
// google/cel-go, which evaluate languages of their own. It has no code but its
// tests, and is a module of its own so that nobody else requires those libraries.
//
//	go test -run '^$' -bench . ./examples/internal/filterbench
//
// Three nouns: a charge is a row; a condition is one question in the three
// languages, with the answer as plain Go; an evaluator is a library with a
// condition compiled and the rows in the form that it takes.
//
// # What is compared
//
// BenchmarkParse reads each text with filter.Parse and filter.Check on one side and
// with godata's parser on the other, which resolves no names and checks no types.
// BenchmarkMatch100k evaluates each compiled condition over 100,000 rows. Sides take
// turns within an iteration, so that a busy machine slows all of them, and the
// figures are medians over the iterations:
//
//	ns/row, ns/text          filter
//	allocs/row, allocs/text  filter
//	expr-ns/row and so on    the other library
//	x-expr, x-cel, x-godata  how many times as long the other library takes
//
// Each library is used in the fastest way that we found. Rows stand ready in the
// types of the library, numbers for expr and cel as float64, while filter computes
// with exact decimals. For expr, one virtual machine serves all rows, dates are
// constants, and of rows as structs and rows as maps the faster counts. For cel,
// optimization is on and an activation hands out values that are converted already.
//
// # What holds it
//
// go test compares, over fewer rows, the answer of each library for each row with
// that of plain Go, and the trees that filter and godata make of each text. The
// benchmarks compare all answers again in each iteration.
//
// # What it does not do
//
// There are no nulls among the rows: the three languages answer differently there.
// No test asserts a speed, because machines differ; only that filter allocates
// nothing. The reader is asked to run it.
package filterbench
