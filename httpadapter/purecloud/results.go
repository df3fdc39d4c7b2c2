package purecloud

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

const (
	// maxSearchRows is how many rows a simple search shows that is not paged.
	maxSearchRows = 20_000
	maxPageSize   = 1000
)

// text is a field of a row.
type text struct {
	value string
	ok    bool // false: the records don't have it
}

// row is a row of the answer.
type row struct {
	date  time.Time
	texts [fieldCount]text
	sums  [figureCount]decimal.Decimal
	rank  rank // of the client's name
	// figures are the sums of the selected figures, once the row is to be shown.
	figures [figureCount]int64
}

// paging is what was asked of a result: all of it, where size is 0.
type paging struct {
	size, from int
}

// results answers with the rows of an execution, or says how far it is.
func (s *service) results(c *httpadapter.Call, k kind) error {
	page, err := readPaging(c)
	if err != nil {
		return err
	}
	x, p, err := s.execution(c, k)
	if err != nil {
		return err
	}
	switch x.State {
	case usage.ExecutionRunning:
		return c.JSON(200, []byte(`{"queryStatus":"Running"}`))
	case usage.ExecutionComplete:
	default:
		return c.JSON(200, []byte(`{"queryStatus":"Failed"}`))
	}
	rows, err := s.rows(c, x, p)
	if err != nil {
		return err
	}
	from, to := 0, len(rows)
	var before, after string
	switch {
	case page.size > 0:
		from = min(page.from, len(rows))
		to = min(from+page.size, len(rows))
		if from > 0 {
			if before, err = seal(c, x, from); err != nil {
				return err
			}
		}
		if to < len(rows) {
			if after, err = seal(c, x, to); err != nil {
				return err
			}
		}
	case k == simpleSearch:
		to = min(to, maxSearchRows)
	}
	rows = rows[from:to]
	for _, r := range rows {
		for _, f := range p.Figures {
			if r.figures[f], err = s.rounding.Integer(r.sums[f], s.meters, s.values[f]); err != nil {
				return err
			}
		}
	}
	return p.write(c, rows, page.size > 0, before, after)
}

// purpose is what cursors are for.
const purpose = "purecloud results"

// readPaging reads the parameters of a page.
func readPaging(c *httpadapter.Call) (page paging, err error) {
	if size := c.Param("pageSize"); size != "" {
		if page.size, err = readNumber("pageSize", size, 0, maxPageSize); err != nil {
			return page, err
		}
	}
	after := c.Param("after")
	if after == "" {
		return page, nil
	}
	place, err := c.Unseal(after, purpose, c.Path("executionId"))
	if err != nil {
		p := *httpadapter.ProblemOf(err)
		p.Code, p.Field = invalidParam, "after"
		return page, &p
	}
	page.from = int(place.Seen)
	if page.size == 0 {
		page.size = maxPageSize
	}
	return page, nil
}

// seal makes the cursor of the page that begins with a row: an execution's rows
// don't change, so that their number is a place.
func seal(c *httpadapter.Call, x *usage.Execution, from int) (string, error) {
	return c.Seal(httpadapter.Place{AsOf: x.AsOf, Seen: int64(from)}, purpose, x.ID)
}

// rows makes the rows of an execution: what the book has grouped gets its names,
// is held against the lists, and becomes one row where it looks the same.
func (s *service) rows(c *httpadapter.Call, x *usage.Execution, p *plan) ([]*row, error) {
	groups := p.groups()
	width := groups.Width()
	lists := map[field]map[string]bool{}
	for f, items := range p.Lists {
		lists[f] = map[string]bool{}
		for _, item := range items {
			lists[f][item] = true
		}
	}
	known := map[string]*row{}
	var out []*row
	var key []byte
next:
	for cells, err := range c.Book.ExecutionRows(c.Context(), x.Owner, x.ID) {
		if err != nil {
			return nil, err
		}
		if len(cells.Cells) != width+int(figureCount) {
			return nil, fmt.Errorf("the execution %s has %d columns, its plan %d groups", x.ID, len(cells.Cells), width)
		}
		sums := cells.Cells[width:]
		if !slices.ContainsFunc(sums, func(v filter.Value) bool { return !v.IsNull() }) {
			continue // none of its records has a value of ours
		}
		r := row{date: p.From}
		if p.Date == byCut {
			r.date = cells.Start
		}
		for f, name := range fieldNames {
			if p.Sources[name] == nil {
				continue
			}
			if field(f) == clientName {
				r.texts[f], r.rank = s.name(c, groups, &cells)
				continue
			}
			r.texts[f].value, r.texts[f].ok = groups.Value(&cells, name)
		}
		for f, allowed := range lists {
			if t := r.texts[f]; !t.ok || !allowed[t.value] {
				continue next
			}
		}
		key = p.key(key[:0], &r)
		line := known[string(key)]
		if line == nil {
			line = &r
			known[string(key)] = line
			out = append(out, line)
		} else if p.identified() {
			line.name(&r)
		}
		for i, v := range sums {
			if !v.IsNull() {
				line.sums[i] = line.sums[i].Add(v.Decimal())
			}
		}
	}
	slices.SortFunc(out, p.compare)
	return out, nil
}

// rank says where a client's name comes from: the better one is shown.
type rank uint8

const (
	byID rank = iota
	byRecord
	byRegistry
)

// name reads the name of a group's client: the registry's, else that of its
// records, else its id.
func (s *service) name(c *httpadapter.Call, groups *httpadapter.Groups, cells *usage.Row) (text, rank) {
	value, ok := groups.Value(cells, fieldNames[clientName])
	id, identified := groups.Value(cells, fieldNames[clientID])
	tenant, _ := groups.Value(cells, "tenant")
	if k, listed := c.Catalogue.Client(tenant, id); identified && listed && k.Name != "" {
		return text{k.Name, true}, byRegistry
	}
	if value == "" && identified {
		return text{id, true}, byID
	}
	if !ok {
		return text{}, byID
	}
	return text{value, true}, byRecord
}

// name takes the name of another group of the same client where that is better
// known, or as well and before it in order.
func (r *row) name(o *row) {
	if o.rank > r.rank || o.rank == r.rank && o.texts[clientName].value < r.texts[clientName].value {
		r.rank, r.texts[clientName] = o.rank, o.texts[clientName]
	}
}

// identified reports whether rows are by client id, which the name then follows:
// a client that has had several names is one row.
func (p *plan) identified() bool { return slices.Contains(p.Fields, clientID) }

// key appends what makes two groups one row.
func (p *plan) key(b []byte, r *row) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.date.UnixMicro()))
	for _, f := range p.Fields {
		if f == clientName && p.identified() {
			continue
		}
		t := r.texts[f]
		if !t.ok {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(append(b, 1), uint64(len(t.value)))
		b = append(b, t.value...)
	}
	return b
}

// compare is the order of rows; it is total.
func (p *plan) compare(a, b *row) int {
	if d := a.date.Compare(b.date); d != 0 {
		return d
	}
	for _, f := range p.Fields {
		if f == clientName && p.identified() {
			continue
		}
		x, y := a.texts[f], b.texts[f]
		switch {
		case x.ok != y.ok && y.ok:
			return -1
		case x.ok != y.ok:
			return 1
		}
		if d := strings.Compare(x.value, y.value); d != 0 {
			return d
		}
	}
	return 0
}
