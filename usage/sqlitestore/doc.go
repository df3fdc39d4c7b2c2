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
// for once. Rollup rows are packed, those of a month of days of one series in
// one row. Of Selection.Filter, conditions on sequence and start become SQL,
// bounds of recorded become bounds of the sequence, and an id is looked up in the
// index; dimensions are decided once per series, and values by the Book.
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
// PERFORMANCE
package sqlitestore
