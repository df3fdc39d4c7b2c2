// Package usage keeps a book of usage: a service writes down what its tenants
// used, and bills, reports and checks quotas from it.
//
// # A tour
//
// The three nouns to know are [Record], [Scope] and [Query].
//
// A record says who used how much of what, and when. It is booked once: its
// identity is (tenant, source, id) for ever, so a producer that is unsure
// whether a batch arrived sends it again.
//
//	book, err := usage.New(memstore.New(nil), nil)
//	receipt, err := book.Append(ctx, usage.Record{
//		Tenant: "acme", Source: "gateway-1", ID: requestID,
//		Meter: "requests", Start: time.Now(),
//		Values:     usage.Quantity(decimal.NewFromInt(1)),
//		Dimensions: usage.Dimensions{}.With("region", "eu"),
//	})
//
// The [Receipt] has an [Outcome] for each record: Inserted, Duplicate (booked
// before with the same content, which is success), Conflict (booked before with
// other content) or Rejected (with the violations that say why). Whenever a
// record was not booked, Append returns an [*AppendError] too; the others are
// booked.
//
// Every question names its scope, so that forgetting it does not compile:
//
//	page, err := book.Query(ctx, usage.ForTenant("acme"), usage.Query{
//		From: from, To: to, Filter: "region eq 'eu'",
//		GroupBy: []string{"meter"}, Window: aggregate.Window{Unit: aggregate.Day},
//	})
//
// A row carries its half-open bounds and exact decimals. [Book.Rows] walks a
// whole answer, [Book.Explain] tells which records are behind a row and why one
// is not, [Book.Plan] how an answer is read.
//
// Questions of several steps are pipelines, the $apply of OData: [Book.Apply]
// filters, groups, aggregates, computes and groups again.
//
//	page, err := book.Apply(ctx, usage.ForTenant("acme"), usage.ApplyQuery{From: from, To: to,
//		Apply: "groupby((region,meter),aggregate(quantity with sum as total))/groupby((region),topcount(1,total))"})
//
// Records that come as JSON are read by [DecodeRecords], every digit of them; a
// record with a fault in it is refused by Append and does not hold up the others.
//
// [Book.KPI] works out monthly figures that a host has defined (package rules).
//
// Nothing is ever changed: [Book.Void] and [Book.Replace] book corrections that
// are linked to what they correct, and a query with [AsOf] repeats what was true
// before.
//
// [Book.Submit] accepts records to be booked in the background, as a job that
// tells what became of each, and [Book.Execute] a query to be answered there, as
// of now. Both are safe in the store when the call returns, and survive whatever
// happens to the process; they ask for a store that is a [TaskStore].
//
// [Book.Run] does the work in the background: jobs and executions, and rolling
// records up, so that sums are read from a few rows. A rollup makes an answer
// faster, never different.
//
// # Glossary
//
//   - record: one measured use. meter: the definition of what is counted.
//   - tenant: the isolation boundary. scope: whose records a query may see.
//   - dimension: a named attribute to filter and group by. value: a named exact
//     decimal; a plain measurement has the single value "quantity". unit: what a
//     value is an amount of.
//   - series: a distinct combination of tenant, meter and dimensions.
//   - identity: (tenant, source, id). content: everything else that a producer
//     says. Same identity and content: a duplicate. Other content: a conflict.
//   - event time: when something was used (Start). recorded time: when it was
//     booked. sequence: in which order it was booked.
//   - window: a half-open stretch of time, [Start, End), that rows are cut by.
//     bucket: a window and group being summed.
//   - correction: a record that voids or replaces an earlier one. chain: a record
//     and the corrections that follow it. head: its last one, which decides.
//   - verdict: what the rules in force said when a record was booked.
//   - settled: nothing is booked any more with a recorded time before it.
//   - KPI: a monthly figure of an application, made of days that are made of
//     records. consumer: a tenant with a figure.
//   - rollup: a stored bucket. projection: the set of dimensions that rollups are
//     kept by. level: hour, day or month, UTC. checkpoint: the sequence up to which
//     rollups are complete. tail: the records after it.
//   - late: booked after the end of its own bucket. Late records count like
//     others. restatement: a bucket computed again because a correction touched
//     it.
//   - job: records that were accepted together, to be booked in the background.
//     execution: a query to be answered there. task: what a store keeps of either.
//     owner: who may see it. lease: for how long a worker has it.
//   - mark: the sequence that an answer speaks of. token: an opaque page token,
//     for the wire. cursor: the typed place within an order that it carries.
//
// # Modelling
//
// What to book, so that the figures come out right:
//
//   - A delta (one request, 200 bytes, 3 tokens) is booked as it is and summed.
//   - A running counter (a router's byte count since boot) is turned into
//     differences before booking: two readings and a reset are the producer's to
//     know, not the book's. Book the difference with the interval's start and end.
//   - A gauge (disk in use, active seats) is booked as samples and read with max,
//     avg or last; or, where it is billed by time, as amount times time (gigabyte
//     hours), which sums.
//   - Figures that belong together (input and output tokens of one call, quantity
//     and cost of one line) are values of one record, not records of their own:
//     they are booked, corrected and filtered together.
//   - An attribute that is asked for is a dimension. One that differs in every
//     record (a request id) makes every record a series of its own; the ID is the
//     place for it.
//   - A unit that varies within a meter is the dimension "unit".
//
// What to use as ID and Source: the ID is what the producer already calls the
// thing that was used (a request id, an invoice line, a job and its step), never
// a number drawn when sending, because a retry must have the same one. Source is
// the name of the producer, and what keeps two producers that number their
// records alike apart.
//
// # Evolution
//
// Records describe themselves: a new value, dimension or meter needs no
// migration. Removing one from the catalogue hides nothing. A renamed one is a
// new name with the former one as its alias, which reads both. A value's unit and
// whether a dimension is JSON never change.
//
// # Caveats
//
//   - The book keeps what it was given. It does not know whether a producer lies,
//     or forgot to send.
//   - A query holds the rows of its answer in memory, at most Options.MaxGroups,
//     whatever the size of a page.
//   - Page tokens are signed with a key of this process unless Options.TokenKeys
//     says otherwise: set it where several processes answer.
//   - Jobs and executions wait until some process runs the book; see
//     [Book.Running]. Which one does a job is left to chance, so all of them should
//     have the same Rules and Biller.
//
// # For authors of stores
//
// [Store] is the contract, with numbered rules; package storetest has a case of
// the same number for each, and storetest.Run holds a store against all of them.
// [Grouper], [FilterGrouper], [RollupGrouper] and [Assumer] are optional: without them
// the Book asks for records, rollup rows or the state of the book, and questions are
// slower. So is [TaskStore], without which jobs and executions are refused.
//
// Package usage does no rating, invoicing or quota enforcement, keeps no
// goroutine outside Run, and knows nothing of HTTP.
package usage
