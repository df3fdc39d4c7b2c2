// Package memstore keeps a book in memory: the store to begin with, to test
// with, to cache with, and to answer from in a process that can load its usage
// again.
//
// WHAT IT HOLDS IS GONE WHEN THE PROCESS ENDS. Nothing is written to disk: an
// acknowledged Append is kept only as long as the process lives. Where the book
// is the only copy of its records, take a durable store; the interface is the
// same.
//
// Three nouns:
//
//   - a row is a record in numbers; its number is its place in the order of
//     commit, and its Sequence one more;
//   - a segment is 65,536 rows that never change any more, sorted by tenant,
//     meter and start, packed column by column;
//   - a run is the rows of one tenant and meter in a segment: what a query of
//     them reads, and nothing else.
//
// A short example:
//
//	book, err := usage.New(memstore.New(nil), nil)
//	receipt, err := book.Append(ctx, record)
//
// # What it keeps and how
//
// Tenants, meters, sources and sets of dimensions are in a dictionary, once. A
// usage.Series is made when a query asks for it and kept for the next one; with a
// ceiling it gives way to records.
// Ids that are UUIDs in canonical form or lower-case hexadecimal digits are
// packed to half their text or less, without loss; others are kept as they
// are. Numbers are fixed point where int64 holds them, and exact beside it
// where not. Identities are found through a table of row numbers with hashes,
// and decided on what the rows hold.
//
// The newest rows, fewer than a segment, are kept unsorted. The Append that
// completes a segment sorts and packs it before it returns, without holding up
// anybody else: that call takes some ten milliseconds longer.
//
// Readers take a snapshot under a lock held for microseconds and then read
// without one, so that neither long scans nor slow consumers hold up writers.
// Appends are judged and booked one after the other; names and hashes, which are
// most of the work, they look up side by side before.
//
// Jobs and executions (usage.TaskStore) are kept as they are given, beside the
// rows and under a lock of their own.
//
// Options.MaxBytes sets a ceiling: what would grow beyond it is refused with an
// error ([FullError]), and the process is not killed for want of memory.
//
// # What it does not do
//
// It applies no Selection.Filter (the Book does), deletes no records, and gives
// no memory back before Close. It holds at most 4,294,967,294 records.
//
// # Performance
//
// On 1,000,000 records of 50 tenants, 40 meters and 2,000 resources with UUIDs,
// microseconds, six-place quantities and two or three dimensions (80,000
// series), BenchmarkBytes_1M counts about 51 bytes a record, the table of
// identities and the dictionary among them, and about 85 with every rollup row
// that the Book keeps. Where nearly every record is a series of its own,
// BenchmarkAppendPrepared counts 159. BenchmarkGroup_1M answers, in the same run as a loop over
// a slice of structs with decimals in maps:
//
//	Q1 sum by day and meter, one tenant, 30 days       30 to 40 times faster
//	Q2 sum by tenant and month, all records            15 to 25 times faster
//	Q3 three meters, resource prefix, by resource/day  15 to 18 times faster
//	Q4 hourly, one tenant and meter, 7 days            200 times faster and more
//
// A third of Q2 is asking for the group of each series, once, in one goroutine:
// a query of all records gains little from a second core. BenchmarkAppendPrepared
// books records through the Book, rules and deduplication on, at 1.0 to 1.2
// microseconds of processor time a record in batches of 200 and 1.2 to 1.4 in
// batches of 10,000. In BenchmarkAppendGrowing the last quarter of 2,000,000
// records takes as long as the first, and the 99th percentile of a batch is 3
// times the median, in processor time of the thread; one batch in 328 seals a
// segment and takes some 60 medians.
// The figures are of a virtual machine with two cores that others were using at
// the same time (November 2026): trust the ratios.
package memstore
