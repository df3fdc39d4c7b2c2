// Package partnercenter serves the Azure usage analytics of Microsoft's Partner
// Center from a book:
//
//	GET /partner/v1/analytics/azureusage
//	GET /partner/v1/analytics/usage/azure   (its later path)
//
// Three nouns:
//
//   - A partner is the caller; its customers are the tenants it holds.
//   - A row is what a customer used of a meter in a day, told by thirteen fields.
//   - A snapshot is the moment of a first page, which its next links carry, so
//     that all pages speak of one.
//
// A host mounts it with
//
//	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth}, partnercenter.New(nil))
//
// The caller has to be a person (kind user) with the permission
// partner:analytics:view.
//
// # Parameters
//
// Names are found in any letter case; filter, orderby, top and skip with a $ too.
// Empty ones are absent.
//
//	top               rows in a page: 1 to 10,000, the default; more is 10,000
//	skip              rows to pass over, 0 by default
//	filter            a condition on the thirteen fields, in the language of package filter
//	groupby           a list of fields: rows have these, and quantity
//	aggregationLevel  day (the default), week or month, for usageDate in groupby; not
//	                  allowed without groupby
//	orderby           a list of fields, each with asc or desc
//	startDate         2018-05-27, 2018/05/27, 5/27/2018 or an instant; in the range
//	endDate           the same; a day is in the range, an instant is not
//
// # Where the fields come from
//
// In the order of a row, the first dimension that is there:
//
//	customerTenantId    customerTenantId, else the record's tenant
//	customerName        customerName, else the catalogue's name of the tenant
//	subscriptionId      subscriptionId, as the catalogue spells it
//	subscriptionName    subscriptionName, else the catalogue's name of the subscription,
//	                    where it is one of the record's tenant
//	usageDate           UTC day of start; grouped, the first day of its day, week or month
//	resourceLocation    resourceLocation, location
//	meterCategory       meterCategory
//	meterSubcategory    meterSubcategory, else None
//	meterUnit           meterUnit, unit
//	reservationOrderId  reservationOrderId
//	reservationId       reservationId
//	consumptionMeterId  consumptionMeterId, meterId
//	serviceType         serviceType
//	quantity            sum of the value quantity, exact
//
// What is nowhere is the empty text, so no field is ever null. All of this happens
// before filter, groups and order. In filters customerTenantId, subscriptionId,
// reservationOrderId, reservationId and consumptionMeterId compare without regard to
// case; groups and order are exact. usageDate in a filter is the midnight of its day,
// also where rows are grouped by week or month; startDate and endDate look at the
// start of the record itself.
//
// # Choices where the documents are silent
//
// The answer is {"Value", "@nextLink", "TotalCount"}, as the sibling analytics have
// it. quantity is a number with every digit. Rows are ordered by orderby, then
// usageDate, then their other fields. A next link repeats the parameters with skip
// advanced and a snapshot; a skip without one reads the present. Weeks begin on
// Monday.
//
// # Costs
//
// Every page adds up the whole answer, from rollups where the book has them; groups
// are only the record fields that the request names.
package partnercenter
