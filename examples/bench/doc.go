// Command bench compares Usagebook with what a service would do instead, in one run
// on one machine, and prints ratios:
//
//	go run ./examples/bench                             # everything, of moderate size
//	go run ./examples/bench -records 1000000 stores     # the durable stores alone
//
// Its parts:
//
//	http     POST /v1/records of 200-record batches into memory, over loopback, against
//	         a handler that only reads the same bodies and decodes them by encoding/json;
//	         and a page of 1,000 lines of usageAggregates out of a book, over loopback,
//	         against encoding/json marshalling the same page five times
//	stores   books on SQLite and PostgreSQL, against tables, indexes and statements that
//	         are written by hand with care for the same engine, the same unique key
//	         (tenant, source, id) and the same durability: booking with deduplication in
//	         batches, four questions about sums after rolling up, and bytes on disk
//	writers  the same contenders booking by one writer and by eight at once, in batches
//	         of 1, 10 and 200
//
// The workload of the stores is a quarter of a service with 50 tenants, 40 meters and
// 2,000 resources in 20 namespaces, in the order of time but for one record in a hundred,
// which is days late; one in fifty is delivered twice. It is seeded.
//
// The two sides of a comparison take turns, and a ratio is the median of the ratios
// within each turn: the machine's noise then meets both. Answers are checked: every
// record has to be booked, and every page to be the same and whole; every batch has to
// be told how many of its records were new, and every sum to be the same to the last
// digit. A difference ends the run.
//
// PostgreSQL is a server of its own that is thrown away afterwards. Where none is
// installed, -engines sqlite leaves it out.
//
//	-records  records in a book (200,000)
//	-turns    turns of each side (5)
//	-report   file for a report in Markdown, too
//	-batches  http: batches in a turn of ingest (400)
//	-clients  http: connections that post at the same time (4)
//	-engines  stores, writers: sqlite, postgres or both (sqlite,postgres)
//	-append   stores: sizes of batches (200,10000); the questions go to what the last
//	          one has loaded
//	-commits  writers: batches in a turn (400)
//	-meters   stores, writers: how many of the meters a resource has (40, which makes
//	          80,000 series and is hard on whoever remembers series)
package main
