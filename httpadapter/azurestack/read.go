package azurestack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

const (
	pageRows = 1000 // documented
	// mostRead bounds the rows that one query asks for, as the Book does.
	mostRead = 10_000
	// spare rows are asked for beyond those needed, for rows that fall together.
	spare = 16
	// growth bounds how much longer a stretch is than the one before.
	growth = 8
)

// reading is how a kind of route asks the book: what it groups by, and an order
// in which rows that belong together, or have to be put in order here, come one
// after the other.
type reading struct {
	provider bool
	groups   *httpadapter.Groups
	orderBy  string
	// alike is how many of the fields the rows of a run share: those before the
	// first field whose order the book does not know.
	alike int
	// exprs are meterId and resourceUri in the filter language, compared by bytes
	// whatever case rule their dimensions have.
	exprs [2]string
}

func newReading(fields httpadapter.Fields, provider bool) *reading {
	r := &reading{provider: provider, alike: fieldCount}
	if provider {
		r.alike = subscriptionID // its order is that of the catalogue's spelling
	}
	var order []int
	ordered := 0 // fields up to the last that comes from more than one place
	for i := range fieldNames {
		if i == subscriptionID && !provider {
			continue
		}
		order = append(order, i)
		if len(fields[fieldNames[i]]) > 1 {
			ordered = len(order)
		}
	}
	// A field that comes from one place is in order where it is a group; so only
	// those up to ordered need an expression. Ties are broken by the groups, which
	// begin with the fields after these.
	keys := []string{"start"}
	var names []string
	for _, i := range order[:ordered] {
		keys = append(keys, expression(fields, i))
	}
	for _, i := range append(order[ordered:len(order):len(order)], order[:ordered]...) {
		names = append(names, fieldNames[i])
	}
	if ordered > 0 {
		r.orderBy = strings.Join(keys, ",")
	}
	if provider {
		r.groups = fields.Groups(names, "tenant")
	} else {
		r.groups = fields.Groups(names)
	}
	for i := range r.exprs {
		r.exprs[i] = "cast(" + expression(fields, i) + ",Edm.String)"
	}
	return r
}

// expression is a field in the filter language: the first of its places that a
// record has.
func expression(fields httpadapter.Fields, field int) string {
	from := fields.Groups([]string{fieldNames[field]}).GroupBy()
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
	w := &walk{s: s, r: r, reading: s.tenant, book: c.Book, at: at, collector: newCollector(at)}
	w.alike = fieldCount
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
//
// Where the range is of event time it is read in stretches, because the order of
// rows begins with time: no more of it than the page needs, however much usage
// the range has. How long a stretch is follows from the rows of those before.
func (w *walk) run(ctx context.Context) error {
	bucket := w.r.bucket()
	if w.s.reported == Recorded {
		return w.stretch(ctx, time.Time{}, time.Time{})
	}
	pos := w.r.from
	if w.at.begun {
		pos = time.UnixMicro(w.at.start).UTC()
		if pos.Before(w.r.from) || !pos.Before(w.r.to) {
			return fmt.Errorf("azurestack: the token is of %s, outside the range", pos)
		}
	}
	length, last := int64(1), int64(1)
	read, buckets := int64(0), int64(0)
	for pos.Before(w.r.to) && !w.more {
		to := pos.Add(time.Duration(length) * bucket)
		if left := int64(w.r.to.Sub(pos) / bucket); length > left {
			to, length = w.r.to, left
		}
		before := w.read
		if err := w.stretch(ctx, pos, to); err != nil {
			return err
		}
		pos, last = to, length
		got := w.read - before
		if got == 0 && !w.more && pos.Before(w.r.to) {
			// Silence, which may last: ask where it ends.
			first, ok, err := w.firstAfter(ctx, pos)
			if err != nil || !ok {
				return err
			}
			pos = first.Truncate(bucket)
			continue
		}
		read, buckets = read+got, buckets+length
		length = max(1, min(growth*last, (int64(w.missing()+spare)*buckets+read-1)/max(1, read)))
	}
	return nil
}

// firstAfter finds when the first record at or after an instant begins.
func (w *walk) firstAfter(ctx context.Context, pos time.Time) (time.Time, bool, error) {
	page, err := w.book.Query(ctx, w.scope, usage.Query{From: pos, To: w.r.to, Filter: w.s.counted, PageSize: 1, AsOf: w.at.asOf})
	if err != nil || len(page.Rows) == 0 {
		return time.Time{}, false, err
	}
	return page.Rows[0].Start, true, nil
}

// stretch collects the rows of a stretch of event time; of recorded time the
// range is always the request's.
func (w *walk) stretch(ctx context.Context, from, to time.Time) error {
	q := usage.Query{
		From: from, To: to,
		Filter:  w.s.filter,
		GroupBy: w.reading.groups.GroupBy(),
		Window:  aggregate.Window{Unit: w.r.unit},
		Measures: []usage.Measure{
			{Name: "sum", Of: w.s.quantity},
		},
		OrderBy: w.reading.orderBy,
		AsOf:    w.at.asOf,
	}
	if w.at.begun {
		after := w.reading.notBefore(&w.at)
		start := time.UnixMicro(w.at.start).UTC()
		switch {
		case w.s.reported == Recorded:
			later := "start ge " + start.Format(time.RFC3339)
			if after != "" {
				after = "(start ge " + start.Add(w.r.bucket()).Format(time.RFC3339) + " or " + after + ")"
			}
			q.Filter = httpadapter.And(q.Filter, later, after)
		case from.Equal(start):
			q.Filter = httpadapter.And(q.Filter, after)
		}
	}
	if w.s.reported == Recorded {
		q.On, q.From, q.To = usage.RecordedTime, w.r.from, w.r.to
	}
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

// take takes in a row of the book.
func (w *walk) take(in *usage.Row) error {
	w.read++
	g := w.reading.groups
	sum := &in.Cells[g.Width()]
	if sum.IsNull() {
		return nil // no record of it has a quantity
	}
	out := row{start: in.Start.UnixMicro(), sum: sum.Decimal()}
	for i, name := range fieldNames {
		if i == subscriptionID && !w.r.provider {
			out.fields[i] = text{w.r.subscription.ID, true}
			continue
		}
		out.fields[i].s, out.fields[i].ok = g.Value(in, name)
	}
	if w.r.provider {
		tenant, _ := g.Value(in, "tenant")
		s := w.customer(out.fields[subscriptionID].s)
		if s == nil || s.Tenant != tenant {
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
