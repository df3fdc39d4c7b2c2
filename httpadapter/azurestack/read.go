package azurestack

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

const (
	pageRows = 1000 // documented; tests take fewer
	// mostRead bounds the rows that one query asks for, as the Book does.
	mostRead = 10_000
	// spare rows are asked for beyond those needed, for rows that fall together.
	spare = 16
	// shallow is how many rows of a bucket are rather read again and passed over than
	// left out with a condition, which is for one bucket and so costs another query.
	shallow = 2 // pages
	// growth bounds how much longer a stretch is than the one before.
	growth = 8
)

// reading is how a kind of route asks the book: what it groups by, and an order
// in which rows that belong together, or have to be put in order here, come one
// after the other.
//
// The order of groups is that order as long as every field comes from the first of
// its places: no expression has to be evaluated then. As null comes first, the rows
// read before one whose field comes from elsewhere are in order all the same; with
// such a row the walk begins anew, with groups and an order by expressions.
type reading struct {
	groupBy []string
	// at has the groups of each field, in the order in which they count; none for
	// the subscription where rows are of one.
	at     [fieldCount][]int
	tenant int // the group of the tenant, for providers

	orderBy string // empty for that of groups
	// alike is how many of the fields the rows of a run share: those before the
	// first field whose order the book does not know.
	alike int
	// exprs are meterId and resourceUri in the filter language, compared by bytes
	// whatever case rule their dimensions have.
	exprs [2]string
	exact *reading // nil in the exact one itself
}

func newReading(fields httpadapter.Fields, provider bool) *reading {
	r := &reading{alike: fieldCount}
	if provider {
		r.alike = subscriptionID // its order is that of the catalogue's spelling
	}
	for i := range r.exprs {
		r.exprs[i] = "cast(" + expression(fields, i) + ",Edm.String)"
	}
	var order []int
	ordered := 0 // fields up to the last that comes from more than one place
	for i := range fieldNames {
		if i == subscriptionID && !provider {
			continue
		}
		order = append(order, i)
		if len(places(fields, i)) > 1 {
			ordered = len(order)
		}
	}
	exact := *r
	r.exact = &exact

	for _, i := range order {
		r.group(i, places(fields, i)[:1])
	}
	for _, i := range order {
		r.group(i, places(fields, i)[1:])
	}
	// A field of one place is in order where it is a group. So only those up to
	// ordered need an expression: ties are broken by the groups, which begin with
	// the fields after these.
	keys := []string{"start"}
	for _, i := range order[ordered:] {
		exact.group(i, places(fields, i))
	}
	for _, i := range order[:ordered] {
		exact.group(i, places(fields, i))
		keys = append(keys, expression(fields, i))
	}
	if ordered > 0 {
		exact.orderBy = strings.Join(keys, ",")
	}
	if provider {
		r.tenant, exact.tenant = r.place("tenant"), exact.place("tenant")
	}
	return r
}

// places are the record fields that a field of a row comes from, as queries spell
// them.
func places(fields httpadapter.Fields, field int) []string {
	return fields.Groups([]string{fieldNames[field]}).GroupBy()
}

func (r *reading) group(field int, from []string) {
	for _, name := range from {
		r.at[field] = append(r.at[field], r.place(name))
	}
}

// place returns the group of a record field, added where there is none.
func (r *reading) place(name string) int {
	i := slices.Index(r.groupBy, name)
	if i < 0 {
		i = len(r.groupBy)
		r.groupBy = append(r.groupBy, name)
	}
	return i
}

// value returns a field of a row, and in which of its places it was found.
func (r *reading) value(row *usage.Row, field int) (t text, found int) {
	for n, i := range r.at[field] {
		if v := &row.Cells[i]; !v.IsNull() {
			return text{v.Str(), true}, n
		}
	}
	return text{}, 0
}

// expression is a field in the filter language: the first of its places that a
// record has.
func expression(fields httpadapter.Fields, field int) string {
	from := places(fields, field)
	if len(from) == 1 {
		return from[0]
	}
	arms := make([]string, len(from))
	for i, name := range from {
		arms[i] = name + " ne null:" + name
	}
	arms[len(arms)-1] = "true:" + from[len(from)-1]
	return "case(" + strings.Join(arms, ",") + ")"
}

// notBefore is the condition of rows that share the place's fields or come after
// them; empty where all do.
func (r *reading) notBefore(at *place) string {
	condition := ""
	for i := at.deep - 1; i >= 0; i-- {
		name, k := r.exprs[i], at.key[i]
		switch {
		case !k.ok && condition == "":
			// Null comes first: nothing is before it.
		case !k.ok:
			condition = "(" + name + " ne null or " + condition + ")"
		case condition == "":
			condition = "(" + name + " ge " + httpadapter.Quote(k.s) + ")"
		default:
			condition = "(" + name + " gt " + httpadapter.Quote(k.s) + " or " + name + " eq " + httpadapter.Quote(k.s) + " and " + condition + ")"
		}
	}
	return condition
}

// walk reads one page: the rows of a range in their order, from a place on.
type walk struct {
	s       *service
	r       *request
	reading *reading
	book    *usage.Book
	scope   usage.Scope
	at      place
	// customers are a provider's subscriptions by the spelling found in records.
	customers map[string]*httpadapter.Subscription
	collector
}

func (s *service) walk(c *httpadapter.Call, r *request, at place) *walk {
	if at.passed[0] <= int64(shallow*s.pageRows) {
		at.deep = 0
	}
	w := &walk{s: s, r: r, reading: s.tenant, book: c.Book, at: at, collector: newCollector(at, s.pageRows)}
	switch {
	case r.provider:
		w.reading = s.provider
		tenants := make([]string, len(r.subscribers))
		ids := make([]string, len(r.subscribers))
		for i := range r.subscribers {
			tenants[i], ids[i] = r.subscribers[i].Tenant, r.subscribers[i].ID
		}
		w.scope = usage.ForTenants(tenants...).WithFold(s.subscription, ids...)
		w.customers = map[string]*httpadapter.Subscription{}
	case r.listed:
		w.scope = usage.ForTenant(r.subscription.Tenant).WithFold(s.subscription, r.subscription.ID)
	default:
		w.scope = usage.ForTenant(r.subscription.Tenant)
	}
	w.alike = w.reading.alike
	return w
}

// run collects the rows of the page, and looks whether there is one more.
func (w *walk) run(ctx context.Context) error {
	err := w.page(ctx)
	if errors.Is(err, errInexact) {
		w.collector, w.reading = newCollector(w.at, w.s.pageRows), w.reading.exact
		w.alike = w.reading.alike
		err = w.page(ctx)
	}
	return err
}

// page collects the rows in the order of the reading.
//
// The usage is read in stretches of event time, because the order of rows begins
// with it: no more than the page needs, however much usage the range has. How long a
// stretch is follows from the rows of those before.
func (w *walk) page(ctx context.Context) error {
	bucket := w.r.bucket()
	pos, end := w.r.from, w.r.to
	if w.s.reported == Recorded {
		pos, end = time.Time{}, endOfTime
	}
	switch {
	case w.at.begun:
		at := time.UnixMicro(w.at.start).UTC()
		if at.Before(pos) || !at.Before(end) {
			return fmt.Errorf("azurestack: the token is of %s, outside the range", at)
		}
		pos = at
	case w.s.reported == Recorded:
		s, err := w.firstAfter(ctx, pos, end)
		if err != nil || s == nil {
			return err
		}
		pos = s.Start.Truncate(bucket)
	}
	density := w.s.density(w.r)
	known := int64(density.Load())
	length := w.length(growth, known, 1)
	if w.at.deep > 0 {
		length = 1 // its condition is for the rows of one bucket
	}
	read, buckets := int64(0), int64(0)
	for first := true; pos.Before(end); first = false {
		if done, err := w.full(ctx, pos, end); done || err != nil {
			return err
		}
		length = min(length, int64(end.Sub(pos)/bucket))
		to := pos.Add(time.Duration(length) * bucket)
		before := w.read
		if err := w.stretch(ctx, pos, to); err != nil {
			return err
		}
		pos = to
		got := w.read - before
		if w.more || first && w.at.begun {
			// Not all of the stretch was read: it has at least so much.
			if got/length > known && buckets == 0 {
				density.Store(uint32(min(got/length, math.MaxUint32)))
			}
			if w.more {
				return nil
			}
			length = w.length(growth*length, max(known, got/length), 1)
			continue
		}
		if got == 0 {
			// Silence, which may last: ask where it ends.
			s, err := w.firstAfter(ctx, pos, end)
			if err != nil || s == nil {
				return err
			}
			pos = s.Start.Truncate(bucket)
			continue
		}
		read, buckets = read+got, buckets+length
		density.Store(uint32(min(read/buckets, math.MaxUint32)))
		length = w.length(growth*length, read, buckets)
	}
	return nil
}

// density is about how many rows a bucket of the request's subscription had when it
// was read last, 0 where that is not known: it saves a page from finding out. It may
// be another subscription's, and decides nothing but how much is read at a time.
func (s *service) density(r *request) *atomic.Uint32 {
	h := maphash.String(s.seed, r.subscription.ID)
	return &s.densities[(h+uint64(r.unit))%uint64(len(s.densities))]
}

// length is how many buckets are likely to have the missing rows, but for the one
// that only says that there are more, where so many buckets had so many rows; at most
// most. Without a hint it is one.
func (w *walk) length(most, rows, buckets int64) int64 {
	if rows == 0 {
		return 1
	}
	return max(1, min(most, (int64(w.missing()-1)*buckets+rows-1)/rows))
}

// firstAfter finds the first record with a quantity at or after an instant, nil
// where there is none. It looks into longer and longer stretches, as a store may
// put all records of one in order to find the first.
func (w *walk) firstAfter(ctx context.Context, pos, end time.Time) (*usage.Stored, error) {
	const longest = 30 * 366 * 24 * time.Hour // a Duration has room for growth of it, and no more
	for length := w.r.bucket(); pos.Before(end); length = min(longest, length*growth) {
		to := end
		if length < to.Sub(pos) && !pos.IsZero() {
			to = pos.Add(length)
		}
		q := w.query(pos, to, w.s.counted)
		q.PageSize = 1
		page, err := w.book.Query(ctx, w.scope, q)
		if err != nil {
			return nil, err
		}
		if len(page.Rows) > 0 {
			return page.Rows[0].Record, nil
		}
		pos = to
	}
	return nil, nil
}

// full reports whether the page is done where its last row may be the last of the
// bucket before pos: then one record says whether there is another page, without
// the work for all rows of the next bucket.
func (w *walk) full(ctx context.Context, pos, end time.Time) (bool, error) {
	if len(w.rows) < w.size {
		return false, nil
	}
	s, err := w.firstAfter(ctx, pos, end)
	if err != nil || s == nil {
		return true, err
	}
	if w.r.provider {
		id, _ := s.Dimensions.Get(w.s.subscription)
		if c := w.customer(id); c == nil || c.Tenant != s.Tenant {
			return false, nil // not shown; what is behind it may be
		}
	}
	w.more = true
	w.next.start = s.Start.Truncate(w.r.bucket()).UnixMicro()
	return true, nil
}

// endOfTime is where the book's time ends.
var endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// query asks for what was used in from <= t < to, of the reported range.
func (w *walk) query(from, to time.Time, condition string) usage.Query {
	q := usage.Query{From: from, To: to, Filter: condition, AsOf: w.at.asOf}
	if w.s.reported == Event {
		return q
	}
	q.On, q.From, q.To = usage.RecordedTime, w.r.from, w.r.to
	if !from.IsZero() {
		q.Filter = httpadapter.And(q.Filter, "start ge "+from.Format(time.RFC3339))
	}
	if to.Before(endOfTime) {
		q.Filter = httpadapter.And(q.Filter, "start lt "+to.Format(time.RFC3339))
	}
	return q
}

// stretch collects the rows of a stretch of event time.
func (w *walk) stretch(ctx context.Context, from, to time.Time) error {
	condition := w.s.filter
	if w.at.begun && from.UnixMicro() == w.at.start {
		condition = httpadapter.And(condition, w.reading.notBefore(&w.at))
	}
	q := w.query(from, to, condition)
	q.GroupBy, q.OrderBy = w.reading.groupBy, w.reading.orderBy
	q.Window = aggregate.Window{Unit: w.r.unit}
	q.Measures = []usage.Measure{{Name: "sum", Of: w.s.quantity}}
	for {
		q.PageSize = min(mostRead, w.missing()+spare)
		page, err := w.book.Query(ctx, w.scope, q)
		if err != nil {
			return err
		}
		for i := range page.Rows {
			if err := w.take(&page.Rows[i]); err != nil {
				return err
			}
			if w.more {
				return nil
			}
		}
		if page.Next == "" {
			w.flush()
			return nil
		}
		q.Token = page.Next
	}
}

// errInexact stops a walk that finds a row which the order of groups misplaces.
var errInexact = errors.New("the rows need an exact order")

// take takes in a row of the book.
func (w *walk) take(in *usage.Row) error {
	w.read++
	sum := &in.Cells[len(w.reading.groupBy)]
	if sum.IsNull() {
		return nil // no record of it has a quantity
	}
	out := row{start: in.Start.UnixMicro(), sum: sum.Decimal()}
	for i := range out.fields {
		if i == subscriptionID && !w.r.provider {
			out.fields[i] = text{w.r.subscription.ID, true}
			continue
		}
		var found int
		if out.fields[i], found = w.reading.value(in, i); found > 0 && w.reading.exact != nil {
			return errInexact
		}
	}
	if w.r.provider {
		s := w.customer(out.fields[subscriptionID].s)
		if s == nil || s.Tenant != in.Cells[w.reading.tenant].Str() {
			return nil // another tenant's record that names the subscription
		}
		out.fields[subscriptionID].s = s.ID
	}
	w.add(&out)
	return nil
}

// customer finds the subscription that a record means.
func (w *walk) customer(spelled string) *httpadapter.Subscription {
	s, ok := w.customers[spelled]
	if ok {
		return s
	}
	for i := range w.r.subscribers {
		if strings.EqualFold(w.r.subscribers[i].ID, spelled) {
			s = &w.r.subscribers[i]
			break
		}
	}
	w.customers[spelled] = s
	return s
}

// blame turns an error of the book into a problem. Everything of the request was
// judged before, so what the book refuses is the token's moment, or our fault.
func (w *walk) blame(err error) error {
	switch {
	case errors.Is(err, usage.ErrTooLarge):
		return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "InvalidProperty", Field: endParam, Err: err,
			Message: "reportedEndTime is too far from reportedStartTime: the usage between them has too many lines."}
	case errors.Is(err, usage.ErrInvalid) && w.at.begun:
		return badToken(err)
	case errors.Is(err, usage.ErrInvalid):
		return &httpadapter.Problem{Kind: httpadapter.Internal, Err: err}
	}
	return err
}

// text is a field that may be absent.
type text struct {
	s  string
	ok bool
}

// row is a row of the answer.
type row struct {
	start  int64 // Unix microseconds
	fields [fieldCount]text
	sum    decimal.Decimal
}
