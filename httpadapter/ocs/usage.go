package ocs

import (
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

func (s *service) tenantUsage(c *httpadapter.Call) error {
	grouped := false
	switch v := c.Param("groupByNamespace"); strings.ToLower(v) {
	case "", "false":
	case "true":
		grouped = true
	default:
		return &httpadapter.Problem{Kind: httpadapter.Invalid, Field: "groupByNamespace",
			Message: "'groupByNamespace' is neither true nor false.", Allowed: "Give true or false."}
	}
	return s.answer(c, grouped, "")
}

func (s *service) namespaceUsage(c *httpadapter.Call) error {
	return s.answer(c, true, c.Path("namespaceId"))
}

// question is one request while it is being answered.
type question struct {
	*service
	c     *httpadapter.Call
	asOf  usage.AsOf
	scope usage.Scope
	// filter selects the records of the API.
	filter string
}

func (s *service) ask(c *httpadapter.Call) (*question, error) {
	at, err := c.Book.Present(c.Context())
	if err != nil {
		return nil, err
	}
	return &question{service: s, c: c, asOf: at, scope: usage.ForTenant(c.Path("tenantId")), filter: httpadapter.MeterFilter(s.meters)}, nil
}

// answer answers both usage routes.
func (s *service) answer(c *httpadapter.Call, grouped bool, only string) error {
	periods, err := days(c)
	if err != nil {
		return err
	}
	q, err := s.ask(c)
	if err != nil {
		return err
	}
	tenant, _ := c.Catalogue.Tenant(c.Path("tenantId"))
	daily := periods != nil
	if !daily {
		if periods, err = q.cycles(tenant); err != nil {
			return err
		}
	}
	var namespaces []string
	if grouped {
		if namespaces, err = q.namespaces(tenant); err != nil {
			return err
		}
		if only != "" {
			if !slices.Contains(namespaces, only) {
				return httpadapter.Missing("The tenant %q has no namespace %q.", tenant.ID, only)
			}
			namespaces = []string{only}
			q.narrow(only)
		}
	}
	rows, err := q.rows(periods, daily, grouped)
	if err != nil {
		return err
	}
	return s.write(c, tenant, periods, namespaces, grouped, rows)
}

// narrow leaves nothing but one namespace: by the scope, which no filter widens,
// where it is one dimension.
func (q *question) narrow(namespace string) {
	if list := q.fields[namespaceID]; len(list) == 1 && list[0] != "tenant" {
		q.scope = q.scope.With(strings.TrimPrefix(list[0], "dimensions/"), namespace)
		return
	}
	q.filter = httpadapter.And(q.filter, q.fields.Condition(namespaceID, namespace))
}

// namespaces returns the known ones of the tenant, in order: the catalogue's and
// those of its records.
func (q *question) namespaces(tenant httpadapter.Tenant) ([]string, error) {
	var out []string
	for _, n := range tenant.Namespaces {
		out = append(out, n.ID)
	}
	groups := q.fields.Groups([]string{namespaceID})
	measures := make([]usage.Measure, len(figures))
	for i := range figures {
		measures[i] = usage.Measure{Name: "n" + strconv.Itoa(i), Aggregation: usage.Count, Of: q.values[i]}
	}
	query := usage.Query{Filter: q.filter, GroupBy: groups.GroupBy(), Measures: measures, AsOf: q.asOf}
	for row, err := range q.c.Book.Rows(q.c.Context(), q.scope, query) {
		if err != nil {
			return nil, err
		}
		if n, ok := groups.Value(&row, namespaceID); ok && counted(&row, groups.Width()) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// counted reports whether one of the counts, which begin at a cell, is above 0:
// a record without any value of ours is not part of the API.
func counted(row *usage.Row, from int) bool {
	return slices.ContainsFunc(row.Cells[from:from+len(figures)], func(v filter.Value) bool { return !v.IsNull() && v.Decimal().IsPositive() })
}

// cycles returns the billing cycles that are shown.
func (q *question) cycles(tenant httpadapter.Tenant) ([]period, error) {
	since := tenant.Since
	if since.IsZero() {
		var has []string
		for _, v := range q.values {
			has = append(has, "values/"+v+" ne null")
		}
		first := usage.Query{Filter: httpadapter.And(httpadapter.MeterFilter(q.meters), strings.Join(has, " or ")), OrderBy: "start", PageSize: 1, Limit: 1, AsOf: q.asOf}
		page, err := q.c.Book.Query(q.c.Context(), q.scope, first)
		if err != nil {
			return nil, err
		}
		if len(page.Rows) == 0 {
			return nil, nil
		}
		since = page.Rows[0].Start
	}
	return cycles(tenant.BillingAnchorDay, since, q.c.Now()), nil
}

func (s *service) billingCycles(c *httpadapter.Call) error {
	q, err := s.ask(c)
	if err != nil {
		return err
	}
	tenant, _ := c.Catalogue.Tenant(c.Path("tenantId"))
	list, err := q.cycles(tenant)
	if err != nil {
		return err
	}
	b := []byte{'['}
	for i, p := range list {
		if i == len(list)-1 {
			break // the running one
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = httpadapter.AppendTime(append(b, `{"StartDate":`...), p.start, httpadapter.ISO)
		b = httpadapter.AppendTime(append(b, `,"EndDate":`...), p.end, httpadapter.ISO)
		b = append(b, '}')
	}
	return c.JSON(200, append(b, ']'))
}

// place is a row: the index of its period, and its namespace.
type place struct {
	period    int
	namespace string
	absent    bool // records without a namespace; or, ungrouped, all of them
}

// total is what the records of a row add up to.
type total struct {
	events  [2]decimal.Decimal
	streams [2]int64
	// unnamed are the streams that records without a stream id tell of: in a
	// day their sum, in a cycle the largest sum of a day.
	unnamed [2]decimal.Decimal
}

// chunkRecords is about how many records one query of days reads, which bounds
// the streams that it holds.
const chunkRecords = 200_000

// rows adds up the records of the periods.
func (q *question) rows(periods []period, daily, grouped bool) (map[place]*total, error) {
	out := map[place]*total{}
	if len(periods) == 0 {
		return out, nil
	}
	if !daily {
		for i, p := range periods {
			if err := q.add(out, []period{p}, i, aggregate.Window{}, grouped); err != nil {
				return nil, err
			}
			if err := q.addUnnamed(out, p, i, grouped); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	weights, err := q.weights(periods)
	if err != nil {
		return nil, err
	}
	for from := 0; from < len(periods); {
		to, sum := from+1, weights[from]
		for to < len(periods) && sum+weights[to] <= chunkRecords {
			sum += weights[to]
			to++
		}
		if sum > 0 {
			if err := q.add(out, periods[from:to], from, aggregate.Window{Unit: aggregate.Day}, grouped); err != nil {
				return nil, err
			}
		}
		from = to
	}
	return out, nil
}

// weights returns the number of records of each day.
func (q *question) weights(periods []period) ([]int64, error) {
	out := make([]int64, len(periods))
	query := usage.Query{From: periods[0].start, To: periods[len(periods)-1].end, Filter: q.filter, Window: aggregate.Window{Unit: aggregate.Day},
		Measures: []usage.Measure{{Aggregation: usage.Count}}, AsOf: q.asOf}
	for row, err := range q.c.Book.Rows(q.c.Context(), q.scope, query) {
		if err != nil {
			return nil, err
		}
		out[at(periods, row.Start)] = row.Cells[0].Decimal().IntPart()
	}
	return out, nil
}

// at returns the index of the day that begins at a time.
func at(periods []period, t time.Time) int { return int(t.Sub(periods[0].start) / (24 * time.Hour)) }

// stream is what a row counts once.
type stream struct {
	place
	namespace string // also where the row is not grouped by it
	absent    bool
	id        string
}

// add adds the records of some periods, the first of which has the index base,
// by namespace and stream.
func (q *question) add(out map[place]*total, periods []period, base int, w aggregate.Window, grouped bool) error {
	groups := q.fields.Groups([]string{namespaceID, streamID})
	measures := make([]usage.Measure, 0, 2*len(figures)+2)
	for i := range figures {
		measures = append(measures, usage.Measure{Name: "s" + strconv.Itoa(i), Of: q.values[i]})
	}
	for i := range figures {
		measures = append(measures, usage.Measure{Name: "n" + strconv.Itoa(i), Aggregation: usage.Count, Of: q.values[i]})
	}
	for i := range 2 {
		measures = append(measures, usage.Measure{Name: "m" + strconv.Itoa(i), Aggregation: usage.Max, Of: q.values[i]})
	}
	query := usage.Query{From: periods[0].start, To: periods[len(periods)-1].end, Filter: q.filter, GroupBy: groups.GroupBy(), Window: w, Measures: measures, AsOf: q.asOf}
	// With one dimension for each of the two, groups and streams are one to one;
	// with several, two groups may be one stream.
	var seen [2]map[stream]bool
	single := len(q.fields[namespaceID]) == 1 && len(q.fields[streamID]) == 1
	width := groups.Width()
	for row, err := range q.c.Book.Rows(q.c.Context(), q.scope, query) {
		if err != nil {
			return err
		}
		if !counted(&row, width+len(figures)) {
			continue
		}
		index := base
		if w.Unit != aggregate.None {
			index += at(periods, row.Start)
		}
		namespace, ok := groups.Value(&row, namespaceID)
		p := place{period: index, absent: true}
		if grouped && ok {
			p.namespace, p.absent = namespace, false
		}
		t := out[p]
		if t == nil {
			t = &total{}
			out[p] = t
		}
		id, named := groups.Value(&row, streamID)
		for d := range 2 {
			t.events[d] = t.events[d].Add(row.Cells[width+d].Decimal())
			switch {
			case !named:
				if w.Unit != aggregate.None {
					t.unnamed[d] = t.unnamed[d].Add(row.Cells[width+2+d].Decimal())
				}
			case !row.Cells[width+2*len(figures)+d].Decimal().IsPositive():
			case single:
				t.streams[d]++
			default:
				k := stream{p, namespace, !ok, id}
				if seen[d] == nil {
					seen[d] = map[stream]bool{}
				}
				if !seen[d][k] {
					seen[d][k] = true
					t.streams[d]++
				}
			}
		}
	}
	return nil
}

// addUnnamed adds, for a cycle, the largest day of what records without stream
// tell of streams.
func (q *question) addUnnamed(out map[place]*total, p period, index int, grouped bool) error {
	groups := q.fields.Groups([]string{namespaceID})
	var none []string
	for _, name := range q.fields.Groups([]string{streamID}).GroupBy() {
		none = append(none, name+" eq null")
	}
	query := usage.Query{From: p.start, To: p.end, Filter: httpadapter.And(q.filter, strings.Join(none, " and ")), GroupBy: groups.GroupBy(),
		Window: aggregate.Window{Unit: aggregate.Day}, Measures: []usage.Measure{{Name: "i", Of: q.values[ingressStreams]}, {Name: "e", Of: q.values[egressStreams]}}, AsOf: q.asOf}
	type spot struct {
		place
		day time.Time
	}
	sums := map[spot]*[2]decimal.Decimal{}
	for row, err := range q.c.Book.Rows(q.c.Context(), q.scope, query) {
		if err != nil {
			return err
		}
		k := spot{place{period: index, absent: true}, row.Start}
		if namespace, ok := groups.Value(&row, namespaceID); grouped && ok {
			k.namespace, k.absent = namespace, false
		}
		sum := sums[k]
		if sum == nil {
			sum = &[2]decimal.Decimal{}
			sums[k] = sum
		}
		for d := range 2 {
			sum[d] = sum[d].Add(row.Cells[groups.Width()+d].Decimal())
		}
	}
	for k, sum := range sums {
		t := out[k.place]
		if t == nil {
			continue // no record of it is part of the API
		}
		for d := range 2 {
			t.unnamed[d] = decimal.Max(t.unnamed[d], sum[d])
		}
	}
	return nil
}
