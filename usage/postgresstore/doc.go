// Package postgresstore keeps a book in a schema of a PostgreSQL database,
// version 13 or later, over pgx:
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	...
//	store, err := postgresstore.Open(ctx, pool, nil)
//	...
//	book, err := usage.New(store, &usage.Options{Meters: meters})
//	go book.Run(ctx)
//
// Three nouns:
//
//   - a [Store] is the book in one schema. Any number of processes may have one
//     over the same schema, each with a Book that runs;
//   - a transaction of the host's takes usage in with [Store.AppendTx], beside
//     whatever else it writes: an order and its usage are booked together or not
//     at all;
//   - a batch, one call of Append or AppendTx, is settled when its records have
//     their Sequence and Recorded, which they get after the commit.
//
// # The host's transaction
//
//	tx, err := pool.Begin(ctx)
//	...
//	_, err = tx.Exec(ctx, "INSERT INTO orders ...")
//	receipt, err := store.AppendTx(ctx, book, tx, records...)
//	...
//	err = tx.Commit(ctx) // books both
//
// A conflict, or a record that rules refuse, comes back in an error and leaves
// the transaction usable. The receipt holds only if the host commits. Nothing is
// retried, committed or rolled back on the host's behalf. The transaction must be
// READ COMMITTED, see [IsolationError], with client_encoding UTF8 and array_nulls on,
// which are the defaults. For database/sql there is
// [Store.AppendSQLTx].
//
// # Settling
//
// A number that is drawn inside a transaction says nothing of the order of
// commits, so an append draws none. Whoever reads the book settles it first: in
// one short transaction, under a lock that nobody else holds for longer, it gives
// the batches that are committed and have no place the next one. A plain query so
// sees everything that is committed, Sequence and Recorded follow the order of
// settling, and a range of recorded time that has ended is complete and never
// grows, though a transaction that began in it be committed days later: what that
// booked is recorded when it is settled. Nobody waits for a transaction that is
// open, but for one that books the same identity or corrects the same record.
//
// The clocks of processes need not agree: Recorded is the greatest of the clock of
// the Book that booked the batch and all that was recorded or settled before.
//
// # What the database does
//
// Appending is one statement a batch, with the unique key deciding what is new.
// Sequences have no gaps but where two batches race for the same identities. A
// batch with corrections, or one that is all or nothing, takes a transaction of
// four. Grouping, filtering, cutting time into windows, sums, least and greatest
// run in the database as numeric, which is exact; sums have as many digits as they
// need. Conditions on a record (id, source, start, end, recorded, sequence, values,
// dimensions, verified, billable) that package sqlfilter can write are part of the
// statement when records are scanned; package usage decides the rest. Rollups are
// kept in chunks, of a day of hours, 32 days or twelve months of one series, so
// that a query reads few rows of the database. Where the book has no corrections,
// or the tenants of the query have none, nothing is asked about them.
//
// # At rest
//
// A query has to know how far the book is before it reads. While the answer to that
// stays the same, the store assumes it, and the statement that reads makes sure of it
// in the same snapshot (see [usage.Assumer]): a query is then one round trip for each
// stretch of time that it reads from rollups or from records, and sees what any other
// process has committed all the same. Where the book has moved the query asks anew. At
// rest the store also knows which series and pairs of tenant and meter there are, up to
// some ten thousand, and names them in the statement instead of joining them; and what
// is probably about few records it adds up here, which is quicker than sorting and
// grouping them there.
//
// # Migrations
//
// Open makes the tables and brings older ones up to date. Steps go forward only,
// each is noted in the table migrations, and processes that start at once take
// turns. [Migrations] returns them as SQL for teams that run their own; Options
// with NoMigrate then leave the schema alone. A schema that is newer than the
// program is refused with a [*SchemaError].
//
// # What it does not do
//
// It makes no pool and closes none, sets nothing in sessions, and starts no
// goroutine. It deletes no records. It does not partition its tables.
//
// # Caveats
//
// What is acknowledged is as durable as the database makes a commit: with
// synchronous_commit off, the last ones are lost when the server crashes.
//
// Appends and settlings write to the table batches, one row for each append, and
// update it once. Bring many records in one batch where you can, and leave
// autovacuum on. A transaction that is open for hours keeps vacuum from its work,
// here as everywhere.
//
// A host that books the same identities in two transactions in different orders
// may meet a deadlock, which the server ends with an error in one of them; one
// call books its records in one order. Own transactions of the store are tried
// again.
//
// Statements are prepared once for each connection, as the pool says. With a
// proxy that shares connections between transactions set pgx's
// QueryExecModeExec, which the tests cover too.
//
// The compiler of expressions of PostgreSQL (jit) takes longer than most of these
// statements run, and sets in where tables were never analyzed; turn it off for
// the role if queries of a few rows take ten milliseconds and more.
//
// After a database was set back to an earlier state under a running program, open
// its stores anew: they remember ids of names and places of batches.
//
// Distributed databases that speak PostgreSQL's protocol were not tried. Keys
// contain the tenant, there are no foreign keys, triggers, exclusion constraints or
// notifications, and conflicts are DO NOTHING. What leaves the subset that such
// databases accept, and why:
//
//   - sequences whose numbers rise in the order in which they are drawn: ids of
//     batches tell which of two came first where one transaction saw the other's;
//   - FOR UPDATE on one row that all who settle lock, and another that commits of
//     rollups do, and FOR UPDATE SKIP LOCKED for jobs, so that no two workers take
//     one;
//   - WITH that writes, which makes an append one round trip; SAVEPOINT in batches
//     with corrections;
//   - the column xmin, for what AppendTx may remember of names;
//   - width_bucket over an array for windows of other zones, unnest of several
//     arrays, partial indexes, advisory locks and DDL in a transaction for
//     migrations.
//
// # Performance
//
// BenchmarkAppend and BenchmarkQuery hold the store against careful SQL by hand, on
// a table with the key (tenant, id) and an index on (tenant, meter, time), in turns,
// so that both meet the same load of the machine; examples/bench does so with 2 %
// of the traffic delivered twice. With 50 tenants, 40 meters, 2,000
// resources and 80,000 series over 90 days, on two cores with
// PostgreSQL 15, fsync on, November 2026:
//
//	append, batches of 200           about 0.8 of the records a second by hand
//	append, batches of 10,000        0.8
//	bytes on disk for each record    341, by hand 343; 370 with rollups
//	1,000,000 records, with rollups:
//	Q1, days and meters of a tenant  6.6 times as fast
//	Q2, tenants and months of all    27 times as fast
//	Q3, resources and days, filtered 1.7 times as fast, without rollups that serve it
//	Q4, hours of a tenant's meter    as fast: 0.25 ms, most of it the round trip
//
// Where somebody keeps writing, a query costs one more round trip, to ask how far the
// book is.
package postgresstore
