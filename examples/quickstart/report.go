package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// report asks the book one question for each section and prints the answers.
func (p *program) report(ctx context.Context) error {
	r := &reporter{program: p, in: p.scope()}
	for _, ask := range []func(context.Context) (*section, error){
		r.months, r.verdicts, r.largest, r.days, r.hours, r.records, r.plans, r.drill, r.void, r.currencies, r.totals,
	} {
		s, err := ask(ctx)
		if err != nil {
			return err
		}
		if s == nil {
			continue // nothing to show of this kind
		}
		if err := p.out.section(s); err != nil {
			return err
		}
	}
	return nil
}

// reporter asks the questions. What one section finds another goes on from.
type reporter struct {
	*program
	in usage.Scope
	// top is the query for the largest groups, and first its first row.
	top   usage.Query
	first *usage.Row
}

// sum is the measure that adds a value up.
func sum(value string) usage.Measure { return usage.Measure{Name: value, Of: value} }

// records is the measure that counts records.
var records = usage.Measure{Name: "records", Aggregation: usage.Count}

// measures of a row: how many records, and the sum of the value that the
// report is about. A value of the name records wants the column for itself.
func (r *reporter) measures() []usage.Measure {
	if r.measure == records.Name {
		return []usage.Measure{sum(r.measure)}
	}
	return []usage.Measure{records, sum(r.measure)}
}

func names(measures []usage.Measure) []string {
	var n []string
	for _, m := range measures {
		n = append(n, m.Name)
	}
	return n
}

// cells returns the cells of a row by the names of its columns.
func cells(row *usage.Row, columns []string) []cell {
	var c []cell
	for _, name := range columns {
		c = append(c, value(row.Get(name)))
	}
	return c
}

// ask runs a query and adds a row to the section for each row of the answer, as
// far as -rows goes.
func (r *reporter) ask(ctx context.Context, s *section, q usage.Query, show func(*usage.Row) []cell) error {
	n := 0
	for row, err := range r.book.Rows(ctx, r.in, q) {
		if err != nil {
			return err
		}
		if n++; r.rows == 0 || n <= r.rows {
			s.rows = append(s.rows, show(&row))
		}
	}
	if more := n - len(s.rows); more > 0 {
		s.note(fmt.Sprintf("%s more: -rows 0 shows all.", plural(more, "row")))
	}
	return nil
}

// months: totals by service and month.
func (r *reporter) months(ctx context.Context) (*section, error) {
	by := r.by[0]
	if slices.Contains(r.by, "service") {
		by = "service"
	}
	measures := r.measures()
	s := &section{name: "months", title: "Totals of " + r.measure + " by " + by + " and month"}
	s.columns = append(textColumns(by, "month"), numberColumns(names(measures)...)...)
	q := usage.Query{
		GroupBy:  []string{by},
		Window:   aggregate.Window{Unit: aggregate.Month, Location: r.zone},
		Measures: measures,
		OrderBy:  by, // ties, the months of a service, are in the order of time
	}
	return s, r.ask(ctx, s, q, func(row *usage.Row) []cell {
		c := cells(row, []string{by})
		c = append(c, instant(row.Start.In(r.zone), "2006-01"))
		return append(c, cells(row, names(measures))...)
	})
}

// verdicts: what the rules said of the records when they were booked. Without
// rules there is nothing to show.
func (r *reporter) verdicts(ctx context.Context) (*section, error) {
	if !isFocus(r.mapping.targets) {
		return nil, nil
	}
	s := &section{name: "verdicts", title: "Verified and billable " + r.measure}
	measures := r.measures()
	by := []string{"chargeCategory", "verified", "billable"}
	s.columns = append(textColumns(by...), numberColumns(names(measures)...)...)
	q := usage.Query{GroupBy: by, Measures: measures, OrderBy: "chargeCategory"}
	return s, r.ask(ctx, s, q, func(row *usage.Row) []cell { return cells(row, append(by, names(measures)...)) })
}

// largest: the ten largest groups.
func (r *reporter) largest(ctx context.Context) (*section, error) {
	s := &section{name: "largest", title: "The ten largest by " + list(r.by)}
	measures := r.measures()
	if r.measure != "quantity" && slices.Contains(r.mapping.values(), "quantity") {
		measures = append(measures, sum("quantity"))
	}
	columns := append(slices.Clone(r.by), names(measures)...)
	s.columns = append(textColumns(r.by...), numberColumns(names(measures)...)...)
	r.top = usage.Query{GroupBy: r.by, Measures: measures, OrderBy: r.measure + " desc", Limit: 10}
	page, err := r.book.Query(ctx, r.in, r.top)
	if err != nil {
		return nil, err
	}
	for i := range page.Rows {
		s.rows = append(s.rows, cells(&page.Rows[i], columns))
	}
	if len(page.Rows) > 0 {
		r.first = &page.Rows[0]
	}
	return s, nil
}

// days: the whole time as a series with a chart, by days or, where these would
// be too many, by months.
func (r *reporter) days(ctx context.Context) (*section, error) {
	var ends []time.Time
	for _, order := range []string{"start", "start desc"} {
		page, err := r.book.Query(ctx, r.in, usage.Query{OrderBy: order, Limit: 1})
		if err != nil {
			return nil, err
		}
		for _, row := range page.Rows {
			ends = append(ends, row.Start)
		}
	}
	if len(ends) < 2 {
		return nil, nil // an empty book
	}
	const most = 92 // a quarter of a year
	w := aggregate.Window{Unit: aggregate.Day, Location: r.zone}
	layout := "2006-01-02"
	if ends[1].Sub(ends[0]) > most*24*time.Hour {
		w.Unit, layout = aggregate.Month, "2006-01"
	}
	from, _ := w.Bounds(ends[0])
	_, to := w.Bounds(ends[1])
	return r.series(ctx, "days", fmt.Sprintf("%s by %s", r.measure, w.Unit), w, from, to, layout)
}

// hours: one day by the hour, the largest one.
func (r *reporter) hours(ctx context.Context) (*section, error) {
	day := aggregate.Window{Unit: aggregate.Day, Location: r.zone}
	page, err := r.book.Query(ctx, r.in, usage.Query{Window: day, Measures: r.measures(), OrderBy: r.measure + " desc", Limit: 1})
	if err != nil || len(page.Rows) == 0 {
		return nil, err
	}
	row := page.Rows[0]
	layout := "15:04"
	if r.zone != time.UTC {
		layout = "15:04-07:00" // an hour that is shown twice is told apart
	}
	title := fmt.Sprintf("%s on %s by the hour", r.measure, row.Start.In(r.zone).Format("2006-01-02"))
	return r.series(ctx, "hours", title, aggregate.Window{Unit: aggregate.Hour, Location: r.zone}, row.Start, row.End, layout)
}

// series is a section with a row for every window of a range, silent ones
// included.
func (r *reporter) series(ctx context.Context, name, title string, w aggregate.Window, from, to time.Time, layout string) (*section, error) {
	measures := r.measures()
	s := &section{name: name, title: title}
	s.columns = append(textColumns(w.Unit.String()), numberColumns(names(measures)...)...)
	s.columns = append(s.columns, column{name: "chart", chart: r.measure})
	q := usage.Query{From: from, To: to, Window: w, Measures: measures, ZeroFill: true}
	return s, r.ask(ctx, s, q, func(row *usage.Row) []cell {
		c := []cell{instant(row.Start.In(r.zone), layout)}
		c = append(c, cells(row, names(measures))...)
		return append(c, cell{})
	})
}

// records: two pages of single records, filtered and in an order.
func (r *reporter) records(ctx context.Context) (*section, error) {
	expression := r.filter
	if expression == "" {
		expression = r.someFilter()
	}
	s := &section{name: "records", title: "Records where " + expression + ", largest first"}
	shown := append([]string{"id", "start"}, r.by...)
	s.columns = append(textColumns("page"), textColumns(shown...)...)
	s.columns = append(s.columns, numberColumns(r.measure)...)
	q := usage.Query{Filter: expression, OrderBy: "values/" + r.measure + " desc", PageSize: 5, Count: true}
	for number := 1; number <= 2; number++ {
		page, err := r.book.Query(ctx, r.in, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Rows {
			row := &page.Rows[i]
			c := append([]cell{whole(number)}, cells(row, shown)...)
			s.rows = append(s.rows, append(c, value(row.Get("values/"+r.measure))))
		}
		if number == 1 {
			s.note(fmt.Sprintf("%s in all.", plural(int(page.Count), "record")))
		}
		if page.Next == "" {
			break
		}
		// The token goes on where the page ended, in the book as it was then,
		// whatever is booked in the meantime.
		q.Token = page.Next
	}
	return s, nil
}

// someFilter is a filter that most FOCUS exports have answers to; other files
// get what they have columns for.
func (r *reporter) someFilter() string {
	terms := []string{"values/" + r.measure + " gt 0"}
	if r.measure == "cost" || r.measure == "quantity" {
		terms[0] = r.measure + " gt 0"
	}
	has := r.mapping.dimensions()
	if slices.Contains(has, "chargeCategory") {
		terms = append(terms, "chargeCategory eq 'Usage'")
	}
	if slices.Contains(has, "unit") && slices.Contains(has, "category") {
		terms = append(terms, "(unit in ('GB','Hours') or startswith(tolower(category),'storage'))")
	}
	return strings.Join(terms, " and ")
}

// drill: the records behind the first of the largest figures.
func (r *reporter) drill(ctx context.Context) (*section, error) {
	if r.first == nil {
		return nil, nil
	}
	const shown = 5
	s := &section{name: "drill", title: fmt.Sprintf("The records behind %s %s of %s", r.measure, r.first.Get(r.measure), r.group(r.first))}
	s.columns = append(textColumns("id", "start", "counted"), numberColumns(r.measure)...)
	total, count := decimal.Decimal{}, 0
	e := usage.Explain{Query: r.top, Row: r.first, PageSize: 1000}
	for {
		page, err := r.book.Explain(ctx, r.in, e)
		if err != nil {
			return nil, err
		}
		for _, x := range page.Records {
			amount := cell{}
			if n, ok := x.Values.Get(r.measure); ok {
				amount = text(n.String())
				if x.Counted {
					total = total.Add(n)
				}
			}
			if count++; count <= shown {
				s.add(text(x.ID), instant(x.Start, time.RFC3339Nano), text(fmt.Sprint(x.Counted)), amount)
			}
		}
		if e.Token = page.Next; e.Token == "" {
			break
		}
	}
	if more := count - len(s.rows); more > 0 {
		s.note(fmt.Sprintf("and %s more.", plural(more, "record")))
	}
	s.note(fmt.Sprintf("Together they are %s: the figure, to the last digit.", total))
	if want := r.first.Get(r.measure); !want.IsNull() && !want.Decimal().Equal(total) {
		return nil, fmt.Errorf("the records behind %s %s add up to %s", r.measure, want, total)
	}
	return s, nil
}

// group names the group of a row.
func (r *reporter) group(row *usage.Row) string {
	var parts []string
	for _, name := range r.by {
		c := value(row.Get(name))
		parts = append(parts, shown(c, false, widest))
	}
	return strings.Join(parts, ", ")
}

// void: a record is taken out of the book and put back. Nothing is deleted for
// it: each step is a record of its own, and every figure can be asked for as it
// was before.
func (r *reporter) void(ctx context.Context) (*section, error) {
	if r.first == nil {
		return nil, nil
	}
	target, err := r.largestBehind(ctx)
	if err != nil || target == nil {
		return nil, err
	}
	s := &section{name: "void", title: fmt.Sprintf("Taking %s out of %s, and back", target.ID, r.group(r.first))}
	measures := r.measures()
	s.columns = append(textColumns("step", "counted", "why"), numberColumns(names(measures)...)...)
	// state adds a row: the figure as it is now, and whether the record counts.
	state := func(step string) (usage.AsOf, error) {
		figure, asOf, err := r.figure(ctx, measures, usage.AsOf{})
		if err != nil {
			return asOf, err
		}
		ex, err := r.book.Explain(ctx, r.in, usage.Explain{Identity: target})
		if err != nil {
			return asOf, err
		}
		var counted, why cell
		for _, x := range ex.Records {
			counted, why = text(fmt.Sprint(x.Counted)), cell{x.Why, x.Why != ""}
		}
		s.add(append([]cell{text(step), counted, why}, figure...)...)
		return asOf, nil
	}
	if _, err := state("before"); err != nil {
		return nil, err
	}
	const source = "quickstart void"
	if _, err := r.book.Void(ctx, *target, source, "void"); err != nil {
		return nil, err
	}
	voided, err := state("after the void")
	if err != nil {
		return nil, err
	}
	void := usage.Identity{Tenant: target.Tenant, Source: source, ID: "void"}
	if _, err := r.book.Void(ctx, void, source, "void of the void"); err != nil {
		return nil, err
	}
	if _, err := state("after the void of the void"); err != nil {
		return nil, err
	}
	figure, _, err := r.figure(ctx, measures, voided)
	if err != nil {
		return nil, err
	}
	s.add(append([]cell{text("as it was between the two"), {}, {}}, figure...)...)
	return s, nil
}

// figure is the row of the largest group at a moment. A group whose last record
// is gone has none.
func (r *reporter) figure(ctx context.Context, measures []usage.Measure, at usage.AsOf) ([]cell, usage.AsOf, error) {
	var group []string
	for _, name := range r.by {
		group = append(group, name+" eq "+r.first.Get(name).Literal())
	}
	q := usage.Query{GroupBy: r.by, Measures: measures, Filter: strings.Join(group, " and "), AsOf: at}
	page, err := r.book.Query(ctx, r.in, q)
	if err != nil {
		return nil, usage.AsOf{}, err
	}
	if len(page.Rows) == 0 {
		return make([]cell, len(measures)), page.AsOf, nil
	}
	return cells(&page.Rows[0], names(measures)), page.AsOf, nil
}

// largestBehind is the record with the greatest part in the first figure.
func (r *reporter) largestBehind(ctx context.Context) (*usage.Identity, error) {
	var found *usage.Identity
	var most decimal.Decimal
	e := usage.Explain{Query: r.top, Row: r.first, PageSize: 1000}
	for {
		page, err := r.book.Explain(ctx, r.in, e)
		if err != nil {
			return nil, err
		}
		for _, x := range page.Records {
			if n, ok := x.Values.Get(r.measure); ok && x.Counted && (found == nil || n.GreaterThan(most)) {
				id := x.Identity()
				found, most = &id, n
			}
		}
		if e.Token = page.Next; e.Token == "" {
			return found, nil
		}
	}
}

// plans: how much was read for the answers above.
func (r *reporter) plans(ctx context.Context) (*section, error) {
	s := &section{name: "plans", title: "What is read for an answer"}
	s.columns = append(textColumns("question", "read"), numberColumns("rows read", "records behind it")...)
	for _, q := range []struct {
		title string
		query usage.Query
	}{
		{"total by month", usage.Query{Window: aggregate.Window{Unit: aggregate.Month}, Measures: r.measures()}},
		{"largest by " + list(r.by), r.top},
		{"records of more than one", usage.Query{Filter: "values/" + r.measure + " gt 1", Measures: r.measures()}},
	} {
		plan, err := r.book.Plan(ctx, r.in, q.query)
		if err != nil {
			return nil, err
		}
		var kinds []string
		for _, read := range plan.Reads {
			if read.Rows == 0 {
				continue
			}
			kind := read.Kind
			if kind == "rollup" {
				kind = read.Level.String() + " rollup"
			}
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
		s.add(text(q.title), text(strings.Join(kinds, ", ")), whole(int(plan.RowsRead)), whole(int(plan.Records)))
	}
	return s, nil
}

// currencies: costs by currency, where there are several; a sum over all of them
// is no amount of money.
func (r *reporter) currencies(ctx context.Context) (*section, error) {
	if !slices.Contains(r.mapping.dimensions(), "currency") {
		return nil, nil
	}
	var costs []usage.Measure
	for _, v := range r.mapping.values() {
		if strings.HasSuffix(strings.ToLower(v), "cost") {
			costs = append(costs, sum(v))
		}
	}
	if len(costs) == 0 {
		return nil, nil
	}
	s := &section{name: "currencies", title: "Costs by currency"}
	s.columns = append(textColumns("currency"), numberColumns(names(costs)...)...)
	q := usage.Query{GroupBy: []string{"currency"}, Measures: costs, OrderBy: "currency"}
	err := r.ask(ctx, s, q, func(row *usage.Row) []cell { return cells(row, append([]string{"currency"}, names(costs)...)) })
	if err != nil || len(s.rows) < 2 {
		return nil, err
	}
	s.note("Sums over all of these, as in the tables above and below, mix currencies: -by currency,service keeps them apart.")
	return s, nil
}

// totals: everything, added up.
func (r *reporter) totals(ctx context.Context) (*section, error) {
	s := &section{name: "totals", title: "Grand total"}
	s.columns = append(textColumns("value", "column"), numberColumns("records", "total")...)
	var measures []usage.Measure
	for _, v := range r.mapping.values() {
		measures = append(measures, sum(v), usage.Measure{Name: "count_" + v, Aggregation: usage.Count, Of: v})
	}
	page, err := r.book.Query(ctx, r.in, usage.Query{Measures: measures})
	if err != nil {
		return nil, err
	}
	for i := range page.Rows {
		row := &page.Rows[i]
		for _, t := range r.mapping.targets {
			if t.part == partValue {
				s.add(text(t.name), text(t.column), value(row.Get("count_"+t.name)), value(row.Get(t.name)))
			}
		}
	}
	return s, nil
}

// list joins names as a sentence does.
func list(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
