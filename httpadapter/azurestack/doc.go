// Package azurestack serves the resource usage APIs of Azure Stack from a book: to a
// tenant its own usage, to a provider that of its direct tenants.
//
//	GET /subscriptions/{subId}/providers/Microsoft.Commerce/usageAggregates
//	GET /subscriptions/{subId}/providers/Microsoft.Commerce/subscriberUsageAggregates
//	GET /subscriptions/{subId}/providers/Microsoft.Commerce.Admin/subscriberUsageAggregates
//
// Three nouns:
//
//   - A row, called usage aggregate, is the usage of a resource by a subscription, of
//     one meter, in one UTC day or hour.
//   - A subscription is what a tenant's usage is divided by. The catalogue says whose
//     it is and which provider subscription it is a direct customer of; without a
//     catalogue a subscription id is a tenant id.
//   - Reported time is what the range of a request goes by: the moment at which the
//     book recorded a record, which may be hours after the usage that rows are of.
//
// A host mounts it with
//
//	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth}, azurestack.New(nil))
//
// Paths are found in any letter case, which an http.ServeMux does not do: hand requests
// to the adapter itself, or with Adapter.Wrap. A path whose subscription is empty, or
// was cleaned away, is answered with SubscriptionIdMissingInRequest.
//
// # Parameters
//
//	reportedStartTime, reportedEndTime  required; from <= t < to, UTC, on the hour, at
//	                                    midnight for daily rows. 2015-06-16T18:00:00Z,
//	                                    .000Z, +00:00, +00:00Z, and a blank for the plus.
//	aggregationGranularity              Daily (default) or Hourly
//	api-version                         required; 2015-06-01-preview
//	continuationToken                   of the page before, as nextLink carries it
//	subscriberId                        of a provider's direct tenant; default all
//	showDetails                         accepted and ignored
//
// Names and values are found in any letter case, and an empty one is absent.
//
// # Where the figures come from
//
//	subscriptionId  dimension subscriptionId, as the catalogue spells it; without a
//	                catalogue entry the id of the path
//	usageStartTime  the UTC day or hour of the record's start; its end plays no part
//	meterId         dimension meterId, else the record's meter
//	instanceData    dimensions resourceUri, location, tags and additionalInfo, as a JSON
//	                document in a string; absent ones are null. tags and additionalInfo
//	                are embedded as the JSON they are, or as a string where they are none
//	quantity        sum of the value quantity, exact, with at least ten decimals; a
//	                record without it is not part of the API
//	id, name, type  made of subscription, meterId and the namespace of the route asked
//
// A row is all records that agree in subscription, meterId, resourceUri, location, tags,
// additionalInfo and bucket. Rows are in the order of usageStartTime, meterId,
// resourceUri, subscriptionId, location, tags and additionalInfo, by code point and
// absent ones first. They show the book as it is known at the first page: voided records
// are gone, replacements stand in their place.
//
// A page has 1,000 rows. nextLink leads to the next one, and is absent on the last. Its
// token holds the moment of the first page, so that all pages are of one moment, and is
// bound to the caller's tenants, the route, the subscription and the parameters.
//
// # Reported time
//
// With Recorded, the default, a bucket whose records were booked at different times
// appears in each reported range with its own part, and the parts add up: a client that
// reads range after range has everything once. So a range is answered only when nothing
// can be booked into it any more. Where a writer may still do so the request waits for
// it, and is answered 503 with Retry-After when that takes longer than SettleWait. With
// Event the range goes by the start of usage, for hosts that import history; late
// records then appear in ranges that were read before.
//
// # Who may ask
//
// A caller needs the role Owner, Contributor or Reader. The tenant's route is for those
// who hold the tenant of the subscription, and narrowed to it. A provider's route is for
// those who hold the tenant of the provider's subscription, and shows the subscriptions
// that name it as their provider, deleted ones too, whether or not the caller holds
// their tenants. Records of another tenant that name one of these subscriptions are not
// shown. A subscription that nobody names as a provider is none, and answered with 403.
//
// # Choices where the documents are silent
//
// Of several faults of a request the first in this order is answered: api-version, the
// two times, the granularity, their alignment, an end in the future, an end not after
// the start, subscriberId, the token, a deleted subscription (404 SubscriptionNotFound,
// not for providers), and for providers an end after the running day's midnight (202
// ProcessingNotCompleted, with Retry-After at the next one). Future means after the
// book's clock. Offsets other than +00:00 are refused. A range whose rows the book
// cannot hold (usage.Options.MaxGroups) is 400 InvalidProperty. Throttled requests get
// 503, as Azure Stack answers them. Every answer has the header x-ms-request-id.
//
// # Caveats
//
// tags and additionalInfo are grouped by their text. Meters declared as
// httpadapter.Meters has them keep it canonical, so that equal content is one row; for
// meters of his own a host declares these dimensions as JSON.
//
// # Performance
//
// A page reads the part of the reported range that its rows come from, from rollups
// where there are some and the range is of event time, and no more, however much usage
// the range has; rows of one day or hour are added up anew for each of its pages. The
// first page of a range of recorded time has to find where its usage begins as well.
//
// BenchmarkPage1M, 1,000,000 records in memstore, two cores that others were using,
// 22 November 2026: a page took 5 to 7 ms, which is 1.2 to 1.6 times faster than
// encoding/json marshals five times its body (820 kB); the first page of a range of recorded
// time that holds all records took 16 ms.
package azurestack
