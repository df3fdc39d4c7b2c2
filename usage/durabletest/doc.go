// Package durabletest holds the durable stores to each other, to the store in
// memory and to what must survive a crash. It has nothing but tests, in a module
// of its own because they need every store at once:
//
//   - compare: one history, the same answers to 2,000 questions, and to fewer of
//     them under the race detector;
//   - kill: a process that appends, and PostgreSQL itself, are killed at random
//     moments. What was acknowledged is there once, nothing is half there, what
//     is sent again changes nothing, rollups equal raw records;
//   - cut: the connection breaks around the commit. The error says that nobody
//     knows, and sending again is safe;
//   - deadlock: the server ends a statement of the store because of a transaction of
//     the host. The store tries again, and nobody hears of it;
//   - processes: several processes write, roll, work on jobs and read at once.
//
// Three nouns: a script is what writers send, the same for the same seed, so that
// who reads knows every record without being told; a journal is what a writer has
// announced, and what was acknowledged to it; a child is the test binary run
// again as a process of its own, which dies when the test does.
//
// # Sizes
//
// The environment variable USAGEBOOK_DURABLE=10 makes ten times as many kills,
// questions and records; go test -short makes a tenth of the kills. Failures print
// the seed of a script, but not the moments of kills, which no seed repeats.
//
// # Performance
//
// A run takes four minutes under the race detector, on two cores that others used
// too, and two and a half without it (November 2026).
package durabletest
