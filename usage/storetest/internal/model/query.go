package model

import (
	"math/big"
	"slices"
	"time"
)

// Aggregation is how the values of many records become one.
type Aggregation uint8

// The aggregations.
const (
	Sum Aggregation = iota
	Count
	Min
	Max
	Avg
	First
	Last
	Distinct
)

// Measure is a figure of a row. Of is a field name (values/NAME for all but
// Distinct); empty with Count: the records themselves.
type Measure struct {
	Name        string
	Aggregation Aggregation
	Of          string
	Meter       string
}

// Order is a column to order by: a group, a measure, or for records a field.
type Order struct {
	Column     string
	Descending bool
}

// Query asks for rows. It speaks of the records that counted when Mark was the
// newest sequence.
type Query struct {
	Tenants  []string // nil: all
	Required map[string]string
	From, To time.Time
	Recorded bool // the range is on Recorded
	Where    Condition
	Group    []string
	Window   Window
	Measures []Measure
	Order    []Order
	Limit    int
	ZeroFill bool
	Mark     uint64
	Places   int // of an average
}

// Row is a row of an answer: cells are groups, then measures; in an answer of
// records there is a Record instead.
type Row struct {
	Start, End time.Time
	Cells      []Value
	Record     *Booked
}

// Select returns the counted records that a query is about, in the order of
// start, source, id and tenant.
func (b *Book) Select(q *Query) []*Booked {
	var out []*Booked
	for _, r := range b.Records {
		if r.Counts(q.Mark) && q.scope(r) && q.within(r) && (q.Where == nil || q.Where.Holds(r) == True) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, byPosition)
	return out
}

func byPosition(a, b *Booked) int {
	if c := a.Start.Compare(b.Start); c != 0 {
		return c
	}
	if c := compareBytes(a.Source, b.Source); c != 0 {
		return c
	}
	if c := compareBytes(a.ID, b.ID); c != 0 {
		return c
	}
	return compareBytes(a.Tenant, b.Tenant)
}

func (q *Query) scope(r *Booked) bool {
	if q.Tenants != nil && !slices.Contains(q.Tenants, r.Tenant) {
		return false
	}
	for name, want := range q.Required {
		if have, ok := r.Dimensions[name]; !ok || have != want {
			return false
		}
	}
	return true
}

func (q *Query) within(r *Booked) bool {
	t := r.Start
	if q.Recorded {
		t = r.Recorded
	}
	return (q.From.IsZero() || !t.Before(q.From)) && (q.To.IsZero() || t.Before(q.To))
}

// Rows answers a query in full.
func (b *Book) Rows(q *Query) []Row {
	records := b.Select(q)
	var rows []Row
	if len(q.Group) == 0 && len(q.Measures) == 0 && q.Window.Unit == None {
		for _, r := range records {
			rows = append(rows, Row{Start: r.Start, End: r.End, Record: r})
		}
	} else {
		rows = q.fold(records)
	}
	slices.SortStableFunc(rows, q.compare)
	if q.Limit > 0 && len(rows) > q.Limit {
		rows = rows[:q.Limit]
	}
	return rows
}

// bucket is the records of one row.
type bucket struct {
	start, end time.Time
	group      []Value
	records    []*Booked
}

func (q *Query) fold(records []*Booked) []Row {
	var buckets []*bucket
	index := map[string]*bucket{}
	at := func(start, end time.Time, group []Value) *bucket {
		key := start.String()
		for _, v := range group {
			key += "\x00" + v.String() // texts are quoted, and hold no NUL
		}
		k := index[key]
		if k == nil {
			k = &bucket{start: start, end: end, group: group}
			index[key] = k
			buckets = append(buckets, k)
		}
		return k
	}
	groups := [][]Value{}
	for _, r := range records {
		group := make([]Value, len(q.Group))
		for i, name := range q.Group {
			group[i] = r.Field(name)
		}
		groups = append(groups, group)
		start, end := q.From, q.To
		if q.Window.Unit != None {
			start, end = q.Window.Bounds(r.Start)
		}
		k := at(start, end, group)
		k.records = append(k.records, r)
	}
	if q.ZeroFill {
		if len(q.Group) == 0 {
			groups = [][]Value{nil}
		}
		for t := q.From; t.Before(q.To); {
			start, end := q.Window.Bounds(t)
			for _, group := range groups {
				at(start, end, group)
			}
			t = end
		}
	}
	rows := make([]Row, len(buckets))
	for i, k := range buckets {
		rows[i] = Row{Start: k.start, End: k.end, Cells: slices.Clone(k.group)}
		for _, m := range q.Measures {
			rows[i].Cells = append(rows[i].Cells, m.of(k.records, q.Places))
		}
	}
	return rows
}

// of aggregates records, which are in the order of their positions.
func (m Measure) of(records []*Booked, places int) Value {
	filled := len(records) == 0 // only zero fill makes a row without records
	var values []Value
	for _, r := range records {
		switch {
		case m.Meter != "" && r.Meter != m.Meter:
		case m.Of == "":
			values = append(values, OfInt(1))
		default:
			if v := r.Field(m.Of); v.Kind != Null {
				values = append(values, v)
			}
		}
	}
	switch m.Aggregation {
	case Count:
		return OfInt(int64(len(values)))
	case Distinct:
		seen := map[string]bool{}
		for _, v := range values {
			seen[v.String()] = true
		}
		return OfInt(int64(len(seen)))
	case Sum:
		if len(values) == 0 && filled {
			return OfInt(0)
		}
	}
	if len(values) == 0 {
		return Value{}
	}
	switch m.Aggregation {
	case First:
		return values[0]
	case Last:
		return values[len(values)-1]
	case Min:
		return slices.MinFunc(values, Compare)
	case Max:
		return slices.MaxFunc(values, Compare)
	}
	sum := new(big.Rat)
	for _, v := range values {
		sum.Add(sum, v.N)
	}
	if m.Aggregation == Avg {
		sum = Divide(sum, new(big.Rat).SetInt64(int64(len(values))), places)
	}
	return OfNumber(sum)
}

// compare orders rows: the columns asked for, then window and group; records by
// position.
func (q *Query) compare(a, b Row) int {
	for _, o := range q.Order {
		c := Compare(q.column(a, o.Column), q.column(b, o.Column))
		if o.Descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	if a.Record != nil {
		return byPosition(a.Record, b.Record)
	}
	if c := a.Start.Compare(b.Start); c != 0 {
		return c
	}
	for i := range q.Group {
		if c := Compare(a.Cells[i], b.Cells[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (q *Query) column(r Row, name string) Value {
	if r.Record != nil {
		return r.Record.Field(name)
	}
	if i := slices.Index(q.Group, name); i >= 0 {
		return r.Cells[i]
	}
	for i, m := range q.Measures {
		if m.Name == name {
			return r.Cells[len(q.Group)+i]
		}
	}
	return Value{}
}
