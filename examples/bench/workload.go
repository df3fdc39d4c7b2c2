package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// The workload: a quarter of usage of a service with some customers.
const (
	tenants    = 50
	namespaces = 20
	meters     = 40
	resources  = 2000 // each of one tenant and namespace
	sources    = 8
	days       = 90
	labels     = 28 // dimensions of the wide workload beside namespace and resource
	largest    = 7  // the tenant that has half of the skewed workload
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// shape is what a workload is hard with.
type shape string

const (
	typical     shape = "typical"
	skewed      shape = "skewed"      // one tenant has half of it
	adversarial shape = "adversarial" // nearly every record is its own series
	wide        shape = "wide"        // records have 30 dimensions
)

var shapes = []shape{typical, skewed, adversarial, wide}

// workload says what a stream of events is like.
type workload struct {
	shape shape
	// hexIDs makes ids 32 hexadecimal digits instead of UUIDs.
	hexIDs bool
	// each is how many of the meters a resource has.
	each int
}

// labels is how many dimensions there are beside namespace and resource.
func (w workload) labels() int {
	if w.shape == wide {
		return labels
	}
	return 0
}

// event is what every contender is given to book: a record as a service has it.
type event struct {
	tenant, source, id, meter, namespace, resource string
	labels                                         []string // of the wide workload
	at                                             time.Time
	quantity                                       decimal.Decimal // up to 6 places
	again                                          bool            // it was delivered before
}

// check is what a service would check before it books, where nobody does it for it.
// It says of an event what our rules say of its record.
func (e *event) check() error {
	switch {
	case e.tenant == "" || e.source == "" || e.id == "" || e.meter == "" || e.namespace == "" || e.resource == "":
		return errors.New("a name is missing")
	case e.at.IsZero():
		return errors.New("the time is missing")
	case e.quantity.IsNegative() || e.quantity.Exponent() < -6:
		return fmt.Errorf("the quantity %s is negative or has more than 6 places", e.quantity)
	}
	return nil
}

// traffic is a seeded stream of events in about the order of their time. Every
// fiftieth is delivered again, soon after it was delivered first; every hundredth
// comes days late. It holds no more than the newest events.
type traffic struct {
	workload
	rnd           *rand.Rand
	total, n      int
	recent        []event // a ring of the newest ones
	tenantNames   [tenants]string
	namespaceName [namespaces]string
	meterNames    [meters]string
	resourceNames [resources]string
	sourceNames   [sources]string
	labelSets     [][]string // of each resource, in each zone
}

// redelivered is how many events later at most one is delivered again.
const redelivered = 10_000

// zones is how many values the one label has that is not the resource's.
const zones = 3

// newTraffic returns a stream that is spread over the quarter when it is read to its
// total. What comes after that comes in the last hour.
func newTraffic(seed uint64, total int, w workload) *traffic {
	t := &traffic{workload: w, rnd: rand.New(rand.NewPCG(seed, 5)), total: total}
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
	if n := w.labels(); n > 0 {
		t.labelSets = make([][]string, resources*zones)
		for i := range t.labelSets {
			set := make([]string, n)
			for k := range set {
				// Labels have 2 to 12 values, and agree in resources that are alike.
				set[k] = fmt.Sprintf("%s-%d", labelName(k), i/zones/(k+1)%(2+k%11))
			}
			set[n-1] = fmt.Sprintf("zone-%d", i%zones)
			t.labelSets[i] = set
		}
	}
	return t
}

// labelName is the name of a dimension of the wide workload.
func labelName(i int) string { return fmt.Sprintf("label%02d", i) }

func (t *traffic) next() event {
	at := begin.Add(time.Duration(float64(min(t.n, t.total)) / float64(t.total) * float64(days*24*time.Hour)))
	t.n++
	if len(t.recent) > 0 && t.rnd.IntN(50) == 0 {
		e := t.recent[t.rnd.IntN(len(t.recent))]
		e.again = true
		return e
	}
	at = at.Add(-time.Duration(t.rnd.Int64N(int64(time.Hour))))
	if t.rnd.IntN(100) == 0 {
		at = at.AddDate(0, 0, -1-t.rnd.IntN(30))
	}
	if at.Before(begin) {
		at = begin
	}
	e := event{id: t.id(), at: at.Truncate(time.Microsecond)}
	resource := t.resource()
	if t.shape == adversarial {
		e.resource = fmt.Sprintf("resource-%010d", resource)
	} else {
		e.resource = t.resourceNames[resource]
	}
	e.tenant, e.source, e.namespace = t.tenantNames[resource%tenants], t.sourceNames[resource%sources], t.namespaceName[resource%namespaces]
	e.meter = t.meterNames[(resource/tenants+t.rnd.IntN(t.each))%meters]
	e.quantity = decimal.New(t.rnd.Int64N(1_000_000_000), -int32(t.rnd.IntN(7)))
	if t.labelSets != nil {
		e.labels = t.labelSets[resource*zones+t.rnd.IntN(zones)]
	}
	if len(t.recent) < redelivered {
		t.recent = append(t.recent, e)
	} else {
		t.recent[t.n%redelivered] = e
	}
	return e
}

// resource returns whose usage the next event is. A resource is always of the same
// tenant and namespace.
func (t *traffic) resource() int {
	switch t.shape {
	case adversarial:
		return int(t.rnd.Int64N(10_000_000_000))
	case skewed:
		if t.rnd.IntN(2) == 0 {
			return largest + tenants*t.rnd.IntN(resources/tenants)
		}
		r := t.rnd.IntN(resources)
		if r%tenants == largest {
			r++
		}
		return r
	}
	return t.rnd.IntN(resources)
}

func (t *traffic) id() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(t.rnd.Uint32())
	}
	if t.hexIDs {
		return hex.EncodeToString(b[:])
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:8], b[:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:], b[10:])
	for _, i := range []int{8, 13, 18, 23} {
		text[i] = '-'
	}
	return string(text[:])
}

// delivery is a batch of events, fresh of them for the first time.
type delivery struct {
	events []event
	fresh  int
}

// batch returns the next events.
func (t *traffic) batch(size int) delivery {
	b := delivery{events: make([]event, size)}
	for i := range b.events {
		b.events[i] = t.next()
		if !b.events[i].again {
			b.fresh++
		}
	}
	return b
}

func (t *traffic) batches(count, size int) []delivery {
	list := make([]delivery, count)
	for i := range list {
		list[i] = t.batch(size)
	}
	return list
}

// skip has the stream go on as if so many events had been read.
func (t *traffic) skip(n int) {
	for range n {
		t.next()
	}
}

// sorted returns the batch in the order of its keys. Writers that take locks in one
// order do not wait for each other in a circle.
func (b delivery) sorted() []event {
	return slices.SortedFunc(slices.Values(b.events), func(a, b event) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.source, b.source), cmp.Compare(a.id, b.id))
	})
}

// String says what is particular about the workload.
func (w workload) String() string {
	text := "the " + string(w.shape) + " workload"
	if w.hexIDs {
		text += " with ids of 32 digits"
	} else {
		text += " with UUIDs"
	}
	if w.each != meters {
		text += fmt.Sprintf(" and %d meters of each resource", w.each)
	}
	return text
}
