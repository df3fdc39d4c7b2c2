// Package sqlitestore keeps a book in one SQLite file, without cgo: the durable
// store for a service on one machine.
//
// Three nouns:
//
//   - a pair is a tenant with a meter: its records lie together in the file, by
//     start, so that a query reads what it asks for and nothing else;
//   - the dictionary holds once whatever repeats from record to record (tenants,
//     meters, sources, sets of dimensions, names of values, verdicts), and records
//     carry numbers;
//   - the log is the order of commit: which records were booked when, and where
//     they lie.
//
// A short example:
//
//	store, err := sqlitestore.Open(ctx, "usage.db", nil)
//	defer store.Close()
//	book, err := usage.New(store, nil)
//	receipt, err := book.Append(ctx, record)
//
// [Open] takes a file, [New] the host's own *sql.DB, in which the book has tables
// of its own beside the host's.
//
// # What is kept, and how safely
//
// An Append returns when its batch is on the disk: the file is in WAL mode with
// synchronous=FULL. Options.LoseLastOnPowerCut trades that for speed. Batches of
// callers that wait for the writer are booked together in one transaction and
// share one wait for the disk; each is judged by itself, and one that fails
// changes nothing for the others.
//
// Numbers are exact, of any size that a record may have: a coefficient and a
// number of places, or digits, and never a binary fraction.
//
// SQLite has no checksums; here every row has one, over what it says and where it
// stands, and it is looked at with every read. [Store.Check] reads the whole
// book and also finds rows that are missing. [Store.Backup] writes a copy while
// the book is in use.
//
// Several stores may be open on one file, in several processes too: one writes at
// a time, all read at once, and each sees what the others have booked.
//
// # What runs where
//
// Group adds up in Go what SQLite reads in order; the groups of a series are asked
// for once, and a condition on values and the start is decided beside. Rollup rows are packed, those of a month of days of one series in
// one row. Of Selection.Filter, conditions on sequence and start become SQL,
// bounds of recorded become bounds of the sequence, and an id is looked up in the
// index; dimensions are decided once per series, and values of scanned records by the
// Book.
//
// # Migrations
//
// Opening brings the tables to this version of the package, in one transaction
// under the lock of writers, so several processes may start at once. [Migrations]
// gives the steps as SQL, and Options.NoMigrate leaves running them to the host.
// Tables of a newer version are refused (ErrSchema), and so are tables that are
// not what the migrations make.
//
// # Errors
//
// A file that is locked, read-only, full, damaged or of another version is told
// by [ErrLocked], [ErrReadOnly], [ErrFull], [ErrDamaged] and [ErrSchema], each
// together with usage.ErrUnavailable and the driver's *sqlite.Error. After any of
// them the same records may be sent again.
//
// # What it does not do
//
// It deletes no records and does not shrink the file. It sums up on one core. It
// does not encrypt.
//
// # Caveats
//
// The file, path-wal and path-shm belong together while a process has the book
// open: copy it with Backup, not with cp. WAL needs a local file system. A book on
// a medium that cannot be written cannot be opened, because SQLite keeps an index
// of the log beside the file; open a copy.
//
// A list of all records of all tenants by start walks every pair side by side: its
// first page costs some microseconds a pair. All pairs are kept in memory, some
// 200 bytes each, and up to 262,144 series.
//
// The log beside the file is not covered by checksums of rows: SQLite has its own
// there, and drops what comes after a changed byte, as it does after a crash.
//
// # Performance
//
// On 1,000,000 records of 50 tenants, 40 meters and 2,000 resources (80,000
// series) with random ids of 32 digits, beside a hand-written table of texts and
// integers with a unique key and an index, on the same driver and settings:
//
//	append, batches of 10,000 and of 200               0.9 to 1.07 of the records a second
//	Q1 sum by day and meter, one tenant, 30 days       11 times faster with rollups
//	Q2 sum by tenant and month, all records            50 times faster with rollups
//	Q3 three meters, resource prefix, by resource/day  2.4 times faster
//	Q4 hourly, one tenant and meter, 7 days            2 times faster: 0.07 ms
//	bytes on disk                                      123 a record, 135 with rollups, against 239
//
// While most records bring a new series, appending is at about 0.85 times the speed.
// Taking records into rollups costs about as much again as booking them. The log that
// precedes the file grows to 64 MiB before it is written back.
//
// examples/bench measures this, with 2 % of the traffic delivered twice, and
// BenchmarkAppend and BenchmarkQuery_1M without. The figures are of a virtual
// machine with two cores that others were using at the same time (go1.26, November
// 2026): trust the ratios. modernc.org/sqlite was chosen over
// github.com/ncruces/go-sqlite3 v0.30.5 by the same work: that takes 1.25 times the
// processor time to append.
package sqlitestore
