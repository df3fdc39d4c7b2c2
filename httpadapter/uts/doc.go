// Package uts serves the Usage Transparency Service of Siemens MindSphere, later
// Insights Hub, from a book. Below /api/usagetransparency/v3 there are
//
//	POST /usages
//	POST /usagesJobs
//	GET  /usagesJobs
//	GET  /usagesJobs/{id}
//	GET  /usagesJobs/{id}/errors
//	GET  /aggregatedMonthlyConsumerUsage
//	GET  /aggregatedMonthlyProviderUsage
//
// Three nouns:
//
//   - An operator is the caller's own tenant: it owns the jobs, and is the provider
//     of what it sends.
//   - A job is the usages of one POST. They are safe in the store when it is
//     answered, and booked by [usage.Book.Run], after the book's rules have judged
//     them.
//   - A KPI makes the records of an application into a figure for each month and
//     consumer: see [rules.KPI] and usage.Options.KPIs.
//
// A host mounts it with
//
//	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth}, uts.New(nil))
//
// The book's store has to keep tasks ([usage.TaskStore]). The caller needs the
// permission uts:usages:write to send, uts:usages:read to read, and a tenant of its
// own.
//
// # Parameters
//
// Empty ones are absent.
//
//	date         GET /usagesJobs: a day, or an instant, of which the UTC day counts;
//	             today by default
//	tenant, application, unit
//	             GET /usagesJobs: jobs with a usage that has all of them, counted by
//	             such usages alone
//	errorClass   validation, billing or other, in any letter case, with or without
//	             Error; every class by default
//	month        the English name in any letter case, or 1 to 12
//	year         four digits
//	provider, application, KPIName
//	             name the KPI; provider is the caller itself on the provider's route
//	consumer     the provider's route: one consumer alone
//	page, size   a page and its size, at most 1,000. The first page is 1 on the
//	             routes of jobs, and 0 on the provider's. Sizes are 10 by default, 200
//	             of GET /usagesJobs/{id} and 20 of the provider's route
//
// # What is booked
//
// Each usage is one record of the meter app-usage, with the source uts and the id
// JOB/N: N is its place in the document, from 0.
//
//	record       POST /usagesJobs                       POST /usages
//	tenant       tenantId                               CustomerTenantID
//	start        datetime                               usageDate
//	quantity     value, exact                           usage, a whole number
//	provider     the operator                           the operator
//	application  application, else alias                resourceAlias
//	alias        alias, else application                resourceAlias
//	resource     resource                               resourceName, if given
//	unit         unit                                   usageUnit
//	userId       userId, else tenantId                  CustomerUserID
//	userType     userType, else user; tenant without    user
//	             userId
//
// Instants are in UTC unless they end in an offset, +01:00 or +0100. A request has at
// most 200 usages over all users. One with more, with a fault, or with a tenant that
// the caller does not hold, is refused whole and nothing is stored; the fault names its
// property: users[0].resources[0].usages[3].unit. Null is absent.
//
// # What becomes of a usage
//
//	ACCEPTED                not looked at yet
//	VERIFIED                passed by a rule, to be booked
//	NOVERIFICATION          no rule is about it, to be booked
//	VERIFICATIONFAILED      refused: by a rule, or by the book (an OtherError: a closed
//	                        meter, a conflict)
//	AGGREGATED              booked
//	SENTFORBILLING          booked, and taken by the book's Biller
//	FAILEDTOSENDFORBILLING  booked, and refused by it
//
// A job is ERRORS when nothing is left to do and a usage has failed. A book whose rules
// are strict takes usage only where a rule is about it, as newer documents of the API
// have it; by default usage without a rule is taken.
//
// # Choices where the documents are silent
//
// POST answers 200; POST /usages with the text "", POST /usagesJobs with the job as it was
// accepted. With the header Idempotency-Key a request that is repeated, saying the same
// however it is spelled, has the first answer as long as its job is kept; one that says
// something else is 400. Jobs are listed newest first, as long as they are among the
// operator's latest 1,000 (usage.Options.KeepJobs). A usage that failed is shown with UTC
// instants and the number as it is booked; errorData is such a list of one user for
// every class of error, the billing system's id is the message parameter billingId, and
// logref is the operation id of the request that sent the usage. An aggregate without any
// record in the month is 204 with an empty body; of a tenant that the caller does not hold
// it is so, too. The tenants of a provider are those that its token holds. 405 and 408 are
// methodNotAllowed and requestTimeout, 503 is serviceUnavailable.
//
// # Caveats
//
// Without [usage.Book.Run] jobs stay ACCEPTED. The jobs of an operator show its customers'
// usages to whoever calls from that tenant, also where the token holds fewer of them.
//
// # Costs
//
// A job is one write, and then one of its records; accepting 200 usages takes about 0.3 ms
// of one core in memory, which is what encoding/json alone takes to decode them
// (BenchmarkPost). A list of jobs reads all of the day;
// an aggregate adds up the days of its month, from rollups where the book has them.
package uts
