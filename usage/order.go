package usage

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
)

const maxOrderKeys = 16

// orderKey is one expression of an order-by list.
type orderKey struct {
	text    string // canonical, without direction
	desc    bool
	checked *filter.Checked
	program *filter.Program
	fields  []*field // of records
	columns []int    // of rows: the place of each slot, or rowStart, rowEnd
}

const (
	rowStart = -1
	rowEnd   = -2
)

// rowSchema lets an order-by name the columns of rows, their start and end.
type rowSchema struct{ q *query }

func (s rowSchema) column(name string) (int, bool) {
	for i, c := range s.q.columns {
		if c.Name == name {
			return i, true
		}
	}
	switch name {
	case "start":
		return rowStart, true
	case "end":
		return rowEnd, true
	}
	return 0, false
}

func (s rowSchema) Field(name string) (filter.Field, bool) {
	i, ok := s.column(name)
	if !ok {
		return filter.Field{}, false
	}
	f := filter.Field{Name: name, Type: filter.TypeDecimal}
	switch {
	case i < 0:
		f.Type = filter.TypeTime
	case i < len(s.q.groups):
		f.Type = s.q.groups[i].valueType()
	}
	return f, true
}

func (s rowSchema) Names() []string {
	names := []string{"start", "end"}
	for _, c := range s.q.columns {
		names = append(names, c.Name)
	}
	return names
}

func (q *query) compileOrder() error {
	if strings.TrimSpace(q.src.OrderBy) == "" {
		return nil
	}
	list, err := filter.ParseOrderBy(q.src.OrderBy, nil)
	if err != nil {
		return fmt.Errorf("%w query: order by: %w", ErrInvalid, err)
	}
	if len(list) > maxOrderKeys {
		return invalid("order by: %d expressions, at most %d are allowed", len(list), maxOrderKeys)
	}
	var schema filter.Schema = q.book.fields
	if !q.records {
		schema = rowSchema{q}
	}
	for _, o := range list {
		c, err := filter.CheckValue(o.Expr, schema)
		if err != nil {
			return fmt.Errorf("%w query: order by: %w", ErrInvalid, err)
		}
		q.order = append(q.order, orderKey{text: c.String(), desc: o.Desc, checked: c})
	}
	return nil
}

func (k *orderKey) compile(q *query, now time.Time) {
	k.program = k.checked.At(now).Compile()
	if q.records {
		k.fields = q.book.fields.bind(k.program.Fields())
		return
	}
	for _, f := range k.program.Fields() {
		i, _ := rowSchema{q}.column(f.Name)
		k.columns = append(k.columns, i)
	}
}

// byStart reports whether records are wanted in the order in which stores scan
// them anyway.
func (q *query) byStart() bool {
	natural := []string{"start", "source", "id", "tenant"}
	for i, k := range q.order {
		if k.desc || i == len(natural) || k.text != natural[i] {
			return i == len(natural)
		}
	}
	return true
}

// item is a row or a record with the keys that place it in the answer: those of
// the order-by and then those that make the order total.
type item struct {
	keys   []filter.Value
	acc    *acc
	filled bool
	record *Stored
}

// compare orders two items' keys: the first len(q.order) of them each in its
// direction, the rest ascending.
func (q *query) compare(a, b []filter.Value) int {
	for i := range a {
		if i == len(b) {
			return 1
		}
		c := filter.Compare(a[i], b[i])
		if c == 0 {
			continue
		}
		if i < len(q.order) && q.order[i].desc {
			return -c
		}
		return c
	}
	return cmp.Compare(len(a), len(b))
}

// rowValues lets a compiled order key read a row.
type rowValues struct {
	q       *query
	columns []int
	acc     *acc
	filled  bool
}

func (r *rowValues) Value(slot int) filter.Value {
	switch i := r.columns[slot]; i {
	case rowStart:
		return instantValue(r.acc.from)
	case rowEnd:
		return instantValue(r.acc.to)
	default:
		return r.q.cellAt(r.acc, i, r.filled)
	}
}

func instantValue(us int64) filter.Value {
	if us == openPast || us == openFuture {
		return filter.Null()
	}
	return filter.Micros(us)
}

func instant(us int64) time.Time {
	if us == openPast || us == openFuture {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// rowItem makes the item of a finished row, with its keys in the scratch space
// given, from which least.add copies those that it keeps.
func (q *query) rowItem(a *acc, filled bool, values *rowValues, scratch []filter.Value) (item, error) {
	it := item{acc: a, filled: filled, keys: scratch[:0]}
	values.q, values.acc, values.filled = q, a, filled
	for i := range q.order {
		values.columns = q.order[i].columns
		v, err := q.order[i].program.Eval(values)
		if err != nil {
			return it, err
		}
		it.keys = append(it.keys, v)
	}
	it.keys = append(it.keys, instantValue(a.from))
	it.keys = append(it.keys, a.group.key...)
	return it, nil
}

func (q *query) cellAt(a *acc, column int, filled bool) filter.Value {
	if column < len(q.groups) {
		return a.group.key[column]
	}
	i := column - len(q.groups)
	return q.cell(&q.measures[i], &a.measures[i], filled)
}

// recordItem makes the item of a record, with its keys in the scratch space.
func (q *query) recordItem(s *Stored, scratch []filter.Value) (item, error) {
	it := item{record: s, keys: scratch[:0]}
	row := recordRow{record: s}
	for i := range q.order {
		row.fields = q.order[i].fields
		v, err := q.order[i].program.Eval(&row)
		if err != nil {
			return it, err
		}
		it.keys = append(it.keys, v)
	}
	it.keys = append(it.keys, timeValue(s.Start), filter.String(s.Source), filter.String(s.ID), filter.String(s.Tenant))
	return it, nil
}

// least keeps the first few items of an order out of many.
type least struct {
	q     *query
	most  int // how many to keep; negative: all
	items []item
	// inOrder: they came in order, and have no keys.
	inOrder bool
	spare   []filter.Value // room for keys: an answer may have a hundred thousand items
}

func (l *least) Len() int           { return len(l.items) }
func (l *least) Less(i, k int) bool { return l.q.compare(l.items[i].keys, l.items[k].keys) > 0 }
func (l *least) Swap(i, k int)      { l.items[i], l.items[k] = l.items[k], l.items[i] }
func (l *least) Push(x any)         { l.items = append(l.items, x.(item)) }
func (l *least) Pop() any {
	last := len(l.items) - 1
	x := l.items[last]
	l.items = l.items[:last]
	return x
}

// add takes an item if it is among the first; the keys are copied.
func (l *least) add(it item) {
	switch {
	case l.most < 0 || len(l.items) < l.most:
		n := len(it.keys)
		if cap(l.spare)-len(l.spare) < n {
			l.spare = make([]filter.Value, 0, max(n, min(256, 8+len(l.items)*n/2)))
		}
		from := len(l.spare)
		l.spare = append(l.spare, it.keys...)
		it.keys = l.spare[from : from+n : from+n]
		l.items = append(l.items, it)
		if len(l.items) == l.most {
			heap.Init(l)
		}
	case l.most > 0 && l.q.compare(it.keys, l.items[0].keys) < 0:
		it.keys = append(l.items[0].keys[:0], it.keys...)
		l.items[0] = it
		heap.Fix(l, 0)
	}
}

func (l *least) sorted() []item {
	if l.inOrder {
		return l.items
	}
	slices.SortFunc(l.items, func(a, b item) int { return l.q.compare(a.keys, b.keys) })
	return l.items
}

// cursor turns keys into those of a token; nil when one of them is of a kind
// that tokens don't hold, or too long to travel.
func cursor(keys []filter.Value) []paginate.Value {
	const most = 2 << 10
	size := 0
	out := make([]paginate.Value, len(keys))
	for i, v := range keys {
		switch v.Type() {
		case filter.TypeNull:
			out[i] = paginate.Null()
		case filter.TypeBool:
			out[i] = paginate.Bool(v.Bool())
		case filter.TypeString:
			out[i] = paginate.String(v.Str())
			size += len(v.Str())
		case filter.TypeDecimal:
			out[i] = paginate.Decimal(v.Decimal())
			size += len(out[i].String())
		case filter.TypeTime:
			out[i] = paginate.Time(v.Time())
		default:
			return nil
		}
	}
	if size > most || len(out) > paginate.MaxKeys {
		return nil
	}
	return out
}

// uncursor is the way back.
func uncursor(keys []paginate.Value) ([]filter.Value, error) {
	out := make([]filter.Value, len(keys))
	for i, v := range keys {
		switch v.Kind() {
		case paginate.KindNull:
			out[i] = filter.Null()
		case paginate.KindBool:
			b, _ := v.Bool()
			out[i] = filter.Bool(b)
		case paginate.KindString:
			s, _ := v.Text()
			out[i] = filter.String(s)
		case paginate.KindDecimal:
			d, _ := v.Decimal()
			out[i] = filter.Decimal(d)
		case paginate.KindTime:
			t, _ := v.Time()
			out[i] = filter.Time(t)
		default:
			return nil, fmt.Errorf("%w: a key of the kind %s", paginate.ErrToken, v.Kind())
		}
	}
	return out, nil
}
