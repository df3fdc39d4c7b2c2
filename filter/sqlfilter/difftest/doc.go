// Package difftest holds the claim of package sqlfilter against the databases
// themselves: what Go selects and sorts is what SQLite and PostgreSQL select and
// sort. It has tests only, in a module of its own because of the drivers.
//
// Three nouns: an engine is a database with a table of rows; a batch is a set of
// random rows with random conditions and orders over them, all drawn from one seed;
// a vector is a condition or order whose answer is known.
//
//	go test .                              # the batches of a hundred and some seeds
//	go test -fuzz FuzzDifferential .       # any seed
//
// SQLite is part of the test. PostgreSQL is started by package pgtest, which tells
// what it needs, how it is installed and when tests skip without it.
//
// # Caveats
//
// Package filter is the measure here and not judged: its own tests do that.
//
// # Performance
//
// A run takes some 15 seconds, and 45 with fewer seeds under the race detector (two
// cores, November 2026).
package difftest
