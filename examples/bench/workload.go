package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
)

// The workload: a quarter of usage of a service with some customers.
const (
	tenants    = 50
	namespaces = 20
	meters     = 40
	resources  = 2000 // each of one tenant and namespace
	sources    = 8
	days       = 90
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// event is what both sides are given to book: a record as a service has it.
type event struct {
	tenant, source, id, meter, namespace, resource string
	at                                             time.Time
	quantity                                       decimal.Decimal // up to 6 places
}

// traffic is a seeded stream of events in about the order of their time. Every
// fiftieth is delivered again, soon after it was delivered first; every hundredth
// comes days late.
type traffic struct {
	rnd            *rand.Rand
	total, n, each int
	recent         []event // a ring of the newest ones
	tenantNames    [tenants]string
	namespaceName  [namespaces]string
	meterNames     [meters]string
	resourceNames  [resources]string
	sourceNames    [sources]string
}

// redelivered is how many events later at most one is delivered again.
const redelivered = 10_000

// newTraffic returns a stream that is spread over the quarter when it is read to its
// total. Each resource has so many of the meters.
func newTraffic(seed uint64, total, each int) *traffic {
	t := &traffic{rnd: rand.New(rand.NewPCG(seed, 5)), total: total, each: each}
	name := func(list []string, format string) {
		for i := range list {
			list[i] = fmt.Sprintf(format, i)
		}
	}
	name(t.tenantNames[:], "tenant-%02d")
	name(t.namespaceName[:], "namespace-%02d")
	name(t.meterNames[:], "meter-%02d")
	name(t.resourceNames[:], "resource-%04d")
	name(t.sourceNames[:], "collector-%d")
	return t
}

func (t *traffic) next() (e event, again bool) {
	at := begin.Add(time.Duration(float64(t.n) / float64(t.total) * float64(days*24*time.Hour)))
	t.n++
	if len(t.recent) > 0 && t.rnd.IntN(50) == 0 {
		return t.recent[t.rnd.IntN(len(t.recent))], true
	}
	at = at.Add(-time.Duration(t.rnd.Int64N(int64(time.Hour))))
	if t.rnd.IntN(100) == 0 {
		at = at.AddDate(0, 0, -1-t.rnd.IntN(30))
	}
	if at.Before(begin) {
		at = begin
	}
	var id [16]byte
	for i := range id {
		id[i] = byte(t.rnd.Uint32())
	}
	resource := t.rnd.IntN(resources)
	e = event{
		tenant: t.tenantNames[resource%tenants], source: t.sourceNames[resource%sources], id: hex.EncodeToString(id[:]),
		meter: t.meterNames[(resource/tenants+t.rnd.IntN(t.each))%meters], namespace: t.namespaceName[resource%namespaces], resource: t.resourceNames[resource],
		at: at.Truncate(time.Microsecond), quantity: decimal.New(t.rnd.Int64N(1_000_000_000), -int32(t.rnd.IntN(7))),
	}
	if len(t.recent) < redelivered {
		t.recent = append(t.recent, e)
	} else {
		t.recent[t.n%redelivered] = e
	}
	return e, false
}

// delivery is a batch of events, fresh of them for the first time.
type delivery struct {
	events []event
	fresh  int
}

func (t *traffic) batches(count, size int) []delivery {
	list := make([]delivery, count)
	for i := range list {
		list[i].events = make([]event, size)
		for k := range size {
			e, again := t.next()
			list[i].events[k] = e
			if !again {
				list[i].fresh++
			}
		}
	}
	return list
}

// question asks for sums of the quantity by window and, where it has a group, by the
// tenant, the meter or the resource, all over what its conditions select; those not
// given select everything. The answer is in the order of window and group, or the
// largest ones first where it has a limit.
type question struct {
	name     string
	about    string
	window   aggregate.Unit
	group    string
	tenant   string
	meters   []string
	prefix   string // of the resource
	from, to time.Time
	limit    int
}

// questions returns the four of them. Those of another variant ask the same about
// somebody else, so that nobody answers from memory.
func questions(variant int) []question {
	from := begin.AddDate(0, 0, 20)
	tenant := fmt.Sprintf("tenant-%02d", (7+variant)%tenants)
	meter := func(i int) string { return fmt.Sprintf("meter-%02d", (i+variant)%meters) }
	return []question{
		{name: "Q1", about: "by day and meter, one tenant, 30 days",
			window: aggregate.Day, group: "meter", tenant: tenant, from: from, to: from.AddDate(0, 0, 30)},
		{name: "Q2", about: "by tenant and month, all records",
			window: aggregate.Month, group: "tenant"},
		{name: "Q3", about: "three meters and a resource prefix, by resource and day, largest 100",
			window: aggregate.Day, group: "resource", meters: []string{meter(3), meter(14), meter(25)}, prefix: fmt.Sprintf("resource-1%d", variant%10), limit: 100},
		{name: "Q4", about: "by hour, one tenant and meter, 7 days",
			window: aggregate.Hour, tenant: tenant, meters: []string{meter(3)}, from: from, to: from.AddDate(0, 0, 7)},
	}
}

// figure is a row of an answer.
type figure struct {
	window int64 // its start in Unix microseconds
	group  string
	sum    decimal.Decimal
}

// sameAnswer compares answers to the last digit.
func sameAnswer(ours, hand []figure) error {
	if len(ours) != len(hand) {
		return fmt.Errorf("ours has %d rows, the hand-written one %d", len(ours), len(hand))
	}
	for i := range ours {
		if ours[i].window != hand[i].window || ours[i].group != hand[i].group || !ours[i].sum.Equal(hand[i].sum) {
			return fmt.Errorf("row %d is %v in ours and %v in the hand-written one", i, ours[i], hand[i])
		}
	}
	return nil
}

// sorted returns the batch in the order of its keys. Writers that take locks in one
// order do not wait for each other in a circle.
func (b delivery) sorted() []event {
	return slices.SortedFunc(slices.Values(b.events), func(a, b event) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.source, b.source), cmp.Compare(a.id, b.id))
	})
}
