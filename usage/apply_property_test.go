package usage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
)

// TestApplyAgainstNaive evaluates random pipelines over a book that rolls, one
// that doesn't and one whose store adds nothing up, and compares them with an
// evaluator that takes a list of all records through every stage.
func TestApplyAgainstNaive(t *testing.T) {
	t.Parallel()
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	evaluated, served, windowed := 0, 0, 0
	for seed := range uint64(rounds) {
		w := newWorld(t, 100+seed)
		for range 6 {
			w.append()
		}
		rollAll(t, w.rolled)
		w.append()
		for range 60 {
			g := &pipelines{rng: w.rng}
			q := usage.ApplyQuery{Apply: g.pipeline(), PageSize: 10_000, Count: true}
			scope, from := w.query()
			q.From, q.To, q.On, q.AsOf = from.From, from.To, from.On, from.AsOf
			if g.rng.IntN(3) == 0 {
				q.Window.Unit = pick(g.rng, aggregate.Hour, aggregate.Day, aggregate.Month)
			} else {
				if g.rng.IntN(3) == 0 {
					q.Filter = g.condition(g.end)
				}
				if g.rng.IntN(3) == 0 {
					q.OrderBy = g.orderBy(g.end)
				}
			}
			got, err := w.rolled.Apply(t.Context(), scope, q)
			if q.Window.Unit != aggregate.None && err != nil && strings.Contains(err.Error(), "window") {
				continue // nothing that a window could cut
			}
			require.NoError(t, err, "%+v", q)
			evaluated++
			if q.Window.Unit != aggregate.None {
				windowed++
			}
			var names []string
			for _, c := range got.Columns[ownColumns(got.Columns):] {
				names = append(names, c.Name)
			}
			want := naiveApply(t, w.raw, scope, q, names)
			require.Equal(t, strings.Join(want, "\n"), strings.Join(applyRows(got), "\n"), "%+v\n%+v", scope, q)
			require.EqualValues(t, len(want), got.Count)

			again, err := w.raw.Apply(t.Context(), scope, q)
			require.NoError(t, err, "%+v", q)
			require.Equal(t, applyRows(got), applyRows(again), "%+v", q)

			plan, err := w.rolled.PlanApply(t.Context(), scope, q)
			require.NoError(t, err)
			if slices.ContainsFunc(plan.Reads, func(r usage.PlanRead) bool { return r.Kind == "rollup" && r.Rows > 0 }) {
				served++
			}

			// Pages of a random size make up the same rows.
			q.PageSize = 1 + g.rng.IntN(1+len(want)/2)
			var paged []string
			for {
				page, err := w.rolled.Apply(t.Context(), scope, q)
				require.NoError(t, err, "%+v", q)
				require.Equal(t, got.Count, page.Count)
				paged = append(paged, applyRows(page)...)
				if q.Token = page.Next; q.Token == "" {
					break
				}
			}
			require.Equal(t, strings.Join(want, "\n"), strings.Join(paged, "\n"), "%+v", q)
		}
	}
	t.Logf("%d pipelines, %d of them windowed, %d served by rollups", evaluated, windowed, served)
	require.Greater(t, evaluated, 40*rounds)
	require.Greater(t, served, 5*rounds)
	require.Greater(t, windowed, 3*rounds)
}

// pipelines makes random pipelines that have no fault.
type pipelines struct {
	rng   *rand.Rand
	names int
	steps int
	end   applyNames // what rows have after the pipeline
}

// applyNames are the names that rows have at a place, by type.
type applyNames struct {
	open                   bool
	texts, numbers, others []string
}

func (n applyNames) clone() applyNames {
	n.texts, n.numbers, n.others = slices.Clone(n.texts), slices.Clone(n.numbers), slices.Clone(n.others)
	return n
}

var recordNames = applyNames{open: true, texts: []string{"region", "zone", "source", "meter", "tenant", "dimensions/zone"}, numbers: []string{"values/quantity", "cost"}}

func (g *pipelines) pipeline() string {
	at := recordNames.clone()
	if g.rng.IntN(2) == 0 {
		text, end := g.sequence(at, 0)
		g.end = end
		return text
	}
	// What a Query can do, and more of it.
	text := pick(g.rng, "", "filter(region eq 'eu' or region eq null)/", "filter(meter eq 'a')/filter(region ne 'us')/")
	sum, end := g.name(), applyNames{}
	measures := fmt.Sprintf("aggregate(quantity with %s as %s,$count as n)", pick(g.rng, "sum", "min", "max", "average"), sum)
	group := pick(g.rng, "region", "meter", "tenant")
	end.numbers = []string{sum, "n"}
	switch g.rng.IntN(4) {
	case 0:
		text += measures
	case 1:
		text += "concat(groupby((" + group + ")," + measures + ")," + measures + ")"
		end.texts = []string{group}
	case 2:
		text += "groupby((" + group + ")," + measures + "/filter(n gt 3)/compute(n mul 2 as m))"
		end.texts, end.numbers = []string{group}, append(end.numbers, "m")
	default:
		text += "groupby((" + group + ")," + measures + ")"
		end.texts = []string{group}
	}
	rest, end := g.sequence(end, 1)
	g.end = end
	return text + "/" + rest
}

func (g *pipelines) name() string {
	g.names++
	return fmt.Sprint("x", g.names)
}

func (g *pipelines) sequence(at applyNames, depth int) (string, applyNames) {
	var steps []string
	for range 1 + g.rng.IntN(4-depth) {
		if g.steps++; g.steps > 20 {
			break
		}
		var s string
		s, at = g.step(at, depth)
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return "identity", at
	}
	return strings.Join(steps, "/"), at
}

func (g *pipelines) any(at applyNames) string {
	return pick(g.rng, slices.Concat(at.texts, at.numbers)...)
}

func (g *pipelines) condition(at applyNames) string {
	var parts []string
	for range 1 + g.rng.IntN(2) {
		switch {
		case g.rng.IntN(6) == 0 && at.open:
			parts = append(parts, pick(g.rng, "start ge 2026-03-30T00:00:00Z", "billable eq true", "id lt '00050'", "sequence gt 40", "meter in ('a','b')"))
		case len(at.numbers) > 0 && g.rng.IntN(2) == 0:
			parts = append(parts, pick(g.rng, at.numbers...)+pick(g.rng, " gt 1", " le 5", " eq null", " ne 2"))
		case len(at.texts) > 0:
			parts = append(parts, pick(g.rng, at.texts...)+pick(g.rng, " eq 'eu'", " ne 'eu'", " in ('us','a','z1')", " ne null", " ge 's'"))
		default:
			parts = append(parts, "true")
		}
	}
	return pick(g.rng, "", "", "not ") + "(" + strings.Join(parts, pick(g.rng, " and ", " or ")) + ")"
}

func (g *pipelines) orderBy(at applyNames) string {
	var keys []string
	for range 1 + g.rng.IntN(2) {
		keys = append(keys, g.any(at)+pick(g.rng, "", " desc"))
	}
	return strings.Join(keys, ",")
}

func (g *pipelines) step(at applyNames, depth int) (string, applyNames) {
	if len(at.numbers) == 0 {
		name := g.name()
		at.numbers = append(at.numbers, name)
		return "compute(" + pick(g.rng, "5", "length("+pick(g.rng, append(at.texts, "'x'")...)+")") + " as " + name + ")", at
	}
	switch g.rng.IntN(12) {
	case 0, 1:
		return "filter(" + g.condition(at) + ")", at
	case 2, 3:
		name := g.name()
		if len(at.texts) > 0 && g.rng.IntN(2) == 0 {
			t := pick(g.rng, at.texts...)
			at.texts = append(at.texts, name)
			return "compute(" + pick(g.rng, "concat("+t+",'!')", "case("+t+" eq null:'none',true:"+t+")", "substring("+t+",0,1)") + " as " + name + ")", at
		}
		a, b := pick(g.rng, at.numbers...), pick(g.rng, at.numbers...)
		at.numbers = append(at.numbers, name)
		return "compute(" + pick(g.rng, a+" mul "+b, a+" sub "+b, a+" divby 3", "-("+a+")") + " as " + name + ")", at
	case 4, 5, 6:
		return g.groupBy(at, depth)
	case 7:
		if depth == 0 && g.rng.IntN(2) == 0 {
			return "identity", at // the rest would have one row
		}
		text, after := g.aggregate(at)
		return text, after
	case 8:
		return "orderby(" + g.orderBy(at) + ")", at
	case 9:
		return pick(g.rng, "top(", "skip(") + fmt.Sprint(g.rng.IntN(30)) + ")", at
	case 10:
		n := pick(g.rng, at.numbers...)
		kind := pick(g.rng, "top", "bottom")
		switch g.rng.IntN(3) {
		case 0:
			return fmt.Sprintf("%scount(%d,%s)", kind, g.rng.IntN(20), g.any(at)), at
		case 1:
			return fmt.Sprintf("%ssum(%d.5,%s)", kind, g.rng.IntN(50), n), at
		}
		return fmt.Sprintf("%spercent(%d,%s)", kind, g.rng.IntN(101), n), at
	}
	if depth > 1 {
		return "identity", at
	}
	var branches []string
	after := applyNames{}
	for range 2 + g.rng.IntN(2) {
		text, end := g.sequence(at.clone(), depth+1)
		branches = append(branches, text)
		after.open = after.open || end.open
		for _, list := range []struct{ to, from *[]string }{{&after.texts, &end.texts}, {&after.numbers, &end.numbers}} {
			for _, n := range *list.from {
				if !slices.Contains(*list.to, n) {
					*list.to = append(*list.to, n)
				}
			}
		}
	}
	return "concat(" + strings.Join(branches, ",") + ")", after
}

func (g *pipelines) groupBy(at applyNames, depth int) (string, applyNames) {
	var groups []string
	after := applyNames{}
	add := func(n string, to *[]string) {
		bare := strings.TrimPrefix(n, "dimensions/")
		if !slices.ContainsFunc(groups, func(h string) bool { return strings.TrimPrefix(h, "dimensions/") == bare }) {
			groups = append(groups, n)
			*to = append(*to, bare)
		}
	}
	for range 1 + g.rng.IntN(2) {
		if len(at.texts) > 0 && g.rng.IntN(5) > 0 {
			add(pick(g.rng, at.texts...), &after.texts)
		} else {
			add(pick(g.rng, at.numbers...), &after.numbers)
		}
	}
	text := "groupby((" + strings.Join(groups, ",") + ")"
	join := func(end applyNames) applyNames {
		for _, n := range end.texts {
			if !slices.Contains(after.texts, n) {
				after.texts = append(after.texts, n)
			}
		}
		for _, n := range end.numbers {
			if !slices.Contains(after.numbers, n) {
				after.numbers = append(after.numbers, n)
			}
		}
		return after
	}
	switch g.rng.IntN(6) {
	case 0:
		return text + ")", after
	case 1:
		if depth < 2 {
			inner, end := g.sequence(at.clone(), depth+1)
			if end.open {
				return text + "," + inner + ")", end
			}
			return text + "," + inner + ")", join(end)
		}
	case 2:
		if depth < 2 {
			inner, end := g.aggregate(at)
			rest, end := g.sequence(end, depth+1)
			return text + "," + inner + "/" + rest + ")", join(end)
		}
	}
	inner, end := g.aggregate(at)
	return text + "," + inner + ")", join(end)
}

func (g *pipelines) aggregate(at applyNames) (string, applyNames) {
	after := applyNames{}
	var parts []string
	for range 1 + g.rng.IntN(3) {
		name := g.name()
		n := strings.TrimPrefix(pick(g.rng, at.numbers...), "values/")
		if g.rng.IntN(4) == 0 {
			n = pick(g.rng, at.numbers...)
		}
		if !at.open && !slices.Contains(at.numbers, n) {
			n = pick(g.rng, at.numbers...)
		}
		if g.rng.IntN(4) == 0 {
			n += pick(g.rng, " mul ", " add ") + pick(g.rng, at.numbers...)
		}
		method := pick(g.rng, "sum", "sum", "min", "max", "average", "countdistinct", "$count", "text")
		switch {
		case method == "$count":
			parts = append(parts, "$count as "+name)
		case method == "countdistinct":
			parts = append(parts, g.any(at)+" with countdistinct as "+name)
		case method == "text" && at.open:
			parts = append(parts, pick(g.rng, "dimensions/region with max", "zone with min", "id with max", "meter with max")+" as "+name)
			after.texts = append(after.texts, name)
			continue
		case method == "text":
			method = "sum"
			fallthrough
		default:
			parts = append(parts, n+" with "+method+" as "+name)
		}
		after.numbers = append(after.numbers, name)
	}
	return "aggregate(" + strings.Join(parts, ",") + ")", after
}

// naiveRow is a row by the names of its fields.
type naiveFields map[string]filter.Value

type naiveSlots struct {
	names []string
	row   naiveFields
}

func (s *naiveSlots) Value(slot int) filter.Value { return s.row[s.names[slot]] }

func naiveEval(c *filter.Checked, r naiveFields) filter.Value {
	p := c.Compile()
	s := &naiveSlots{row: r}
	for _, f := range p.Fields() {
		s.names = append(s.names, f.Name)
	}
	v, err := p.Eval(s)
	if err != nil {
		panic(err)
	}
	return v
}

// naiveSchema knows the names that pipelines uses.
type naiveSchema map[string]filter.Field

func (s naiveSchema) Field(name string) (filter.Field, bool) {
	for _, prefix := range []string{"", "dimensions/", "values/"} {
		if f, ok := s[strings.TrimPrefix(name, prefix)]; ok {
			return f, true
		}
	}
	f, ok := s[name]
	return f, ok
}

func (s naiveSchema) MeasureField(name, _ string) (filter.Field, bool) {
	if name == "quantity" {
		name = "values/quantity"
	}
	return s.Field(name)
}

func (s naiveSchema) Names() []string { return nil }

func newNaiveSchema() naiveSchema {
	s := naiveSchema{}
	for name, t := range map[string]filter.Type{"id": filter.TypeString, "source": filter.TypeString, "tenant": filter.TypeString, "meter": filter.TypeString,
		"start": filter.TypeTime, "end": filter.TypeTime, "sequence": filter.TypeDecimal, "billable": filter.TypeBool,
		"region": filter.TypeString, "zone": filter.TypeString, "cost": filter.TypeDecimal, "values/quantity": filter.TypeDecimal} {
		s[name] = filter.Field{Name: name, Type: t}
	}
	return s
}

// naiveRecords are the counted records as rows, in the order of records.
func naiveRecords(t *testing.T, book *usage.Book, scope usage.Scope, q usage.ApplyQuery) []naiveFields {
	var out []naiveFields
	query := usage.Query{From: q.From, To: q.To, On: q.On, AsOf: q.AsOf}
	for row, err := range book.Rows(t.Context(), scope, query) {
		require.NoError(t, err)
		r := row.Record
		n := naiveFields{"id": filter.String(r.ID), "source": filter.String(r.Source), "tenant": filter.String(r.Tenant), "meter": filter.String(r.Meter),
			"start": filter.Time(r.Start), "sequence": filter.Number(int64(r.Sequence), 0), "billable": filter.Bool(r.Verdict.Billable), "#": filter.String(r.ID)}
		dimension := func(to string, names ...string) {
			for _, name := range names {
				if v, ok := r.Dimensions.Get(name); ok {
					n[to] = filter.String(v)
					return
				}
			}
		}
		dimension("region", "region")
		if r.Meter == "b" {
			dimension("zone", "zone", "az")
		} else {
			dimension("zone", "zone")
		}
		for name, v := range r.Values.All() {
			if name == "quantity" {
				name = "values/quantity"
			}
			n[name] = filter.Decimal(v.Decimal())
		}
		out = append(out, n)
	}
	return out
}

// naiveApply returns the rows as applyRows prints them. columns are the names
// beside a record's own.
func naiveApply(t *testing.T, book *usage.Book, scope usage.Scope, q usage.ApplyQuery, columns []string) (rows []string) {
	tree, err := filter.ParseApply(q.Apply, nil)
	require.NoError(t, err)
	schema := newNaiveSchema()
	p, err := filter.CheckApply(tree, schema)
	require.NoError(t, err, q.Apply)
	list, _ := naiveStages(p, naiveRecords(t, book, scope, q), q.Window.Unit)
	fields, open := []filter.Field(nil), true
	if n := len(p.Stages); n > 0 {
		fields, open = p.Stages[n-1].Fields, p.Stages[n-1].Open
	}
	after := naiveSchema{}
	if open {
		after = schema
	}
	for _, f := range fields {
		after[f.Name] = f
	}
	if q.Filter != "" {
		e, err := filter.Parse(q.Filter, nil)
		require.NoError(t, err)
		c, err := filter.Check(e, after)
		require.NoError(t, err)
		list = slices.DeleteFunc(list, func(r naiveFields) bool { return !naiveEval(c, r).Bool() })
	}
	if q.OrderBy != "" {
		o, err := filter.ParseOrderBy(q.OrderBy, nil)
		require.NoError(t, err)
		keys, err := filter.CheckOrderBy(o, after)
		require.NoError(t, err)
		list = naiveOrder(list, keys)
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	// The naive checker does not know that a window adds columns.
	require.ElementsMatch(t, names, slices.DeleteFunc(slices.Clone(columns), func(n string) bool {
		return q.Window.Unit != aggregate.None && (n == "start" || n == "end")
	}), "%+v", q)
	for _, r := range list {
		var cells []string
		if id, ok := r["#"]; ok {
			cells = append(cells, "#"+id.Str())
		}
		for _, c := range columns {
			switch v := r[c]; {
			case v.IsNull():
				cells = append(cells, "-")
			case v.Type() == filter.TypeTime && v.Time().Truncate(24*time.Hour).Equal(v.Time()):
				cells = append(cells, v.Time().Format(time.DateOnly))
			default:
				cells = append(cells, v.String())
			}
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return rows
}

func naiveOrder(list []naiveFields, keys []filter.Key) []naiveFields {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b naiveFields) int {
		for _, k := range keys {
			c := filter.Compare(naiveEval(k.Value, a), naiveEval(k.Value, b))
			if c != 0 && k.Desc {
				return -c
			} else if c != 0 {
				return c
			}
		}
		return 0
	})
	return list
}

// naiveStages takes a list of rows through stages, one by one. unit: by which
// window the first grouping is; the result is None once it was.
func naiveStages(p *filter.Pipeline, list []naiveFields, unit aggregate.Unit) ([]naiveFields, aggregate.Unit) {
	for i := range p.Stages {
		s := &p.Stages[i]
		switch s.Kind {
		case "filter":
			var kept []naiveFields
			for _, r := range list {
				if naiveEval(s.Filter, r).Bool() {
					kept = append(kept, r)
				}
			}
			list = kept
		case "compute":
			var made []naiveFields
			for _, r := range list {
				n := naiveFields{}
				for k, v := range r {
					n[k] = v
				}
				for _, c := range s.Computed {
					n[c.As] = naiveEval(c.Value, r)
				}
				made = append(made, n)
			}
			list = made
		case "aggregate", "groupby":
			list = naiveGroup(s, list, unit)
			unit = aggregate.None
		case "orderby":
			list = naiveOrder(list, s.Keys)
		case "top":
			list = list[:min(int64(len(list)), s.N)]
		case "skip":
			list = list[min(int64(len(list)), s.N):]
		case "concat":
			var all []naiveFields
			after := unit
			for _, b := range s.Branches {
				var rows []naiveFields
				rows, after = naiveStages(b, list, unit)
				all = append(all, rows...)
			}
			list, unit = all, after
		default:
			list = naiveRank(s, list)
		}
	}
	return list, unit
}

func naiveWindow(unit aggregate.Unit, at time.Time) (from, to time.Time) {
	switch unit {
	case aggregate.Hour:
		from = at.Truncate(time.Hour)
		return from, from.Add(time.Hour)
	case aggregate.Day:
		from = at.Truncate(24 * time.Hour)
		return from, from.AddDate(0, 0, 1)
	}
	from = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(0, 1, 0)
}

func naiveGroup(s *filter.Stage, list []naiveFields, unit aggregate.Unit) []naiveFields {
	type group struct {
		key   []filter.Value
		named naiveFields
		rows  []naiveFields
	}
	var groups []*group
	for _, r := range list {
		x := &group{named: naiveFields{}}
		if unit != aggregate.None {
			from, to := naiveWindow(unit, r["start"].Time())
			x.key = append(x.key, filter.Time(from))
			x.named["start"], x.named["end"] = filter.Time(from), filter.Time(to)
		}
		for _, g := range s.Groups {
			x.key = append(x.key, r[g.Name])
			x.named[g.Name] = r[g.Name]
		}
		k := slices.IndexFunc(groups, func(y *group) bool { return slices.EqualFunc(x.key, y.key, filter.Equal) })
		if k < 0 {
			k = len(groups)
			groups = append(groups, x)
		}
		groups[k].rows = append(groups[k].rows, r)
	}
	if s.Kind == "aggregate" && len(groups) == 0 && unit == aggregate.None {
		groups = append(groups, &group{named: naiveFields{}})
	}
	slices.SortFunc(groups, func(a, b *group) int { return slices.CompareFunc(a.key, b.key, filter.Compare) })
	var out []naiveFields
	for _, x := range groups {
		if s.Inner != nil {
			rows, _ := naiveStages(s.Inner, x.rows, aggregate.None)
			for _, r := range rows {
				if !s.Open {
					n := naiveFields{}
					for k, v := range r {
						n[k] = v
					}
					for k, v := range x.named {
						n[k] = v
					}
					r = n
				}
				out = append(out, r)
			}
			continue
		}
		for _, m := range s.Measures {
			x.named[m.As] = naiveMeasure(m, x.rows)
		}
		out = append(out, x.named)
	}
	return out
}

func naiveMeasure(m filter.Measure, rows []naiveFields) filter.Value {
	if m.Value == nil {
		return filter.Number(int64(len(rows)), 0)
	}
	var values []filter.Value
	for _, r := range rows {
		if v := naiveEval(m.Value, r); !v.IsNull() {
			values = append(values, v)
		}
	}
	switch m.Method {
	case "countdistinct":
		slices.SortFunc(values, filter.Compare)
		return filter.Number(int64(len(slices.CompactFunc(values, filter.Equal))), 0)
	case "min", "max":
		if len(values) == 0 {
			return filter.Null()
		}
		if m.Method == "min" {
			return slices.MinFunc(values, filter.Compare)
		}
		return slices.MaxFunc(values, filter.Compare)
	}
	if len(values) == 0 {
		return filter.Null()
	}
	sum := naiveSum(values)
	if m.Method == "average" {
		sum = sum.DivRound(decimal.NewFromInt(int64(len(values))), 18)
	}
	return filter.Decimal(sum)
}

func naiveSum(values []filter.Value) decimal.Decimal {
	sum := decimal.Zero
	for _, v := range values {
		sum = sum.Add(v.Decimal())
	}
	return sum
}

// naiveRank is the algorithm of the standard, section 3.3.1, word by word.
func naiveRank(s *filter.Stage, list []naiveFields) []naiveFields {
	type ranked struct {
		at    int
		value filter.Value
	}
	var b []ranked
	var all []filter.Value
	for i, r := range list {
		v := naiveEval(s.Keys[0].Value, r)
		b = append(b, ranked{i, v})
		all = append(all, v)
	}
	slices.SortStableFunc(b, func(x, y ranked) int {
		if s.Kind[0] == 't' {
			return filter.Compare(y.value, x.value)
		}
		return filter.Compare(x.value, y.value)
	})
	amount := s.Amount.Decimal()
	var chosen []int
	var values []filter.Value
	for _, x := range b {
		enough := false
		switch {
		case strings.HasSuffix(s.Kind, "count"):
			enough = int64(len(chosen)) == amount.IntPart()
		case strings.HasSuffix(s.Kind, "sum"):
			enough = !naiveSum(values).LessThan(amount)
		default:
			if total := naiveSum(all); !total.IsZero() {
				ratio := naiveSum(values).Rat()
				ratio.Quo(ratio, total.Rat())
				enough = ratio.Cmp(amount.Div(decimal.NewFromInt(100)).Rat()) >= 0
			}
		}
		if enough {
			break
		}
		chosen = append(chosen, x.at)
		values = append(values, x.value)
	}
	slices.Sort(chosen)
	var out []naiveFields
	for _, i := range chosen {
		out = append(out, list[i])
	}
	return out
}
