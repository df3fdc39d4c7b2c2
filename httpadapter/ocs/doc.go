// Package ocs serves the Usage Data API of OSIsoft Cloud Services, later AVEVA
// Data Hub, from a book:
//
//	GET /api/v1/tenants/{tenantId}/usage
//	GET /api/v1/tenants/{tenantId}/namespaces/{namespaceId}/usage
//	GET /api/v1/tenants/{tenantId}/subscriptionterm/billingcycles
//
// Three nouns:
//
//   - A row is what a tenant, or one namespace of it, read and wrote in a day or a
//     billing cycle.
//   - A stream is identified by its namespace and its own id; a row counts the
//     different ones that were written to (ingress) and read from (egress).
//   - A billing cycle is a month that begins on the tenant's anchor day.
//
// A host mounts it with
//
//	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth}, ocs.New(nil))
//
// # Parameters
//
//	start, end        a date, or an instant with or without offset (none is UTC), of
//	                  which the UTC day counts. Both ends are in the range. Empty is
//	                  absent. start alone is that one day; neither is billing cycles.
//	groupByNamespace  true or false, on the tenant's route
//
// Parameter names are found in any letter case.
//
// # Where the figures come from
//
//	Date                    start of the UTC day or of the cycle
//	TenantId                the path's tenantId, which is the record's tenant
//	NamespaceId             dimension namespaceId when grouped; null otherwise, and for
//	                        records that have none
//	ClusterRegion           the catalogue's: of the namespace, else of the tenant, else 0
//	IngressEvents           sum of the value ingressEvents
//	IngressStreamsAccessed  number of different streams (namespaceId, streamId) with
//	                        ingressEvents above 0 within the row's day or cycle, plus
//	                        the value ingressStreamsAccessed of records without
//	                        streamId: summed in a day, the largest day's sum in a cycle
//	EgressEvents, EgressStreamsAccessed  the same for egress
//
// Days and cycles without usage are rows of zeros. Grouped, there is a row for each
// known namespace: those of the catalogue and those in any record of the tenant; and
// one with the namespace null before them as soon as one record of the whole range has
// no namespace. Rows are in the order of Date and NamespaceId.
//
// # Choices where the documents are silent
//
// The distinct count of a cycle is over the cycle and not an average of its days. A
// range has at most 366 days. Cycles begin with the one that holds the tenant's start
// (the catalogue's since, else the day of its first record) and end with the running
// one, after at most twelve completed; billingcycles lists the completed ones. A start
// without a day, an end before it or without it, and values that are no dates are 400.
// Numbers are 64-bit integers: a total with a fraction is a fault of the host's meters
// and 500, unless Options.Rounding says how to round it.
//
// # Costs
//
// Distinct counts hold the streams of a day or cycle in memory, one day or a few at a
// time. Sums come from rollups where the book has them.
package ocs
