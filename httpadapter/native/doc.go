// Package native serves the book over HTTP in its own form:
//
//	POST /v1/records           books records
//	GET  /v1/usage             figures, or the records behind them
//	GET  /v1/explain           why a figure is what it is; what became of a record
//	POST /v1/jobs              accepts records to be booked in the background
//	GET  /v1/jobs              the latest jobs
//	GET  /v1/jobs/{id}         what became of one
//	GET  /v1/jobs/{id}/errors  its failed records
//	GET  /openapi.json         the OpenAPI 3.1 document of every mounted API
//
// Three nouns:
//
//   - A body is a list of records in one of the forms that [Decode] reads: JSON,
//     NDJSON, CSV, CloudEvents.
//   - An outcome is what became of one record of a body.
//   - A job is a body that was accepted now and is booked in the background.
//
// A host mounts it with
//
//	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth}, native.New(nil))
//
// Callers need the permission usage:records:write or usage:records:read, and hold
// every tenant that they name. Authorization comes before validation.
//
// # Booking
//
// POST /v1/records answers 200 whenever the batch was judged, with an outcome for
// each record; a record that is refused never holds up the others, unless
// allOrNothing=true asks for that. Sending a body again is safe.
//
// # Reading
//
//	tenant      required: a tenant, or * for all that the caller holds
//	from, to    instants or dates; the range from <= start < to, open where absent
//	on          event (the default) or recorded: which clock the range goes by
//	window      none (the default), hour, day, week, month, quarter, year
//	tz          the IANA zone of windows and dates, UTC by default
//	measures    as usage.ParseMeasures reads them: sum(quantity) as total,count() as n
//	$filter     a condition; see package filter for the language
//	$groupby    names of fields, with commas
//	$apply      a pipeline, instead of measures and $groupby; see usage.ApplyQuery
//	$orderby    columns, each with asc or desc
//	$top        the most rows of the whole result
//	$count      true counts the rows of the whole result
//	pageSize    rows in a page: 1,000 by default, at most 10,000
//	$skiptoken  from a nextLink
//	asOf        a sequence, or an instant: the book as it was then
//	zeroFill    true adds rows for silent windows
//
// Without measures, $groupby, window and $apply the answer is the records themselves.
// Numbers are texts, with every digit; see [WriteRows].
//
// # Explaining
//
// GET /v1/explain takes the parameters of GET /v1/usage and either source and id, for
// one record, or row: a JSON object of the row's columns that tells it from the others,
// such as {"start":"2026-03-01T00:00:00Z","region":"eu"}.
//
// # Errors
//
// They are problem details (RFC 9457); for a fault in an expression with its place.
//
// # Costs
//
// BenchmarkRecords compares the whole of POST /v1/records with a handler that only
// decodes the same body by encoding/json.
package native
