package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
)

// question asks for sums of the quantity, or how many resources there are, by window
// and, where it has a group, by the tenant, the meter, the namespace or the resource,
// all over what its conditions select; those not given select everything. The answer
// is in the order of window and group, or the largest ones first where it has a limit
// or a page.
type question struct {
	name, about string
	window      aggregate.Unit
	group       string
	distinct    bool // how many different resources
	tenant      string
	meters      []string
	prefix      string // of the resource
	from, to    time.Time
	limit       int
	page, size  int // the rows of this page, from 1, of pages of this size
	terms       *terms
}

// terms are those of Q6: one of the meters of the question or its prefix, and all of these.
type terms struct {
	above                decimal.Decimal // the quantity is
	notTenant, notInside string          // a tenant and a namespace that it leaves out
}

// questions returns them all, for so many records of the workload. Those of another
// variant ask the same about somebody else, so that nobody answers from memory.
func (w workload) questions(records, variant int) []question {
	from := begin.AddDate(0, 0, 20)
	tenant := fmt.Sprintf("tenant-%02d", (largest+variant)%tenants)
	if w.shape == skewed {
		// It is the large one that is hard.
		tenant, from = fmt.Sprintf("tenant-%02d", largest), from.AddDate(0, 0, variant%30)
	}
	meter := func(i int) string { return fmt.Sprintf("meter-%02d", (i+variant)%meters) }
	three := []string{meter(3), meter(14), meter(25)}
	// A book of few records has fewer pages, and shorter ones.
	page, size := max(1, min(500, records/200)), max(1, min(100, records/20_000))
	if w.shape == adversarial {
		size = max(1, min(100, records/100_000)) // three meters and a tenth of the resources
	}
	two := max(1, min(2, records/500_000))
	list := []question{
		{name: "Q1", about: "by day and meter, one tenant, 30 days",
			window: aggregate.Day, group: "meter", tenant: tenant, from: from, to: from.AddDate(0, 0, 30)},
		{name: "Q2", about: "by tenant and month, all records",
			window: aggregate.Month, group: "tenant"},
		{name: "Q3", about: "three meters and a resource prefix, by resource and day, largest 100",
			window: aggregate.Day, group: "resource", meters: three, prefix: fmt.Sprintf("resource-1%d", variant%10), limit: 100},
		{name: "Q4", about: "by hour, one tenant and meter, 7 days",
			window: aggregate.Hour, tenant: tenant, meters: []string{meter(3)}, from: from, to: from.AddDate(0, 0, 7)},
		{name: "Q5", about: "how many different resources, by tenant and month, all records",
			window: aggregate.Month, group: "tenant", distinct: true},
		{name: "Q6",
			group: "namespace", meters: three, prefix: "resource-1", terms: &terms{above: decimal.New(125, -1), notTenant: tenant, notInside: fmt.Sprintf("namespace-%02d", (variant+3)%namespaces)}},
		{name: "Q7", about: fmt.Sprintf("page %d of Q3 without a window: three meters and a resource prefix, by resource, largest first, %d in a page", page, two),
			group: "resource", meters: three, prefix: "resource-1", page: page, size: two},
		{name: "Q7d", about: fmt.Sprintf("page %d of Q3 with its window: the same by resource and day, %d in a page", page, size),
			window: aggregate.Day, group: "resource", meters: three, prefix: "resource-1", page: page, size: size},
	}
	list[5].about = "a filter of five terms by namespace: " + list[5].filter()
	return list
}

// largestFirst reports whether the answer is in the order of its figures.
func (q *question) largestFirst() bool { return q.limit > 0 || q.page > 0 }

// rows are those of the whole answer that are asked for: so many after an offset, 0
// for all.
func (q *question) rows() (offset, count int) {
	if q.page > 0 {
		return (q.page - 1) * q.size, q.size
	}
	return 0, q.limit
}

// filter is the question's conditions on fields, but the tenant, in OData.
func (q *question) filter() string {
	var list []string
	if q.meters != nil {
		list = append(list, "meter in ('"+strings.Join(q.meters, "','")+"')")
	}
	if q.prefix != "" {
		list = append(list, "startswith(resource,'"+q.prefix+"')")
	}
	if t := q.terms; t != nil {
		return fmt.Sprintf("(%s) and values/quantity gt %s and not (tenant eq '%s') and namespace ne '%s'", strings.Join(list, " or "), t.above, t.notTenant, t.notInside)
	}
	return strings.Join(list, " and ")
}

// figure is a row of an answer.
type figure struct {
	window int64 // its start in Unix microseconds
	group  string
	sum    decimal.Decimal
}

func (f figure) String() string {
	return fmt.Sprintf("%s %q %s", time.UnixMicro(f.window).UTC().Format(time.RFC3339), f.group, f.sum)
}

// sameAnswer compares answers of two to the last digit.
func sameAnswer(one, other string, a, b []figure) error {
	if len(a) != len(b) {
		return fmt.Errorf("the answers differ: %s has %d rows, %s %d", one, len(a), other, len(b))
	}
	for i := range a {
		if a[i].window != b[i].window || a[i].group != b[i].group || !a[i].sum.Equal(b[i].sum) {
			return fmt.Errorf("the answers differ: row %d is %v of %s and %v of %s", i, a[i], one, b[i], other)
		}
	}
	return nil
}
