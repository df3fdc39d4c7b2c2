package partnercenter

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// line is a row of the answer: its fields by their place, and its sum.
type line struct {
	texts    [fieldCount]string
	date     time.Time
	quantity decimal.Decimal
}

// view shows a line to a filter.
type view struct {
	line  *line
	slots []field
}

// Value implements filter.Row.
func (v *view) Value(slot int) filter.Value {
	if f := v.slots[slot]; f != usageDate {
		return filter.String(v.line.texts[f])
	}
	return filter.Time(v.line.date)
}

func (s *service) azureUsage(c *httpadapter.Call) error {
	q, err := s.request(c)
	if err != nil {
		return err
	}
	var at usage.AsOf
	if token := c.Param("snapshot"); token != "" {
		place, err := c.Unseal(token, "partnercenter")
		if err != nil {
			return err
		}
		at = place.AsOf
	} else if at, err = c.Book.Present(c.Context()); err != nil {
		return err
	}
	lines, err := s.lines(c, q, at)
	if err != nil {
		return err
	}
	slices.SortFunc(lines, q.compare)
	total := int64(len(lines))
	from := min(q.skip, total)
	to := min(from+q.top, total)
	next := ""
	if to < total {
		token, err := c.Seal(httpadapter.Place{AsOf: at}, "partnercenter")
		if err != nil {
			return err
		}
		next = c.Link(httpadapter.Figure{Name: q.skipName, Value: strconv.FormatInt(to, 10)}, httpadapter.Figure{Name: q.topName, Value: strconv.FormatInt(q.top, 10)},
			httpadapter.Figure{Name: "snapshot", Value: token})
	}
	return q.write(c, lines[from:to], next, total)
}

// lines adds up the rows of the whole answer.
func (s *service) lines(c *httpadapter.Call, q *request, at usage.AsOf) ([]*line, error) {
	if !q.to.IsZero() && !q.from.Before(q.to) && !q.from.IsZero() {
		return nil, nil
	}
	// Only what the row and the condition look at is grouped by.
	needs := slices.Clone(q.fields)
	v := &view{}
	if q.condition != nil {
		for _, f := range q.condition.Fields() {
			n, ok := fieldOf(f.Name)
			if !ok {
				return nil, fmt.Errorf("the filter has the field %q, which is none of ours", f.Name)
			}
			v.slots = append(v.slots, n)
			needs = append(needs, n)
		}
	}
	var vendor []string
	var record []string
	query := usage.Query{From: q.from, To: q.to, Filter: httpadapter.MeterFilter(s.meters), Measures: []usage.Measure{{Name: "sum", Of: s.value}}, AsOf: at}
	for _, f := range needs {
		switch f {
		case usageDate:
			query.Window = aggregate.Window{Unit: aggregate.Day}
			continue
		case customerName:
			record = append(record, "tenant")
		case subscriptionName:
			vendor = append(vendor, names[subscriptionID])
			record = append(record, "tenant")
		}
		vendor = append(vendor, names[f])
	}
	slices.Sort(vendor)
	groups := s.fields.Groups(slices.Compact(vendor), record...)
	query.GroupBy = groups.GroupBy()
	sums := map[string]*line{}
	var out []*line
	var key []byte
	for row, err := range c.Book.Rows(c.Context(), c.Principal.Scope(), query) {
		if err != nil {
			return nil, err
		}
		sum := &row.Cells[groups.Width()]
		if sum.IsNull() {
			continue // no record of it has the value
		}
		l := s.line(c, groups, &row, needs)
		if q.condition != nil {
			v.line = &l
			ok, err := q.condition.Match(v)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
		}
		if slices.Contains(q.fields, usageDate) {
			l.date, _ = q.level.Bounds(l.date)
		}
		key = q.key(key[:0], &l)
		known := sums[string(key)]
		if known == nil {
			known = &l
			sums[string(key)] = known
			out = append(out, known)
		}
		known.quantity = known.quantity.Add(sum.Decimal())
	}
	return out, nil
}

// line reads the fields of a row that are needed, as the table of the package
// comment has them.
func (s *service) line(c *httpadapter.Call, groups *httpadapter.Groups, row *usage.Row, needs []field) line {
	l := line{date: row.Start}
	for _, f := range needs {
		if f == usageDate {
			continue
		}
		text, ok := groups.Value(row, names[f])
		switch f {
		case customerName:
			if !ok {
				tenant, _ := groups.Value(row, "tenant")
				known, _ := c.Catalogue.Tenant(tenant)
				text = known.Name
			}
		case subscriptionID:
			if known, found := c.Catalogue.Subscription(text); found {
				text = known.ID
			}
		case subscriptionName:
			if !ok {
				// A record may name the subscription of another tenant: the
				// name of that one is not its own to show.
				id, _ := groups.Value(row, names[subscriptionID])
				tenant, _ := groups.Value(row, "tenant")
				if known, _ := c.Catalogue.Subscription(id); known.Tenant == tenant {
					text = known.Name
				}
			}
		case meterSubcategory:
			if !ok {
				text = "None"
			}
		}
		l.texts[f] = text
	}
	return l
}

// key appends what makes two lines one row.
func (q *request) key(b []byte, l *line) []byte {
	for _, f := range q.fields {
		if f == usageDate {
			b = binary.BigEndian.AppendUint64(b, uint64(l.date.Unix()))
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(l.texts[f])))
		b = append(b, l.texts[f]...)
	}
	return b
}

// compare is the order of rows; it is total.
func (q *request) compare(a, b *line) int {
	for _, k := range q.order {
		var d int
		if k.field == usageDate {
			d = a.date.Compare(b.date)
		} else {
			d = strings.Compare(a.texts[k.field], b.texts[k.field])
		}
		if k.desc {
			d = cmp.Compare(0, d)
		}
		if d != 0 {
			return d
		}
	}
	return 0
}
