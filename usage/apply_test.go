package usage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// sales are the example data of the OData extension for data aggregation 4.0,
// section 2.3, with what is related to a sale as its dimensions and values. (Sale
// 8 is of paper, as in all results there, and not of sugar, as in the table.)
func sales(t testing.TB) []usage.Record {
	t.Helper()
	customers := map[string][2]string{"C1": {"Joe", "USA"}, "C2": {"Sue", "USA"}, "C3": {"Sue", "Netherlands"}}
	products := map[string][3]string{"P1": {"Sugar", "Food", "0.06"}, "P2": {"Coffee", "Food", "0.06"}, "P3": {"Paper", "Non-Food", "0.14"}}
	var out []usage.Record
	for _, line := range []string{
		"1 C1 2022-01-03 P3 US-West 1", "2 C1 2022-04-10 P1 US-West 2", "3 C1 2022-08-07 P2 US-West 4", "4 C2 2022-01-03 P2 US-East 8",
		"5 C2 2022-11-09 P3 US-East 4", "6 C3 2022-04-01 P1 EMEA-Central 2", "7 C3 2022-08-06 P3 EMEA-Central 1", "8 C3 2022-11-22 P3 EMEA-Central 2",
	} {
		f := strings.Fields(line)
		at, err := time.Parse(time.DateOnly, f[2])
		require.NoError(t, err)
		customer, product := customers[f[1]], products[f[3]]
		out = append(out, usage.Record{Tenant: "t", Source: "odata", ID: f[0], Meter: "sale", Start: at,
			Values: usage.Values{}.With("amount", decimal.RequireFromString(f[5])).With("taxRate", decimal.RequireFromString(product[2])),
			Dimensions: usage.NewDimensions(usage.Dimension{Name: "customer", Value: f[1]}, usage.Dimension{Name: "name", Value: customer[0]}, usage.Dimension{Name: "country", Value: customer[1]},
				usage.Dimension{Name: "product", Value: product[0]}, usage.Dimension{Name: "category", Value: product[1]}, usage.Dimension{Name: "org", Value: f[4]})})
	}
	return out
}

// applyRows prints the rows of a page: a record as its id, and the cells that are
// not the record's own; null as "-".
func applyRows(p *usage.ApplyPage) []string {
	out := []string{}
	for _, r := range p.Rows {
		out = append(out, applyLine(p.Columns, r))
	}
	return out
}

func applyLine(columns []usage.ApplyColumn, r usage.ApplyRow) string {
	var cells []string
	if r.Record != nil {
		cells = append(cells, "#"+r.Record.ID)
	}
	for _, v := range r.Cells[ownColumns(columns):] {
		switch {
		case v.IsNull():
			cells = append(cells, "-")
		case v.Type() == filter.TypeTime && v.Time().Truncate(24*time.Hour).Equal(v.Time()):
			cells = append(cells, v.Time().Format(time.DateOnly))
		default:
			cells = append(cells, v.String())
		}
	}
	return strings.Join(cells, " ")
}

// ownColumns is the number of columns, at the front, that are a record's own.
func ownColumns(columns []usage.ApplyColumn) int {
	n := 0
	for n < len(columns) && columns[n].Record {
		n++
	}
	return n
}

// ungrouped hides the optional interfaces of a store.
type ungrouped struct{ usage.Store }

// salesBooks are books of the same sales that read pipelines in different ways.
func salesBooks(t testing.TB) map[string]*usage.Book {
	t.Helper()
	meters := []usage.Meter{{Name: "sale", Values: []usage.MeterValue{{Name: "amount"}, {Name: "taxRate"}},
		Dimensions: []usage.MeterDimension{{Name: "customer"}, {Name: "country"}, {Name: "product"}}}}
	books := map[string]*usage.Book{}
	for name, c := range map[string]struct {
		store usage.Store
		opts  usage.Options
		roll  bool
	}{
		"plain":    {memstore.New(nil), usage.Options{}, false},
		"rolled":   {memstore.New(nil), usage.Options{Rollups: [][]string{{"country"}}}, true},
		"declared": {memstore.New(nil), usage.Options{Meters: meters}, true},
		"scanned":  {ungrouped{memstore.New(nil)}, usage.Options{Meters: meters}, false},
	} {
		book, err := usage.New(c.store, &c.opts)
		require.NoError(t, err)
		mustAppend(t, book, sales(t)...)
		if c.roll {
			rollAll(t, book)
		}
		books[name] = book
	}
	return books
}

// TestApplyStandard holds pipelines to the results that the standard gives for
// its examples; where it leaves the order open, the order is ours.
func TestApplyStandard(t *testing.T) {
	t.Parallel()
	cases := []struct {
		apply string
		want  []string
	}{
		{"identity", []string{"#1", "#4", "#6", "#2", "#7", "#3", "#5", "#8"}},
		{"aggregate(amount with sum as Total,amount with max as MxA)", []string{"24 8"}},
		{"aggregate(amount mul taxRate with sum as Tax)", []string{"2.08"}},
		{"aggregate(amount with min as MinAmount)", []string{"1"}},
		{"aggregate(amount with average as AverageAmount)", []string{"3"}},
		{"aggregate(product with countdistinct as DistinctProducts)", []string{"3"}},
		{"aggregate($count as SalesCount)", []string{"8"}},
		{"groupby((country,product),aggregate(amount with sum as Total))",
			[]string{"Netherlands Paper 3", "Netherlands Sugar 2", "USA Coffee 12", "USA Paper 5", "USA Sugar 2"}},
		{"groupby((product,values/amount))", []string{"Coffee 4", "Coffee 8", "Paper 1", "Paper 2", "Paper 4", "Sugar 2"}},
		{"bottomcount(2,values/amount)", []string{"#1", "#7"}},
		{"topcount(2,values/amount)", []string{"#4", "#3"}},
		{"bottompercent(50,values/amount)", []string{"#1", "#6", "#2", "#7", "#3", "#8"}},
		{"toppercent(50,values/amount)", []string{"#4", "#3"}},
		{"bottomsum(7,values/amount)", []string{"#1", "#6", "#2", "#7", "#8"}},
		{"topsum(15,values/amount)", []string{"#4", "#3", "#5"}},
		{"filter(values/amount gt 3)", []string{"#4", "#3", "#5"}},
		{"groupby((product),aggregate(amount with sum as Total))/orderby(Total desc)", []string{"Coffee 12", "Paper 8", "Sugar 4"}},
		{"orderby(name desc)/skip(2)/top(2)", []string{"#7", "#5"}},
		{"orderby(name desc)/top(2)", []string{"#4", "#6"}},
		{"concat(topcount(2,values/amount),aggregate(amount with sum as total))", []string{"#4 -", "#3 -", "24"}},
		{"concat(identity,aggregate(amount with sum as Total))", []string{"#1 -", "#4 -", "#6 -", "#2 -", "#7 -", "#3 -", "#5 -", "#8 -", "24"}},
		{"compute(values/amount mul values/taxRate as Tax)", []string{"#1 0.14", "#4 0.48", "#6 0.12", "#2 0.12", "#7 0.14", "#3 0.24", "#5 0.56", "#8 0.28"}},
		{"groupby((name))", []string{"Joe", "Sue"}},
		{"groupby((name,customer))", []string{"Joe C1", "Sue C2", "Sue C3"}},
		{"groupby((country),aggregate(amount with average as AverageAmount))", []string{"Netherlands 1.666666666666666667", "USA 3.8"}},
		{"groupby((country,start),aggregate(amount with sum as D1))/groupby((country),aggregate(D1 with average as D2))/aggregate(D2 with max as Most)", []string{"4.75"}},
		{"groupby((country),groupby((start),aggregate(amount with sum as D1))/aggregate(D1 with average as D2))/aggregate(D2 with max as Most)", []string{"4.75"}},
		{"groupby((start),aggregate(amount with sum as Total))/aggregate(Total with average as DailyAverage)", []string{"3.428571428571428571"}},
		{"groupby((country),aggregate(amount with sum as Total,amount with average as AvgAmt))", []string{"Netherlands 5 1.666666666666666667", "USA 19 3.8"}},
		{"groupby((values/amount),aggregate(amount with sum as Total))", []string{"1 2", "2 6", "4 8", "8 8"}},
		{"concat(groupby((country,product),aggregate(amount with sum as Total))/groupby((country),topcount(1,Total)),groupby((country),aggregate(amount with sum as Total)))",
			[]string{"Netherlands Paper 3", "USA Coffee 12", "Netherlands - 5", "USA - 19"}},
		{"groupby((country,product),topcount(2,values/amount)/aggregate(amount with sum as Total))",
			[]string{"Netherlands Paper 3", "Netherlands Sugar 2", "USA Coffee 12", "USA Paper 5", "USA Sugar 2"}},
		{"concat(groupby((customer),topcount(1,values/amount))/compute('Customer' as per),groupby((product),topcount(1,values/amount))/compute('Product' as per))",
			[]string{"#3 Customer", "#4 Customer", "#6 Customer", "#4 Product", "#5 Product", "#6 Product"}},
		{"filter(values/amount le 1)/aggregate(amount with sum as Total)", []string{"2"}},
		{"groupby((country,product),aggregate(amount with sum as Sold))/filter(Sold ge 5)/concat(identity,groupby((country),aggregate(Sold with sum as Total)))",
			[]string{"USA Coffee 12 -", "USA Paper 5 -", "USA - - 17"}},
		{"groupby((name),aggregate(amount with sum as Total))/skip(1)/top(5)", []string{"Sue 17"}},
	}
	for name, book := range salesBooks(t) {
		for _, c := range cases {
			page, err := book.Apply(t.Context(), usage.ForTenant("t"), usage.ApplyQuery{Apply: c.apply})
			require.NoError(t, err, "%s: %s", name, c.apply)
			require.Equal(t, c.want, applyRows(page), "%s: %s", name, c.apply)
		}
	}
}

func TestApplyRules(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, apply, filter, order string
		window                     aggregate.Unit
		want                       []string
	}{
		{name: "an aggregate of no records has a row", apply: "filter(country eq 'Peru')/aggregate(amount with sum as s,$count as n,amount with average as a,country with countdistinct as d)", want: []string{"- 0 - 0"}},
		{name: "a groupby of no records has none", apply: "filter(country eq 'Peru')/groupby((product),aggregate(amount with sum as s))", want: []string{}},
		{name: "an aggregate of no rows has a row", apply: "groupby((country))/filter(country eq 'Peru')/aggregate($count as n,country with max as m)", want: []string{"0 -"}},
		{name: "a computed aggregate of no records has a row", apply: "filter(country eq 'Peru')/aggregate(amount mul 2 with sum as s,$count as n)", want: []string{"- 0"}},
		{name: "each group has a row even of nothing", apply: "groupby((country),filter(values/amount gt 3)/aggregate($count as n,amount with sum as s))", want: []string{"Netherlands 0 -", "USA 3 16"}},
		{name: "null is a group and differs from the empty text", apply: "compute(case(product eq 'Sugar':'',product eq 'Paper':name) as what)/groupby((what),aggregate($count as n))", want: []string{"- 2", " 2", "Joe 1", "Sue 3"}},
		{name: "nulls are not aggregated", apply: "aggregate(nothing with sum as s,nothing with average as a,nothing with min as l,nothing with countdistinct as d)", want: []string{"- - - 0"}},
		{name: "an undeclared name is a value where it is aggregated", apply: "aggregate(amount with sum as s,amount sub 1 with max as m)", want: []string{"24 7"}},
		{name: "and the value before the dimension where it is counted", apply: "aggregate(amount with countdistinct as n,product with countdistinct as p,values/amount mul 1 with countdistinct as m)", want: []string{"4 3 4"}},
		{name: "a prefix says which", apply: "aggregate(dimensions/amount with countdistinct as d,values/amount with countdistinct as v)", want: []string{"0 4"}},
		{name: "texts have a least and a greatest", apply: "aggregate(dimensions/product with min as l,dimensions/product with max as g,start with max as s,sequence with max as q)", want: []string{"Coffee Sugar 2022-11-22 8"}},
		{name: "a group has its bare name", apply: "groupby((dimensions/country),aggregate($count as n))/filter(country eq 'USA' or dimensions/country eq 'X')", want: []string{"USA 5"}},
		{name: "a filter after the pipeline", apply: "groupby((country),aggregate(amount with sum as total))", filter: "total gt 5", want: []string{"USA 19"}},
		{name: "an order after the pipeline", apply: "groupby((product),aggregate(amount with sum as total))", order: "total gt 5,product desc", want: []string{"Sugar 4", "Paper 8", "Coffee 12"}},
		{name: "equals keep the pipeline's order", apply: "groupby((product),aggregate(amount with sum as total))/orderby(product desc)", order: "total gt 10", want: []string{"Sugar 4", "Paper 8", "Coffee 12"}},
		{name: "records are filtered and ordered too", apply: "compute(values/amount mul 2 as double)", filter: "double gt 4 and country eq 'USA'", order: "double desc,id", want: []string{"#4 16", "#3 8", "#5 8"}},
		{name: "pages go by instants between two microseconds", apply: "filter(country eq 'Netherlands')/compute(start add duration'PT0.0000001S' as t)", order: "t desc",
			want: []string{"#8 2022-11-22T00:00:00.0000001Z", "#7 2022-08-06T00:00:00.0000001Z", "#6 2022-04-01T00:00:00.0000001Z"}},
		{name: "upwards too", apply: "filter(country eq 'Netherlands')/compute(start add duration'PT0.0000001S' as t)", order: "t",
			want: []string{"#6 2022-04-01T00:00:00.0000001Z", "#7 2022-08-06T00:00:00.0000001Z", "#8 2022-11-22T00:00:00.0000001Z"}},
		{name: "and instants between them are groups of their own", apply: "compute(case(id eq '1':start add duration'PT0.0000001S',true:start) as t)/filter(values/amount eq 1 or values/amount eq 8)/groupby((t),aggregate($count as n))",
			want: []string{"2022-01-03 1", "2022-01-03T00:00:00.0000001Z 1", "2022-08-06 1"}},
		{name: "pages go by dates", apply: "filter(country eq 'Netherlands')/compute(date(start) as d)", order: "d desc", want: []string{"#8 2022-11-22", "#7 2022-08-06", "#6 2022-04-01"}},
		{name: "whole numbers divide as such", apply: "aggregate($count as n)/compute(n div 3 as third,n divby 16 as part)", want: []string{"8 2 0.5"}},
		{name: "a window comes before the groups", apply: "groupby((country),aggregate(amount with sum as total))", window: aggregate.Quarter, filter: "start lt 2022-07-01",
			want: []string{"2022-01-01 2022-04-01 USA 9", "2022-04-01 2022-07-01 Netherlands 2", "2022-04-01 2022-07-01 USA 2"}},
		{name: "an aggregate has a row for each window", apply: "filter(country eq 'Netherlands')/aggregate(amount with sum as total)", window: aggregate.Quarter,
			want: []string{"2022-04-01 2022-07-01 2", "2022-07-01 2022-10-01 1", "2022-10-01 2023-01-01 2"}},
		{name: "later groupings are not cut", apply: "aggregate(amount with sum as total)/aggregate(total with max as most,$count as n)", window: aggregate.Quarter, want: []string{"9 4"}},
		{name: "the window's bounds are columns like others", apply: "aggregate(amount with sum as total)/groupby((start),aggregate(total with sum as t))/compute(month(start) as m)", window: aggregate.Quarter,
			want: []string{"2022-01-01 9 1", "2022-04-01 4 4", "2022-07-01 5 7", "2022-10-01 6 10"}},
		{name: "a window cuts what is computed", apply: "compute(tolower(country) as land)/groupby((land),aggregate(amount mul 1 with sum as total))/top(2)", window: aggregate.Year,
			want: []string{"2022-01-01 2023-01-01 netherlands 5", "2022-01-01 2023-01-01 usa 19"}},
		{name: "a window cuts each branch", apply: "concat(groupby((country),aggregate($count as n)),aggregate($count as n))", window: aggregate.Year,
			want: []string{"2022-01-01 2023-01-01 Netherlands 3", "2022-01-01 2023-01-01 USA 5", "2022-01-01 2023-01-01 - 8"}},
		{name: "a window cuts groups whose rows stay records", apply: "groupby((country),topcount(1,values/amount))", window: aggregate.Quarter, want: []string{"#4", "#6", "#2", "#7", "#3", "#8", "#5"}},
		{name: "steps after the aggregate of a group", apply: "groupby((country),aggregate(amount with sum as t,$count as n)/filter(n gt 3)/compute(t mul 2 as d))", want: []string{"USA 19 5 38"}},
		{name: "a group of a group", apply: "groupby((country),groupby((product),aggregate(amount with sum as t))/topcount(1,t))", want: []string{"Netherlands Paper 3", "USA Coffee 12"}},
		{name: "records lack the results of another branch", apply: "concat(filter(id eq '1'),aggregate(amount with sum as country,$count as n))", want: []string{"#1 - -", "24 8"}},
		{name: "records have the groups of another branch", apply: "concat(filter(id eq '1'),groupby((country)))/filter(country eq 'USA')", want: []string{"#1 USA", "USA"}},
		{name: "branches of records go on as records", apply: "concat(filter(values/amount eq 8),filter(country eq 'Netherlands'))/groupby((country),aggregate(amount with sum as t))", want: []string{"Netherlands 5", "USA 8"}},
		{name: "durations add up", apply: "compute(2023-01-01T00:00:00Z sub start as age)/aggregate(age with sum as s,age with average as a,age with max as m)", want: []string{"P1655D P206DT21H P363D"}},
		{name: "dates group", apply: "compute(year(start) mul 100 add month(start) as month)/groupby((month),aggregate(amount with sum as t))/topcount(1,t)", want: []string{"202201 9"}},
		{name: "nothing of a bottom", apply: "bottomcount(0,id)", want: []string{}},
		{name: "nothing has no percentage", apply: "compute(values/amount sub 3 as x)/toppercent(50,x)/aggregate($count as n)", want: []string{"8"}},
		{name: "null is least", apply: "compute(case(country eq 'USA':values/amount) as x)/bottomcount(4,x)/groupby((x),aggregate($count as n))", want: []string{"- 3", "1 1"}},
		{name: "null is last from the top", apply: "compute(case(country eq 'USA':values/amount) as x)/topcount(6,x)/groupby((x),aggregate($count as n))", want: []string{"- 1", "1 1", "2 1", "4 2", "8 1"}},
		{name: "top stops everything before it", apply: "concat(identity,identity)/top(3)/skip(1)", want: []string{"#4", "#6"}},
	}
	for name, book := range salesBooks(t) {
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				query := usage.ApplyQuery{Apply: c.apply, Filter: c.filter, OrderBy: c.order, Window: aggregate.Window{Unit: c.window}, Count: true}
				if name == "declared" || name == "scanned" {
					query.Apply = strings.ReplaceAll(query.Apply, "dimensions/amount", "dimensions/other")
				}
				page, err := book.Apply(t.Context(), usage.ForTenant("t"), query)
				require.NoError(t, err)
				require.Equal(t, c.want, applyRows(page))
				require.EqualValues(t, len(c.want), page.Count)
				// Pages of one row, and all rows at once, are the same.
				var paged []string
				query.PageSize = 1
				for {
					page, err := book.Apply(t.Context(), usage.ForTenant("t"), query)
					require.NoError(t, err)
					require.EqualValues(t, len(c.want), page.Count)
					paged = append(paged, applyRows(page)...)
					if query.Token = page.Next; query.Token == "" {
						break
					}
				}
				require.Equal(t, strings.Join(c.want, "\n"), strings.Join(paged, "\n"))
				var all []string
				for row, err := range book.ApplyRows(t.Context(), usage.ForTenant("t"), query) {
					require.NoError(t, err)
					all = append(all, applyLine(page.Columns, row))
				}
				require.Equal(t, strings.Join(c.want, "\n"), strings.Join(all, "\n"))
				if len(c.want) < 2 {
					return
				}
				// And all rows after the first page are the rest.
				page, err = book.Apply(t.Context(), usage.ForTenant("t"), query)
				require.NoError(t, err)
				query.Token, all = page.Next, applyRows(page)
				for row, err := range book.ApplyRows(t.Context(), usage.ForTenant("t"), query) {
					require.NoError(t, err)
					all = append(all, applyLine(page.Columns, row))
				}
				require.Equal(t, strings.Join(c.want, "\n"), strings.Join(all, "\n"))
			})
		}
	}
}

func TestApplyRefusals(t *testing.T) {
	t.Parallel()
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: []usage.Meter{
		{Name: "closed", Closed: true, Aliases: []string{"old"}, Values: []usage.MeterValue{{Name: "amount"}}, Dimensions: []usage.MeterDimension{{Name: "region"}}}}})
	require.NoError(t, err)
	mustAppend(t, book, usage.Record{Tenant: "t", Source: "s", ID: "1", Meter: "closed", Start: noon, Values: usage.Values{}.With("amount", decimal.NewFromInt(0))})
	day := aggregate.Window{Unit: aggregate.Day}
	for _, c := range []struct {
		q    usage.ApplyQuery
		text string // in which the fault is: apply, filter or order
		at   string // the part that is at fault
		code string
		says string
	}{
		{usage.ApplyQuery{Apply: ""}, "apply", "", filter.CodeSyntax, ""},
		{usage.ApplyQuery{Apply: "groupby((region)"}, "apply", "", filter.CodeSyntax, ""},
		{usage.ApplyQuery{Apply: "filter(region eq 5)"}, "apply", "5", filter.CodeType, ""},
		{usage.ApplyQuery{Apply: "groupby((region))/filter(meter eq 'x')"}, "apply", "meter", filter.CodeUnknownName, "meter"},
		{usage.ApplyQuery{Apply: "aggregate(region with sum as x)"}, "apply", "region", filter.CodeType, "sum takes a number"},
		{usage.ApplyQuery{Apply: "aggregate(amount with median as x)"}, "apply", "amount with median as x", filter.CodeNotSupported, "median"},
		{usage.ApplyQuery{Apply: "aggregate(amount)"}, "apply", "amount", filter.CodeNotSupported, "custom aggregate"},
		{usage.ApplyQuery{Apply: "aggregate(amount with sum from region with max as x)"}, "apply", "amount with sum from region with max as x", filter.CodeNotSupported, "from"},
		{usage.ApplyQuery{Apply: "search(x)"}, "apply", "search(x)", filter.CodeNotSupported, "search"},
		{usage.ApplyQuery{Apply: "nest(identity as x)"}, "apply", "nest(identity as x)", filter.CodeNotSupported, "nest"},
		{usage.ApplyQuery{Apply: "join(x as y)"}, "apply", "join(x as y)", filter.CodeNotSupported, "join"},
		{usage.ApplyQuery{Apply: "groupby((rollup(a,b)))"}, "apply", "rollup", filter.CodeNotSupported, "rollup"},
		{usage.ApplyQuery{Apply: "ancestors(a,b)"}, "apply", "ancestors", filter.CodeNotSupported, "ancestors"},
		{usage.ApplyQuery{Apply: "groupby((region,dimensions/region))"}, "apply", "dimensions/region", filter.CodeDuplicate, "twice"},
		{usage.ApplyQuery{Apply: "groupby((region),aggregate($count as region))"}, "apply", "$count as region", filter.CodeDuplicate, "both a group"},
		{usage.ApplyQuery{Apply: "compute(1 as start)"}, "apply", "1 as start", filter.CodeDuplicate, "that of a field"},
		{usage.ApplyQuery{Apply: "compute(1 as region)"}, "apply", "1 as region", filter.CodeDuplicate, "that of a field"},
		{usage.ApplyQuery{Apply: "groupby((region),compute(1 as amount))"}, "apply", "1 as amount", filter.CodeDuplicate, "that of a field"},
		{usage.ApplyQuery{Apply: "filter(meter eq 'closed')/groupby((regoin))"}, "apply", "regoin", filter.CodeUnknownName, "did you mean region?"},
		{usage.ApplyQuery{Apply: "filter(meter eq 'closed')/aggregate(amuont with sum as x)"}, "apply", "amuont", filter.CodeUnknownName, "did you mean amount?"},
		{usage.ApplyQuery{Apply: "filter(meter eq 'closed' and zone eq 'a')"}, "apply", "zone", filter.CodeUnknownName, "zone"},
		{usage.ApplyQuery{Apply: "filter(meter eq 'old')/groupby((region))"}, "apply", "'old'", filter.CodeUnknownName, "closed"},
		{usage.ApplyQuery{Apply: "groupby((meter))/filter('old' eq meter)"}, "apply", "'old'", filter.CodeUnknownName, "closed"},
		{usage.ApplyQuery{Apply: "aggregate($count as n)", Window: day, Filter: "start eq 'x'"}, "filter", "'x'", filter.CodeType, ""},
		{usage.ApplyQuery{Apply: "identity", Filter: "meter eq 'old'"}, "filter", "'old'", filter.CodeUnknownName, "closed"},
		{usage.ApplyQuery{Apply: "groupby((region))", Filter: "n gt 1"}, "filter", "n", filter.CodeUnknownName, "n"},
		{usage.ApplyQuery{Apply: "groupby((region))", OrderBy: "start"}, "order", "start", filter.CodeUnknownName, "start"},
		{usage.ApplyQuery{Apply: "groupby((region))", OrderBy: "region dsc"}, "order", "dsc", filter.CodeSyntax, ""},
		{usage.ApplyQuery{Apply: "groupby((region))", OrderBy: strings.Repeat("region,", 16) + "region"}, "", "", "", "at most 16"},
		{usage.ApplyQuery{Apply: "filter(true)", Window: day}, "apply", "filter(true)", filter.CodeNotAllowed, "window"},
		{usage.ApplyQuery{Apply: "concat(identity,aggregate($count as n))", Window: day}, "apply", "concat(identity,aggregate($count as n))", filter.CodeNotAllowed, "either every branch"},
		{usage.ApplyQuery{Apply: "groupby((start))", Window: day}, "apply", "start", filter.CodeDuplicate, "start"},
		{usage.ApplyQuery{Apply: "aggregate($count as end)", Window: day}, "apply", "$count as end", filter.CodeDuplicate, "both a group"},
		{usage.ApplyQuery{Apply: strings.Repeat("identity/", 64) + "top(1)"}, "apply", "top(1)", filter.CodeLimit, "64"},
		{usage.ApplyQuery{Apply: "concat(identity" + strings.Repeat(",identity", 63) + ")"}, "apply", "identity", filter.CodeLimit, "64"},
		{usage.ApplyQuery{Apply: "groupby((a" + many(",a%d", 32) + "))"}, "apply", "groupby((a" + many(",a%d", 32) + "))", filter.CodeLimit, "32"},
		{usage.ApplyQuery{Apply: "aggregate($count as a" + many(",$count as a%d", 64) + ")"}, "apply", "aggregate($count as a" + many(",$count as a%d", 64) + ")", filter.CodeLimit, "64"},
		{usage.ApplyQuery{Apply: "compute(1 div values/amount as x)"}, "apply", "1 div values/amount", filter.CodeDivisionByZero, ""},
		{usage.ApplyQuery{Apply: "filter(1 div values/amount gt 1)/groupby((region))"}, "apply", "1 div values/amount", filter.CodeDivisionByZero, ""},
		{usage.ApplyQuery{Apply: "aggregate(1 div amount with sum as x)"}, "apply", "1 div amount", filter.CodeDivisionByZero, ""},
		{usage.ApplyQuery{Apply: "groupby((region),aggregate(amount with sum as s))/compute(1 div s as x)"}, "apply", "1 div s", filter.CodeDivisionByZero, ""},
		{usage.ApplyQuery{Apply: "groupby((region),aggregate(amount with sum as s))", Filter: "1 div s gt 1"}, "filter", "1 div s", filter.CodeDivisionByZero, ""},
		{usage.ApplyQuery{Apply: "groupby((region),aggregate(amount with sum as s))", OrderBy: "1 div s"}, "order", "1 div s", filter.CodeDivisionByZero, ""},
		{usage.ApplyQuery{Apply: "identity", Limit: -1}, "", "", "", "limit"},
		{usage.ApplyQuery{Apply: "identity", PageSize: 20_000}, "", "", "", "page size"},
		{usage.ApplyQuery{Apply: "identity", AsOf: usage.AsOf{Sequence: 9}}, "", "", "", "AsOf"},
		{usage.ApplyQuery{Apply: "identity", From: noon, To: noon.Add(-time.Second)}, "", "", "", "range"},
		{usage.ApplyQuery{Apply: "aggregate($count as n)", Window: aggregate.Window{Unit: 99}}, "", "", "", "window"},
	} {
		_, err := book.Apply(t.Context(), usage.ForTenant("t"), c.q)
		require.ErrorIs(t, err, usage.ErrInvalid, "%+v", c.q)
		require.Contains(t, err.Error(), c.says, "%+v", c.q)
		var fault *filter.Error
		if c.text == "" {
			require.False(t, errors.As(err, &fault), "%v", err)
			continue
		}
		require.ErrorAs(t, err, &fault, "%+v", c.q)
		require.Equal(t, c.code, fault.Code, "%v", err)
		require.Equal(t, map[string]string{"apply": c.q.Apply, "filter": c.q.Filter, "order": c.q.OrderBy}[c.text], fault.Text, "%v", err)
		require.Equal(t, c.at, fault.Text[fault.Span.From:fault.Span.To], "%v", err)
		for _, err := range book.ApplyRows(t.Context(), usage.ForTenant("t"), c.q) {
			require.ErrorIs(t, err, usage.ErrInvalid)
		}
		_, err = book.PlanApply(t.Context(), usage.ForTenant("t"), c.q)
		require.ErrorIs(t, err, usage.ErrInvalid)
	}
	_, err = book.Apply(t.Context(), usage.Scope{}, usage.ApplyQuery{Apply: "identity"})
	require.ErrorIs(t, err, usage.ErrScope)
}

func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestApplyScope holds that no pipeline sees what its scope does not hold.
func TestApplyScope(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	for _, tenant := range []string{"acme", "globex"} {
		for i, region := range []string{"eu", "us"} {
			mustAppend(t, book, usage.Record{Tenant: tenant, Source: "s", ID: fmt.Sprint(i), Meter: "m", Start: noon,
				Values: usage.Quantity(decimal.NewFromInt(1)), Dimensions: usage.Dimensions{}.With("region", region)})
		}
	}
	rollAll(t, book)
	for _, apply := range []string{
		"filter(region eq 'eu' or true)/aggregate($count as n)",
		"filter(tenant eq 'globex' or tenant ne 'globex')/filter(true or false)/aggregate(quantity with sum as n)",
		"aggregate(quantity mul 1 with sum as n)",
		"filter(tenant eq 'acme' or region ne 'x')/compute(1 as one)/aggregate(one with sum as n)",
		"concat(filter(true or tenant eq 'globex'),filter(false))/aggregate($count as n)",
		"concat(filter(tenant eq 'globex' or true)/aggregate($count as n),filter(false)/aggregate($count as n))/aggregate(n with sum as n)",
		"groupby((tenant,region),aggregate($count as n))/aggregate(n with sum as n)",
		"groupby((tenant),filter(true or region eq 'us')/aggregate($count as n))/aggregate(n with sum as n)",
		"topcount(100,region)/aggregate($count as n)",
	} {
		for _, c := range []struct {
			scope usage.Scope
			want  string
		}{{usage.ForTenant("acme"), "2"}, {usage.ForTenant("acme").With("region", "eu"), "1"}, {usage.ForTenant("nobody"), "0"}, {usage.AllTenants(), "4"}} {
			page, err := book.Apply(t.Context(), c.scope, usage.ApplyQuery{Apply: apply, Filter: "n ge 0 or n eq null"})
			require.NoError(t, err)
			got := strings.ReplaceAll(strings.Join(applyRows(page), "\n"), "-", "0")
			require.Equal(t, c.want, got, "%s in %+v", apply, c.scope)
		}
	}
}

// TestApplyTokens holds what a token is bound to.
func TestApplyTokens(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	mustAppend(t, book, sales(t)...)
	mine := usage.ForTenant("t")
	base := usage.ApplyQuery{Apply: "groupby((country,product),aggregate(amount with sum as total))/orderby(total desc)", Filter: "total gt 0", OrderBy: "country", PageSize: 2}
	page, err := book.Apply(t.Context(), mine, base)
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	base.Token = page.Next
	second, err := book.Apply(t.Context(), mine, base)
	require.NoError(t, err)
	require.Equal(t, page.AsOf, second.AsOf)

	for name, c := range map[string]struct {
		change func(*usage.ApplyQuery)
		err    error
	}{
		"other spelling": {func(q *usage.ApplyQuery) {
			q.Apply = "GroupBy((dimensions/country,product),Aggregate(values/amount with sum as total))/identity/orderby( total desc)"
			q.Filter, q.OrderBy = "0 lt (total)", "country asc"
		}, nil},
		"other page size":  {func(q *usage.ApplyQuery) { q.PageSize = 100 }, nil},
		"same moment":      {func(q *usage.ApplyQuery) { q.AsOf = page.AsOf }, nil},
		"with a count":     {func(q *usage.ApplyQuery) { q.Count = true }, nil},
		"other moment":     {func(q *usage.ApplyQuery) { q.AsOf = usage.AsOf{Sequence: 1} }, usage.ErrInvalid},
		"other pipeline":   {func(q *usage.ApplyQuery) { q.Apply = "groupby((country,product),aggregate(amount with sum as total))" }, paginate.ErrTokenQuery},
		"other direction":  {func(q *usage.ApplyQuery) { q.Apply = strings.Replace(q.Apply, "total desc", "total", 1) }, paginate.ErrTokenQuery},
		"other method":     {func(q *usage.ApplyQuery) { q.Apply = strings.Replace(q.Apply, "with sum", "with max", 1) }, paginate.ErrTokenQuery},
		"other groups":     {func(q *usage.ApplyQuery) { q.Apply = strings.Replace(q.Apply, "country,product", "product,country", 1) }, paginate.ErrTokenQuery},
		"one more step":    {func(q *usage.ApplyQuery) { q.Apply += "/top(100)" }, paginate.ErrTokenQuery},
		"other filter":     {func(q *usage.ApplyQuery) { q.Filter = "total ge 0" }, paginate.ErrTokenQuery},
		"no filter":        {func(q *usage.ApplyQuery) { q.Filter = "" }, paginate.ErrTokenQuery},
		"other order":      {func(q *usage.ApplyQuery) { q.OrderBy = "country desc" }, paginate.ErrTokenQuery},
		"other range":      {func(q *usage.ApplyQuery) { q.From = noon.AddDate(-10, 0, 0) }, paginate.ErrTokenQuery},
		"a window":         {func(q *usage.ApplyQuery) { q.Window.Unit = aggregate.Day }, paginate.ErrTokenQuery},
		"other clock":      {func(q *usage.ApplyQuery) { q.On = usage.RecordedTime }, paginate.ErrTokenQuery},
		"a limit":          {func(q *usage.ApplyQuery) { q.Limit = 3 }, paginate.ErrTokenQuery},
		"a changed letter": {func(q *usage.ApplyQuery) { q.Token = q.Token[:20] + "AAAA" + q.Token[24:] }, paginate.ErrToken},
	} {
		q := base
		c.change(&q)
		got, err := book.Apply(t.Context(), mine, q)
		if c.err != nil {
			require.ErrorIs(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, applyRows(second), applyRows(got)[:2], name)
	}
	for _, scope := range []usage.Scope{usage.ForTenant("other"), usage.AllTenants(), mine.With("country", "USA"), usage.ForTenants("t", "u")} {
		_, err := book.Apply(t.Context(), scope, base)
		require.ErrorIs(t, err, paginate.ErrTokenScope)
	}
	// A token of a Query is none of a pipeline, and the other way round.
	plain, err := book.Query(t.Context(), mine, usage.Query{PageSize: 2})
	require.NoError(t, err)
	_, err = book.Apply(t.Context(), mine, usage.ApplyQuery{Apply: "identity", PageSize: 2, Token: plain.Next})
	require.ErrorIs(t, err, paginate.ErrTokenQuery)
	page, err = book.Apply(t.Context(), mine, usage.ApplyQuery{Apply: "identity", PageSize: 2})
	require.NoError(t, err)
	_, err = book.Query(t.Context(), mine, usage.Query{PageSize: 2, Token: page.Next})
	require.ErrorIs(t, err, paginate.ErrTokenQuery)
}

// TestApplySnapshot holds that the pages of one result speak of one moment,
// however records come and rollups go, and that a limit spans them.
func TestApplySnapshot(t *testing.T) {
	t.Parallel()
	for _, apply := range []string{
		"identity", "compute(values/quantity mul 2 as d)", "filter(region ne 'eu')/groupby((source,region),aggregate(quantity with sum as s))",
		"groupby((region),topcount(9,values/quantity))", "concat(groupby((region),aggregate($count as n)),identity)/skip(1)",
		"compute(now() as t,date(start) as d)/groupby((t,d,region),aggregate(quantity with average as s))",
	} {
		for _, order := range []string{"", "region desc", "date(2026-01-01T00:00:00Z)"} {
			w := newWorld(t, 11)
			w.append()
			w.append()
			rollAll(t, w.rolled)
			w.append()
			q := usage.ApplyQuery{Apply: apply, OrderBy: order, Limit: 47, Count: true}
			if strings.Contains(apply, "groupby((source") {
				q.PageSize = 3
			} else {
				q.PageSize = 10
			}
			want := usage.ApplyQuery{Apply: apply, OrderBy: order, Limit: 47, PageSize: 1000, Count: true}
			whole, err := w.rolled.Apply(t.Context(), usage.AllTenants(), want)
			require.NoError(t, err)
			require.Greater(t, len(whole.Rows), 2, apply)
			var got []string
			pages := 0
			for {
				page, err := w.rolled.Apply(t.Context(), usage.AllTenants(), q)
				require.NoError(t, err, apply)
				require.Equal(t, whole.AsOf, page.AsOf)
				require.Equal(t, whole.Count, page.Count)
				got = append(got, applyRows(page)...)
				pages++
				if q.Token = page.Next; q.Token == "" {
					break
				}
				w.append() // the clock goes on too
				rollAll(t, w.rolled)
			}
			require.Greater(t, pages, 1)
			require.Equal(t, applyRows(whole), got, "%s by %q", apply, order)
			// And a query as of that moment says the same. now() is another one.
			if !strings.Contains(apply, "now()") {
				want.AsOf = whole.AsOf
				again, err := w.rolled.Apply(t.Context(), usage.AllTenants(), want)
				require.NoError(t, err)
				require.Equal(t, got, applyRows(again))
			}
		}
	}
}

// TestApplyPlan holds which pipelines are served by rollups and by push-down.
func TestApplyPlan(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Rollups: [][]string{{"country"}}})
	for i := range 50 {
		more := sales(t)
		for k := range more {
			more[k].ID += fmt.Sprint("-", i)
		}
		mustAppend(t, book, more...)
	}
	rollAll(t, book)
	kinds := func(apply string, window aggregate.Unit) string {
		plan, err := book.PlanApply(t.Context(), usage.ForTenant("t"), usage.ApplyQuery{Apply: apply, Window: aggregate.Window{Unit: window}})
		require.NoError(t, err, apply)
		var out []string
		for _, r := range plan.Reads {
			if r.Rows > 0 && (len(out) == 0 || out[len(out)-1] != r.Kind) {
				out = append(out, r.Kind)
			}
		}
		require.Equal(t, len(plan.Raw) == 0, strings.Contains(strings.Join(out, " "), "rollup"), apply)
		return strings.Join(out, ", ")
	}
	for apply, want := range map[string]string{
		"aggregate(amount with sum as s,amount with average as a,$count as n)":                                                "rollup",
		"filter(country eq 'USA')/filter(true)/groupby((country),aggregate(amount with max as m))/topcount(1,m)":              "rollup",
		"groupby((product))/aggregate($count as n)":                                                                           "rollup",
		"aggregate(product with countdistinct as p)":                                                                          "rollup",
		"groupby((country),aggregate(amount with sum as s)/compute(s mul 2 as d))":                                            "rollup",
		"concat(groupby((country),aggregate(amount with sum as s)),filter(country eq 'USA')/aggregate(amount with sum as s))": "rollup",
		"filter(country ne null)/concat(concat(aggregate($count as n),top(1)),aggregate($count as n))":                        "rollup, raw, rollup",
		"concat(identity,identity)/aggregate($count as n)":                                                                    "raw",
		"aggregate(amount mul taxRate with sum as s)":                                                                         "raw",
		"filter(values/amount gt 1)/aggregate($count as n)":                                                                   "raw",
		"groupby((country),topcount(1,values/amount))":                                                                        "raw",
		"compute(tolower(country) as c)/groupby((c))":                                                                         "raw",
		"groupby((country),filter(product eq 'Sugar')/aggregate(amount with sum as s))":                                       "raw",
	} {
		require.Equal(t, want, kinds(apply, aggregate.None), apply)
	}
	require.Equal(t, "rollup", kinds("aggregate(amount with sum as s)/topcount(1,s)", aggregate.Month))
	// What nobody wants any more is not read.
	require.Equal(t, "rollup", kinds("concat(groupby((country)),aggregate(amount mul 2 with sum as s))/top(1)", aggregate.None))
	require.Equal(t, "rollup, raw", kinds("concat(groupby((country)),aggregate(amount mul 2 with sum as s))/top(3)", aggregate.None))
}

// TestApplyStopsEarly holds that a page of records reads no more than it shows.
func TestApplyStopsEarly(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	var batch []usage.Record
	for i := range 5000 {
		r := plainRecord(fmt.Sprintf("%05d", i))
		r.Start = noon.Add(time.Duration(i) * time.Second)
		batch = append(batch, r)
	}
	mustAppend(t, book, batch...)
	for apply, most := range map[string]int64{
		"compute(values/quantity mul 2 as d)": 11, "top(20)": 11, "skip(100)/top(3)/aggregate($count as n)": 103, "concat(top(3),top(5))": 5, "orderby(id desc)": 5000,
	} {
		q := usage.ApplyQuery{Apply: apply, PageSize: 10}
		plan, err := book.PlanApply(t.Context(), usage.ForTenant("acme"), q)
		require.NoError(t, err)
		require.Equal(t, most, plan.RowsRead, apply)
	}
	// A later page of records goes on where the one before ended.
	q := usage.ApplyQuery{Apply: "compute(values/quantity mul 2 as d)", PageSize: 1000}
	for range 4 {
		page, err := book.Apply(t.Context(), usage.ForTenant("acme"), q)
		require.NoError(t, err)
		q.Token = page.Next
	}
	plan, err := book.PlanApply(t.Context(), usage.ForTenant("acme"), q)
	require.NoError(t, err)
	require.EqualValues(t, 1000, plan.RowsRead)
	// And a loop that is left reads no further.
	n := 0
	for _, err := range book.ApplyRows(t.Context(), usage.ForTenant("acme"), usage.ApplyQuery{Apply: "identity"}) {
		require.NoError(t, err)
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 3, n)
}

// TestApplyIsBounded holds that a pipeline is refused when it would hold more than
// it may.
func TestApplyIsBounded(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{MaxGroups: 100})
	var batch []usage.Record
	for i := range 150 {
		batch = append(batch, plainRecord(fmt.Sprintf("%05d", i)))
	}
	mustAppend(t, book, batch...)
	scope := usage.ForTenant("acme")
	for apply, large := range map[string]bool{
		"groupby((id))":                                                                                            true,
		"groupby((id))/aggregate($count as n)":                                                                     true,
		"compute(1 as x)/groupby((id,x))":                                                                          true,
		"compute(1 as x)/groupby((id,x))/aggregate($count as n)":                                                   true,
		"aggregate(id with countdistinct as n,tolower(id) with countdistinct as m)":                                true,
		"orderby(id)/aggregate($count as n)":                                                                       true,
		"orderby(id)/top(50)/aggregate($count as n)":                                                               false,
		"topcount(50,id)/aggregate($count as n)":                                                                   false,
		"topcount(1000000000000000,id)/aggregate($count as n)":                                                     true,
		"topsum(1e99,values/quantity)/aggregate($count as n)":                                                      true,
		"concat(identity,identity)/aggregate($count as n)":                                                         true,
		"concat(aggregate($count as n),aggregate(quantity mul 2 with sum as n))":                                   false,
		"groupby((meter),top(150))/aggregate($count as n)":                                                         true,
		"groupby((sequence),identity" + strings.Repeat("/skip(0)", 9) + ")/skip(90)/aggregate($count as n)":        true,
		"filter(sequence le 9)/groupby((id),identity" + strings.Repeat("/skip(0)", 9) + ")/aggregate($count as n)": false,
		"compute(1 as a" + many(",1 as a%d", 60) + ")/compute(1 as b" + many(",1 as b%d", 60) + ")/top(60)/orderby(id)/aggregate($count as n)": true,
		"groupby((meter),top(50))/aggregate($count as n)": false,
		"compute(1 as x)": false,
		"top(90)" + strings.Repeat("/concat(identity,identity)", 20) + "/aggregate($count as n)":                            true,
		"top(9223372036854775807)/skip(9223372036854775807)/orderby(id)/skip(9223372036854775807)/top(9223372036854775807)": false,
	} {
		for row, err := range book.ApplyRows(t.Context(), scope, usage.ApplyQuery{Apply: apply}) {
			if large {
				require.ErrorIs(t, err, usage.ErrTooLarge, apply)
				require.False(t, errors.Is(err, usage.ErrInvalid))
			} else {
				require.NoError(t, err, apply)
				require.NotNil(t, row.Cells)
			}
		}
		page, err := book.Apply(t.Context(), scope, usage.ApplyQuery{Apply: apply, PageSize: 10})
		if apply == "groupby((id))" || apply == "compute(1 as x)/groupby((id,x))" || large {
			require.ErrorIs(t, err, usage.ErrTooLarge, apply)
			continue
		}
		require.NoError(t, err, apply)
		require.NotNil(t, page)
	}
}

// TestApplyCountsLate holds that a count that is first asked for on a later page
// is that of the whole result.
func TestApplyCountsLate(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	mustAppend(t, book, sales(t)...)
	for _, apply := range []string{"identity", "compute(1 as x)", "groupby((id))", "orderby(id)"} {
		for _, order := range []string{"", "id desc"} {
			q := usage.ApplyQuery{Apply: apply, OrderBy: order, PageSize: 3}
			page, err := book.Apply(t.Context(), usage.ForTenant("t"), q)
			require.NoError(t, err)
			q.Token, q.Count = page.Next, true
			page, err = book.Apply(t.Context(), usage.ForTenant("t"), q)
			require.NoError(t, err)
			require.EqualValues(t, 8, page.Count, "%s by %q", apply, order)
			require.Len(t, page.Rows, 3)
		}
	}
}

// TestApplyReadsNamesAsQueriesDo holds what the catalogue and undeclared names
// have to say, where a Query is asked and where it isn't.
func TestApplyReadsNamesAsQueriesDo(t *testing.T) {
	t.Parallel()
	opts := &usage.Options{AvgPlaces: 2, Meters: []usage.Meter{{Name: "m", Aliases: []string{"former"}, Values: []usage.MeterValue{{Name: "tokens", Aliases: []string{"words"}}},
		Dimensions: []usage.MeterDimension{{Name: "account", FoldCase: true, Aliases: []string{"customer"}}}}}}
	record := func(id, meter, value string, n int64, dimension, text string) usage.Record {
		return usage.Record{Tenant: "t", Source: "s", ID: id, Meter: meter, Start: noon, Values: usage.Values{}.With(value, decimal.NewFromInt(n)),
			Dimensions: usage.Dimensions{}.With(dimension, text)}
	}
	for _, store := range []usage.Store{memstore.New(nil), ungrouped{memstore.New(nil)}} {
		book, err := usage.New(store, opts)
		require.NoError(t, err)
		mustAppend(t, book, record("1", "m", "tokens", 1, "account", "A"), record("2", "m", "words", 2, "customer", "a"), record("3", "former", "words", 4, "account", "B"),
			record("4", "open", "words", 8, "customer", "a"), record("5", "open", "either", 3, "x", "y"), record("6", "open", "z", 3, "either", "3"), record("7", "open", "either", 3, "either", "4"))
		for apply, want := range map[string]string{
			"filter(account eq 'a')/groupby((account),aggregate(tokens with sum as s))":                                  "A 1|a 2",
			"filter(account eq 'a')/groupby((account),aggregate(tokens mul 1 with sum as s))":                            "A 1|a 2",
			"compute(1 as one)/filter(account eq 'a')/groupby((account),aggregate(one with sum as s))":                   "A 1|a 1",
			"filter(meter eq 'm')/aggregate(tokens with sum as s,tokens with average as a,$count as n)":                  "7 2.33 3",
			"filter(meter eq 'm')/aggregate(tokens mul 1 with sum as s,tokens mul 1 with average as a)":                  "7 2.33",
			"filter(words ne null)/groupby((meter),aggregate(words with sum as s))":                                      "m 7|open 8",
			"aggregate(either with countdistinct as n)":                                                                  "2",
			"aggregate(either with countdistinct as n,1 with sum as x)":                                                  "2 7",
			"aggregate(dimensions/either with countdistinct as d,values/either with countdistinct as v)":                 "2 1",
			"aggregate(dimensions/either with countdistinct as d,values/either with countdistinct as v,1 with sum as x)": "2 1 7",
			"filter(sequence div 2 eq 1.5)/aggregate($count as n)":                                                       "1",
			"compute(sequence div 2 as half)/filter(half eq 1.5)/aggregate($count as n)":                                 "1",
		} {
			page, err := book.Apply(t.Context(), usage.ForTenant("t"), usage.ApplyQuery{Apply: apply})
			require.NoError(t, err, apply)
			require.Equal(t, want, strings.Join(applyRows(page), "|"), apply)
		}
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	mustAppend(t, book, sales(t)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range book.ApplyRows(ctx, usage.ForTenant("t"), usage.ApplyQuery{Apply: "orderby(id)" + strings.Repeat("/concat(identity,identity)", 12)}) {
		if n++; n > 1 && err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.Less(t, n, 8<<12)
			return
		}
		require.NoError(t, err)
		cancel()
	}
	t.Fatal("no row told of the end of the context")
}

func TestApplyRowGet(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	mustAppend(t, book, sales(t)...)
	page, err := book.Apply(t.Context(), usage.ForTenant("t"), usage.ApplyQuery{Apply: "concat(filter(id eq '4')/compute(values/amount mul 2 as double),aggregate(amount with sum as start))"})
	require.NoError(t, err)
	var names []string
	for _, c := range page.Columns {
		names = append(names, c.Name+" "+c.Type.String())
	}
	require.Equal(t, "id string, source string, tenant string, meter string, end date-time, recorded date-time, sequence number, verified boolean, billable boolean, double number, start number",
		strings.Join(names, ", "))
	r, sum := page.Rows[0], page.Rows[1]
	require.Equal(t, "4", r.Record.ID)
	require.Equal(t, "16", r.Get("double").String())
	require.Equal(t, "8", r.Get("values/amount").String())
	require.Equal(t, "Coffee", r.Get("product").String())
	require.True(t, r.Get("start").IsNull(), "another branch has a number of that name")
	require.Nil(t, sum.Record)
	require.Equal(t, "24", sum.Get("start").String())
	require.True(t, sum.Get("product").IsNull())
	require.True(t, sum.Get("id").IsNull())
	require.True(t, (&usage.ApplyRow{}).Get("id").IsNull())
}
