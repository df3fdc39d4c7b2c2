// Package purecloud serves the UsageApi of Genesys PureCloud from a book:
//
//	POST /api/v2/usage/query
//	GET  /api/v2/usage/query/{executionId}/results
//	POST /api/v2/usage/simplesearch
//	GET  /api/v2/usage/simplesearch/{executionId}/results
//	POST /api/v2/oauth/clients/{clientId}/usage/query
//	GET  /api/v2/oauth/clients/{clientId}/usage/query/results/{executionId}
//	GET  /api/v2/oauth/clients/{clientId}/usage/summary
//
// Three nouns:
//
//   - An execution is a query that is answered in the background: of an
//     organization, of one OAuth client, or a simple search.
//   - A row is what was requested of the API in a day, week, month or the whole
//     interval, told by the fields and figures that were asked for.
//   - A client is a program that calls the API; the catalogue may register its name.
//
// A host mounts it with
//
//	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth}, purecloud.New(nil))
//
// and keeps [usage.Book.Run] going, which does the executions; the store of the book
// has to keep them (usage.TaskStore). What the routes report is booked by
// [httpadapter.Meter] or by the host.
//
// The caller needs any of the permissions oauth:client:view and
// usage:organization:view (query), usage:simpleSearch:view (simplesearch) or
// usage:client:view (clients). It asks about all of its tenants.
//
// # Executions
//
// POST and summary begin one and wait for its end, at most Options.Wait: 200, or 202
// where it is still running. The body is the same: executionId, and resultsUri, a path
// from the root of the API. Its answer speaks of the moment at which it began.
//
// Results are 200 with queryStatus Running or Failed alone, or with the results and
// Complete; a cancelled one (usage.Book.Cancel) is Failed. An execution is known to
// callers with the same tenants, on the route of its kind and for its client; it is
// kept for usage.Options.ExecutionLife after its end. Anything else is 404. An
// organization with usage.Options.WaitingExecutions unfinished ones, of all kinds
// together, gets 429.
//
// # Where the fields come from
//
//	clientId        dimension clientId
//	clientName      the registered name of the record's tenant and clientId, else the
//	                dimension clientName, else the clientId
//	organizationId  the record's tenant
//	userId, templateUri, httpMethod
//	                dimensions of the same names
//	status200, status300, status400, status500, status429, requests
//	                sums of the values of the same names
//	date            start of the UTC day, of the week (Monday) or of the month, even
//	                where the interval starts later; without granularity the start of
//	                the interval
//
// Rows have the selected of these, in this order, and are ordered by date and then by
// the fields, absent ones first. What a record does not have is absent from its row; a
// figure that nobody counted is 0. Groups that look the same are one row: in a simple
// search two clients of one name are. Where rows have the clientId, a client that has
// had several names is one row, under the registered name or else the first of its
// names in order. A record with none of the six values is not
// part of the API, and where there are no records there are no rows.
//
// groupBy names the fields of a query: OAuthClientId (clientId and clientName, which
// client routes always show), OrganizationId, UserId (not on client routes),
// TemplateUri, HttpMethod. metrics selects figures, and in a simple search the fields
// too: Date, ClientName, HttpMethod, TemplateUri. Summary is a query of the client for
// the last 7 complete UTC days, or for the parameter days, by day, TemplateUri and
// HttpMethod. The lists of a simple search (oauthClientNames, httpMethods,
// templateUris) select exactly; all of them have to allow a record.
//
// # Choices where the documents are silent
//
// An interval is half-open. Its ends are dates or instants with or without seconds,
// fraction and offset; without one they are UTC. Empty lists and null are as if absent,
// what is listed twice counts once, and a list has at most 1,000 entries; bodies have
// at most 30 KiB. A property that is not documented, or is given twice, is 400
// invalid.property. Where the catalogue registers clients, a client that it does not
// list for a tenant of the caller is 404; where it registers none, any text is a client
// and an unknown one has no rows.
//
// after and pageSize are read on the results of every execution. Without them all rows
// are shown, of simple searches the first 20,000; pages have up to 1,000 and reach every
// row. cursors is there when pages were asked for: before is the page's own, after the next one's. They are good for
// usage.Options.TokenLifetime.
//
// Every answer has a new ININ-Correlation-Id, which is the contextId of errors. Figures
// are 64-bit integers: a total with a fraction is a fault of the host's meters and 500,
// unless Options.Rounding says how to round it.
//
// # Costs
//
// An execution is answered once to be finished and again when it is read, unless the
// book remembers it; each page makes all rows. Sums come from rollups where the book has
// them. Rows are grouped by the fields that are shown or listed, before the lists leave
// some out where these are long or name clients.
package purecloud
