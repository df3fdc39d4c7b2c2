package filterbench_test

import "strings"

// condition is one question: as OData, as expr, as cel, and as Go.
type condition struct {
	name, odata, expr, cel string
	hand                   func(charge) bool
}

// conditions begins with those that the pages of vendors show; the others add the
// rest of what such services are asked.
var conditions = []condition{
	{
		name:  "category",
		odata: "meterCategory eq 'Data Management'",
		expr:  "meterCategory == 'Data Management'",
		cel:   "meterCategory == 'Data Management'",
		hand:  func(c charge) bool { return c.category == "Data Management" },
	},
	{
		name: "category-or-dates",
		odata: "meterCategory eq 'Data Management' or (usageDate ge cast('2018-01-01',Edm.DateTimeOffset)" +
			" and usageDate le cast('2018-04-01',Edm.DateTimeOffset))",
		expr: "meterCategory == 'Data Management' or (usageDate >= Day('2018-01-01') and usageDate <= Day('2018-04-01'))",
		cel: "meterCategory == 'Data Management' || (usageDate >= timestamp('2018-01-01T00:00:00Z')" +
			" && usageDate <= timestamp('2018-04-01T00:00:00Z'))",
		hand: func(c charge) bool {
			return c.category == "Data Management" || !c.used.Before(day(2018, 1, 1)) && !c.used.After(day(2018, 4, 1))
		},
	},
	{
		name: "customer-and-month",
		odata: "customerName eq 'Contoso' and usageDate ge 2018-01-01T00:00:00Z" +
			" and usageDate lt 2018-02-01T00:00:00Z",
		expr: "customerName == 'Contoso' and usageDate >= Day('2018-01-01') and usageDate < Day('2018-02-01')",
		cel: "customerName == 'Contoso' && usageDate >= timestamp('2018-01-01T00:00:00Z')" +
			" && usageDate < timestamp('2018-02-01T00:00:00Z')",
		hand: func(c charge) bool {
			return c.customer == "Contoso" && !c.used.Before(day(2018, 1, 1)) && c.used.Before(day(2018, 2, 1))
		},
	},
	{
		name:  "quantity",
		odata: "quantity gt 10.5",
		expr:  "quantity > 10.5",
		cel:   "quantity > 10.5",
		hand:  func(c charge) bool { return c.thousandths > 10_500 },
	},
	{
		name:  "list-and-quantity",
		odata: "meterCategory in ('Storage','Networking','Compute') and quantity gt 10.5",
		expr:  "meterCategory in ['Storage','Networking','Compute'] and quantity > 10.5",
		cel:   "meterCategory in ['Storage','Networking','Compute'] && quantity > 10.5",
		hand: func(c charge) bool {
			return (c.category == "Storage" || c.category == "Networking" || c.category == "Compute") && c.thousandths > 10_500
		},
	},
	{
		name:  "prefix-and-product",
		odata: "startswith(resourceLocation,'EU') and not (quantity mul 2 le 100)",
		expr:  "resourceLocation startsWith 'EU' and not (quantity * 2 <= 100)",
		cel:   "resourceLocation.startsWith('EU') && !(quantity * 2.0 <= 100.0)",
		hand:  func(c charge) bool { return strings.HasPrefix(c.location, "EU") && c.thousandths*2 > 100_000 },
	},
	{
		name:  "case-or-part",
		odata: "tolower(meterCategory) eq 'storage' or contains(meterCategory,'work')",
		expr:  "lower(meterCategory) == 'storage' or meterCategory contains 'work'",
		cel:   "meterCategory.lowerAscii() == 'storage' || meterCategory.contains('work')",
		hand: func(c charge) bool {
			return strings.ToLower(c.category) == "storage" || strings.Contains(c.category, "work")
		},
	},
}

// answers is what Go says.
func (c condition) answers(rows []charge) []bool {
	list := make([]bool, len(rows))
	for i, row := range rows {
		list[i] = c.hand(row)
	}
	return list
}
