// Command bench compares Usagebook with what a service would do instead, in one run
// on one machine, and prints ratios:
//
//	go run ./examples/bench                             # everything, of moderate size
//	go run ./examples/bench -records 1000000 queries    # answers alone, of those in memory
//	go run ./examples/bench -records 1000000 -contenders memstore,duckdb -workload skewed ingest queries
//	go run ./examples/bench -records 5000000 -report examples/bench/REPORT.md ingest queries scaling mixed
//
// Its parts:
//
//	ingest   booking with validation, rules and deduplication, batches made ready
//	         beforehand; and bytes a record: on the heap, and by the contender's own account
//	queries  eight questions: cold, which is the first time after loading, warm, and while
//	         batches of 200 records keep arriving
//	scaling  the questions of books of a fifth, all and four times the records
//	mixed    ours with one reader and one writer on two cores: each alone, and together
//	         with the writer at half of its top rate; and how long appends take then
//	allocations
//	         what baseline.json holds: allocations an operation, bytes a record
//	http     POST /v1/records of 200-record batches into memory, over loopback, against
//	         a handler that only reads the same bodies and decodes them by encoding/json;
//	         and a page of 1,000 lines of usageAggregates out of a book, over loopback,
//	         against encoding/json marshalling the same page five times
//	stores   books on SQLite and PostgreSQL, against tables, indexes and statements that
//	         are written by hand with care for the same engine, the same unique key
//	         (tenant, source, id) and the same durability: booking with deduplication in
//	         batches, the questions after rolling up, and bytes on disk
//	writers  the same contenders booking by one writer and by eight at once, in batches
//	         of 1, 10 and 200
//
// # Contenders
//
// Ingest, queries and scaling compare those of -contenders; mixed and allocations are
// about ours among them:
//
//	naive         Go over a slice of structs with decimal.Decimal, and a map of identities
//	duckdb        DuckDB in process: DECIMAL columns; for booking its identity is the
//	              primary key, for questions the table has none and is packed in a file
//	duckdb-enum   the same with enumerations for the texts that are few; they have to be
//	              known beforehand
//	memstore      ours, in memory, rolled up
//	memstore-raw  ours, in memory, without rollups; only where it is named
//	sqlite, postgres
//	              tables, indexes and statements that are written by hand with care
//	sqlitestore, postgresstore
//	              ours on the same engines, with the same durability
//
// Those in memory begin anew in each turn. The others keep their records, are opened
// anew, and are cold then.
//
// DuckDB needs cgo and a linker for C++ (g++). Without cgo, or with the tag noduckdb,
// the program builds without it, and says so where it is named.
//
// # Memory
//
// Events are made while they are read, 100,000 at a time, and one contender is loaded
// at a time; only durable ones keep theirs, on disk. Naive Go needs some 400 bytes a
// record, DuckDB's primary key and texts as much.
//
// # Report and baseline
//
// -report writes Markdown with what was asked for and whether it was reached, and plots
// as SVG beside it. baseline.json holds figures that do not depend on how busy the
// machine is, at 100,000 records. TestBaseline fails where one of them has grown by more
// than a fifth, and names it. To accept that, and after each improvement:
//
//	go test ./examples/bench -run TestBaseline -update
//
// # Workloads
//
// A quarter of a service with 50 tenants, 40 meters and 2,000 resources, each of one
// tenant and one of 20 namespaces, in the order of time but for one record in a
// hundred, which is days late; one in fifty is delivered twice. Quantities have up to
// six places. It is seeded, and made while it is read. -workload chooses its shape:
//
//	typical      so
//	skewed       one tenant has half of it, and is the one that is asked about
//	adversarial  resources without number: nearly every record is its own series
//	wide         30 dimensions instead of two
//
// The contenders of a comparison take turns, and a ratio is the median of the ratios
// within each turn: the machine's noise then meets all. Answers are checked: every
// record has to be booked, and every page to be the same and whole; every batch has to
// be told how many of its records were new, and every figure of every answer has to be
// the same for all, to the last digit. A difference ends the run.
//
// PostgreSQL is a server of its own that is thrown away afterwards. Where none is
// installed, -engines sqlite, or -contenders without it, leaves it out.
//
//	-records     records in a book (200,000)
//	-turns       turns of each side (5)
//	-report      file for a report in Markdown, too
//	-workload    typical, skewed, adversarial or wide (typical)
//	-ids         uuid, or hex for 32 digits (uuid)
//	-meters      how many of the meters a resource has (40, which makes 80,000 series and
//	             is hard on whoever remembers series)
//	-warm        queries, stores: about for how long a quick question is asked in a turn (200ms)
//	-mix         mixed: how long reader and writer go on together (5m)
//	-pace        queries: the time from one batch to the next, of the 2 to 25 that arrive
//	             while a question is asked (20ms)
//	-contenders  ingest, queries, scaling, mixed, allocations: who takes part (all but memstore-raw)
//	-batches     http: batches in a turn of ingest (400)
//	-clients     http: connections that post at the same time (4)
//	-engines     stores, writers: sqlite, postgres or both (sqlite,postgres)
//	-append      ingest, stores: sizes of batches (200,10000); in stores, the questions go
//	             to what the last one has loaded
//	-commits     writers: batches in a turn (400)
package main
