package usage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func newBook(t testing.TB, opts *usage.Options) *usage.Book {
	t.Helper()
	book, err := usage.New(memstore.New(nil), opts)
	require.NoError(t, err)
	return book
}

func plainRecord(id string) usage.Record {
	return usage.Record{Tenant: "acme", Source: "s", ID: id, Meter: "m", Start: noon, Values: usage.Quantity(decimal.NewFromInt(1))}
}

func mustAppend(t testing.TB, book *usage.Book, records ...usage.Record) *usage.Receipt {
	t.Helper()
	receipt, err := book.Append(t.Context(), records...)
	require.NoError(t, err)
	return receipt
}

func TestAppendRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	var manyDims []usage.Dimension
	for i := range 65 {
		manyDims = append(manyDims, usage.Dimension{Name: fmt.Sprint("d", i), Value: "v"})
	}
	var manyValues []usage.Value
	for i := range 33 {
		manyValues = append(manyValues, usage.Value{Name: fmt.Sprint("v", i)})
	}
	for name, c := range map[string]struct {
		change func(*usage.Record)
		code   string
		field  string
	}{
		"no tenant":          {func(r *usage.Record) { r.Tenant = "" }, usage.CodeRequired, "tenant"},
		"no source":          {func(r *usage.Record) { r.Source = "" }, usage.CodeRequired, "source"},
		"no id":              {func(r *usage.Record) { r.ID = "" }, usage.CodeRequired, "id"},
		"no meter":           {func(r *usage.Record) { r.Meter = "" }, usage.CodeRequired, "meter"},
		"no start":           {func(r *usage.Record) { r.Start = time.Time{} }, usage.CodeRequired, "start"},
		"no values":          {func(r *usage.Record) { r.Values = usage.Values{} }, usage.CodeRequired, "values"},
		"long id":            {func(r *usage.Record) { r.ID = long }, usage.CodeTooLong, "id"},
		"long meter":         {func(r *usage.Record) { r.Meter = long[:129] }, usage.CodeTooLong, "meter"},
		"control in id":      {func(r *usage.Record) { r.ID = "a\nb" }, usage.CodeCharacters, "id"},
		"c1 control in id":   {func(r *usage.Record) { r.ID = "a\u0085b" }, usage.CodeCharacters, "id"},
		"broken UTF-8":       {func(r *usage.Record) { r.Source = "a\xffb" }, usage.CodeCharacters, "source"},
		"year 10000":         {func(r *usage.Record) { r.Start = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, usage.CodeOutOfRange, "start"},
		"year 0":             {func(r *usage.Record) { r.Start = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }, usage.CodeOutOfRange, "start"},
		"end before start":   {func(r *usage.Record) { r.End = r.Start.Add(-time.Second) }, usage.CodeEndBeforeStart, "end"},
		"39 digits":          {func(r *usage.Record) { r.Values = usage.Quantity(decimal.New(1, 38)) }, usage.CodeOutOfRange, "values.quantity"},
		"31 decimals":        {func(r *usage.Record) { r.Values = usage.Quantity(decimal.New(1, -31)) }, usage.CodeOutOfRange, "values.quantity"},
		"exponent bomb":      {func(r *usage.Record) { r.Values = usage.Quantity(decimal.New(1, 1<<30)) }, usage.CodeOutOfRange, "values.quantity"},
		"33 values":          {func(r *usage.Record) { r.Values = usage.NewValues(manyValues...) }, usage.CodeTooMany, "values"},
		"value twice":        {func(r *usage.Record) { r.Values = usage.NewValues(manyValues[0], manyValues[0]) }, usage.CodeDuplicate, "values.v0"},
		"65 dimensions":      {func(r *usage.Record) { r.Dimensions = usage.NewDimensions(manyDims...) }, usage.CodeTooMany, "dimensions"},
		"dimension twice":    {func(r *usage.Record) { r.Dimensions = usage.NewDimensions(manyDims[0], manyDims[0]) }, usage.CodeDuplicate, "dimensions.d0"},
		"long dimension":     {func(r *usage.Record) { r.Dimensions = r.Dimensions.With("d", long) }, usage.CodeTooLong, "dimensions.d"},
		"NUL in dimension":   {func(r *usage.Record) { r.Dimensions = r.Dimensions.With("d", "a\x00b") }, usage.CodeCharacters, "dimensions.d"},
		"unknown correction": {func(r *usage.Record) { r.Corrects = &usage.Correction{Kind: 9, Source: "s", ID: "x"} }, usage.CodeCorrection, "corrects"},
		"corrects itself":    {func(r *usage.Record) { r.Corrects = &usage.Correction{Kind: usage.Replace, Source: "s", ID: "2"} }, usage.CodeCorrection, "corrects"},
		"void with content":  {func(r *usage.Record) { r.Corrects = &usage.Correction{Kind: usage.Void, Source: "s", ID: "1"} }, usage.CodeVoidContent, "corrects"},
		"no such target":     {func(r *usage.Record) { r.Corrects = &usage.Correction{Kind: usage.Replace, Source: "s", ID: "9"} }, usage.CodeTarget, "corrects"},
		"bad JSON":           {func(r *usage.Record) { r.Meter = "j"; r.Dimensions = r.Dimensions.With("tags", "{") }, usage.CodeSyntax, "dimensions.tags"},
		"JSON key twice":     {func(r *usage.Record) { r.Meter = "j"; r.Dimensions = r.Dimensions.With("tags", `{"a":1,"a":2}`) }, usage.CodeSyntax, "dimensions.tags"},
		"deep JSON": {func(r *usage.Record) {
			r.Meter = "j"
			r.Dimensions = r.Dimensions.With("tags", strings.Repeat("[", 1000))
		}, usage.CodeSyntax, "dimensions.tags"},
		"undeclared value":     {func(r *usage.Record) { r.Meter = "j" }, usage.CodeUndeclared, "values.quantity"},
		"undeclared dimension": {func(r *usage.Record) { r.Meter = "j"; r.Dimensions = r.Dimensions.With("x", "y") }, usage.CodeUndeclared, "dimensions.x"},
		"fraction": {func(r *usage.Record) {
			r.Meter = "j"
			r.Values = usage.Values{}.With("whole", decimal.RequireFromString("1.5"))
		}, usage.CodeScale, "values.whole"},
		"name and former name": {func(r *usage.Record) { r.Meter = "j"; r.Dimensions = r.Dimensions.With("zone", "a").With("az", "a") }, usage.CodeAlias, "dimensions.az"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book := newBook(t, &usage.Options{Meters: []usage.Meter{{Name: "j", Closed: true, Values: []usage.MeterValue{{Name: "whole", Integer: true}},
				Dimensions: []usage.MeterDimension{{Name: "tags", JSON: true}, {Name: "zone", Aliases: []string{"az"}}}}}})
			bad := plainRecord("2")
			c.change(&bad)
			receipt, err := book.Append(t.Context(), plainRecord("1"), bad, plainRecord("3"))
			require.ErrorIs(t, err, usage.ErrRejected)
			var failed *usage.AppendError
			require.ErrorAs(t, err, &failed)
			require.Len(t, failed.Failures, 1)
			require.Equal(t, 1, failed.Failures[0].Index)
			codes := map[string]string{}
			for _, v := range failed.Failures[0].Violations {
				codes[v.Field] = v.Code
			}
			require.Equal(t, c.code, codes[c.field], "%v", failed.Failures[0].Violations)
			require.Equal(t, 2, receipt.Inserted, "the others are booked")
		})
	}
}

func TestJSONOrAnyText(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Meters: []usage.Meter{{Name: "m", Dimensions: []usage.MeterDimension{{Name: "tags", JSON: true, AnyText: true}}}}})
	for id, text := range map[string][2]string{"object": {`{"b": 1, "a": [ ]}`, `{"a":[],"b":1}`}, "text": {"not json", "not json"}, "half": {`{"a": `, `{"a": `}, "empty": {"", ""}} {
		r := plainRecord(id)
		r.Dimensions = r.Dimensions.With("tags", text[0])
		require.Equal(t, 1, mustAppend(t, book, r).Inserted)
		r.Dimensions = r.Dimensions.With("tags", text[1])
		require.Equal(t, 1, mustAppend(t, book, r).Duplicates)
		page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Filter: "id eq '" + id + "'"})
		require.NoError(t, err)
		kept, _ := page.Rows[0].Record.Dimensions.Get("tags")
		require.Equal(t, text[1], kept)
	}
	_, err := usage.New(memstore.New(nil), &usage.Options{Meters: []usage.Meter{{Name: "m", Dimensions: []usage.MeterDimension{{Name: "tags", AnyText: true}}}}})
	require.ErrorContains(t, err, "AnyText goes with JSON only")
}

func TestContentIsNormalised(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Meters: []usage.Meter{{Name: "m", Dimensions: []usage.MeterDimension{{Name: "tags", JSON: true}}}}})
	zurich, err := time.LoadLocation("Europe/Zurich")
	require.NoError(t, err)
	a := plainRecord("1")
	a.Start = noon.Add(1234 * time.Nanosecond)
	a.End = a.Start.Add(300 * time.Nanosecond) // within the same microsecond: an instant
	a.Values = usage.Values{}.With("quantity", decimal.RequireFromString("1.500")).With("cost", decimal.RequireFromString("-0.0"))
	a.Dimensions = usage.Dimensions{}.With("tags", `{"b": [1.0, "x"], "a": null}`).With("region", "")
	b := a
	b.Start = a.Start.In(zurich)
	b.End = time.Time{}
	b.Values = usage.Values{}.With("cost", decimal.Zero).With("quantity", decimal.New(15, -1))
	b.Dimensions = usage.NewDimensions(usage.Dimension{Name: "tags", Value: `{"a":null,"b":[1.0,"\u0078"]}`}, usage.Dimension{Name: "region"})
	require.Equal(t, 1, mustAppend(t, book, a).Inserted)
	require.Equal(t, 1, mustAppend(t, book, b).Duplicates)

	for row, err := range book.Rows(t.Context(), usage.ForTenant("acme"), usage.Query{}) {
		require.NoError(t, err)
		r := row.Record
		require.Equal(t, noon.Add(time.Microsecond), r.Start)
		require.Equal(t, time.UTC, r.Start.Location())
		require.True(t, r.End.IsZero())
		require.Equal(t, `{cost=0, quantity=1.5}`, r.Values.String())
		require.Equal(t, `{region="", tags="{\"a\":null,\"b\":[1.0,\"x\"]}"}`, r.Dimensions.String())
	}
	c := a // an absent dimension is not the empty string
	c.Dimensions = usage.Dimensions{}.With("tags", `{"a":null,"b":[1.0,"x"]}`)
	_, err = book.Append(t.Context(), c)
	require.ErrorIs(t, err, usage.ErrConflict)
}

// TestIdentityBeforeRules: a booked record answers the same for ever, whatever
// the rules say of it later.
func TestIdentityBeforeRules(t *testing.T) {
	t.Parallel()
	set := func(version string, most string) *rules.Set {
		s, err := rules.Parse([]byte(`[{"name":"limit","meter":"m","max":` + most + `}]`))
		require.NoError(t, err)
		out, err := rules.New(version, s, nil)
		require.NoError(t, err)
		return out
	}
	var holder rules.Holder
	holder.Swap(set("v1", "10"))
	book := newBook(t, &usage.Options{Rules: &holder})
	five, fifty := plainRecord("5"), plainRecord("50")
	five.Values = usage.Quantity(decimal.NewFromInt(5))
	fifty.Values = usage.Quantity(decimal.NewFromInt(50))
	_, err := book.Append(t.Context(), five, fifty)
	require.ErrorIs(t, err, usage.ErrRejected)
	require.ErrorContains(t, err, "max")

	holder.Swap(set("v2", "1"))
	receipt := mustAppend(t, book, five)
	require.Equal(t, 1, receipt.Duplicates, "booked under v1")
	changed := five
	changed.Values = usage.Quantity(decimal.NewFromInt(6))
	_, err = book.Append(t.Context(), changed)
	require.ErrorIs(t, err, usage.ErrConflict, "refused by v2, but the identity comes first")
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Filter: "verified eq true"})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	require.Equal(t, "v1", page.Rows[0].Record.Verdict.Version)
}

func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	mustAppend(t, book, plainRecord("1"))
	bad := plainRecord("3")
	bad.Meter = ""
	receipt, err := book.AppendBatch(t.Context(), usage.AppendOptions{AllOrNothing: true}, plainRecord("1"), plainRecord("2"), bad, plainRecord("2"))
	require.ErrorIs(t, err, usage.ErrRejected)
	require.ErrorContains(t, err, "so none was")
	var outcomes []usage.Outcome
	for _, e := range receipt.Entries {
		outcomes = append(outcomes, e.Outcome)
	}
	require.Equal(t, []usage.Outcome{usage.Duplicate, usage.Withheld, usage.Rejected, usage.Withheld}, outcomes)
	receipt = mustAppend(t, book, plainRecord("2"))
	require.Equal(t, 1, receipt.Inserted, "nothing of the batch was booked")
}

func TestBatchSize(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{BatchSize: 2})
	_, err := book.Append(t.Context(), plainRecord("1"), plainRecord("2"), plainRecord("3"))
	require.ErrorIs(t, err, usage.ErrTooLarge)
	receipt := mustAppend(t, book)
	require.Empty(t, receipt.Entries)
}

func TestNewListsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := usage.New(nil, &usage.Options{BatchSize: -1, SnapshotHold: -time.Second, Rollups: [][]string{{}},
		TokenKeys: []paginate.Key{{ID: "short", Secret: []byte("x")}},
		Meters: []usage.Meter{{Name: "m", Values: []usage.MeterValue{{Name: "id"}, {Name: "x"}}, Dimensions: []usage.MeterDimension{{Name: "x"}}}, {Name: "m"},
			{Name: "n", Dimensions: []usage.MeterDimension{{Name: "x2"}}, Values: []usage.MeterValue{{Name: "v", Integer: true, MaxScale: 2}}}}})
	require.ErrorIs(t, err, usage.ErrInvalid)
	for _, part := range []string{"store is nil", "BatchSize", "SnapshotHold", "Rollups[0]", `"id": the name is reserved`, `"x" is declared as a value already`, "declared twice", "contradict", "short"} {
		require.ErrorContains(t, err, part)
	}
	var catalogue *usage.CatalogueError
	require.ErrorAs(t, err, &catalogue)
}

func TestScopes(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	other := plainRecord("1")
	other.Tenant = "globex"
	eu := plainRecord("2")
	eu.Dimensions = eu.Dimensions.With("region", "eu")
	mustAppend(t, book, plainRecord("1"), other, eu)
	count := func(scope usage.Scope, text string) int {
		page, err := book.Query(t.Context(), scope, usage.Query{Filter: text})
		require.NoError(t, err)
		return len(page.Rows)
	}
	require.Equal(t, 2, count(usage.ForTenant("acme"), ""))
	require.Equal(t, 2, count(usage.ForTenant("acme"), "tenant eq 'globex' or true"), "a filter cannot widen a scope")
	require.Equal(t, 0, count(usage.ForTenant("acme"), "tenant eq 'globex'"))
	require.Equal(t, 1, count(usage.ForTenant("acme").With("region", "eu"), "region eq null or true"))
	require.Equal(t, 0, count(usage.ForTenant("acme").With("region", "eu").With("region", "us"), ""))
	require.Equal(t, 3, count(usage.AllTenants(), ""))
	require.Equal(t, 0, count(usage.ForTenant("nobody"), ""))
	for _, scope := range []usage.Scope{{}, usage.ForTenants(), usage.ForTenant(""), usage.ForTenants("acme", ""), usage.ForTenant("acme").With("", "x")} {
		_, err := book.Query(t.Context(), scope, usage.Query{})
		require.ErrorIs(t, err, usage.ErrScope)
		_, err = book.Plan(t.Context(), scope, usage.Query{})
		require.ErrorIs(t, err, usage.ErrScope)
		for _, err := range book.Rows(t.Context(), scope, usage.Query{}) {
			require.ErrorIs(t, err, usage.ErrScope)
		}
		id := plainRecord("1").Identity()
		_, err = book.Explain(t.Context(), scope, usage.Explain{Identity: &id})
		require.ErrorIs(t, err, usage.ErrScope)
	}
	// Another tenant's record is as unknown as one that isn't there.
	id := other.Identity()
	why, err := book.Explain(t.Context(), usage.ForTenant("acme"), usage.Explain{Identity: &id})
	require.NoError(t, err)
	require.False(t, why.Booked)
	require.Empty(t, why.Records)
}

func TestQueryFaults(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Meters: []usage.Meter{
		{Name: "closed", Closed: true, Values: []usage.MeterValue{{Name: "cost"}}, Dimensions: []usage.MeterDimension{{Name: "region"}}},
		{Name: "gauge", Values: []usage.MeterValue{{Name: "cost", Aggregation: usage.Max}}}}})
	for name, c := range map[string]struct {
		query usage.Query
		says  string
	}{
		"bad filter":             {usage.Query{Filter: "region eq"}, "at byte"},
		"filter of a wrong type": {usage.Query{Filter: "cost eq 'x'"}, "at byte"},
		"bad order":              {usage.Query{OrderBy: "region sideways"}, "at byte"},
		"order by no column":     {usage.Query{GroupBy: []string{"region"}, Measures: []usage.Measure{{Of: "cost"}}, OrderBy: "meter"}, "meter"},
		"group twice":            {usage.Query{GroupBy: []string{"region", "region"}}, "twice"},
		"reversed range":         {usage.Query{From: noon, To: noon.Add(-1e6)}, "before it begins"},
		"page size":              {usage.Query{PageSize: 10_001}, "10000"},
		"negative limit":         {usage.Query{Limit: -1}, "limit"},
		"sum of a dimension":     {usage.Query{Measures: []usage.Measure{{Of: "dimensions/region"}}}, "takes a value"},
		"sum of nothing":         {usage.Query{Measures: []usage.Measure{{}}}, "needs a value"},
		"same column":            {usage.Query{Measures: []usage.Measure{{Of: "cost"}, {Of: "cost"}}}, "two columns"},
		"defaults that differ":   {usage.Query{GroupBy: []string{"region"}}, "differently"},
		"closed meter":           {usage.Query{Filter: "meter eq 'closed' and colour eq 'red'"}, "colour"},
		"closed meter's group":   {usage.Query{Filter: "meter eq 'closed'", GroupBy: []string{"colour"}}, "closed"},
		"zero fill without end":  {usage.Query{Measures: []usage.Measure{{Of: "cost"}}, ZeroFill: true, Window: aggregate.Window{Unit: aggregate.Day}, From: noon}, "both ends"},
		"both moments":           {usage.Query{AsOf: usage.AsOf{Time: noon, Sequence: 1}}, "both"},
		"anchor day":             {usage.Query{Window: aggregate.Window{Unit: aggregate.BillingCycle, AnchorDay: 32}}, "32"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := book.Query(t.Context(), usage.ForTenant("acme"), c.query)
			require.ErrorIs(t, err, usage.ErrInvalid)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Filter: "region eq 'a' and ("})
	var fault *filter.Error
	require.ErrorAs(t, err, &fault)
	require.Contains(t, fault.Render(), "^")

	_, err = book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{ZeroFill: true, From: noon, To: noon.AddDate(20, 0, 0), Window: aggregate.Window{Unit: aggregate.Hour}, Measures: []usage.Measure{{Of: "cost"}}})
	require.ErrorIs(t, err, usage.ErrTooLarge)
}

func TestGroupLimit(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{MaxGroups: 3})
	for i := range 4 {
		mustAppend(t, book, plainRecord(fmt.Sprint(i)))
	}
	_, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"id"}})
	require.ErrorIs(t, err, usage.ErrTooLarge)
}

func TestDefaultMeasures(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Meters: []usage.Meter{
		{Name: "disk", Values: []usage.MeterValue{{Name: "bytes", Aggregation: usage.Max}, {Name: "files", Aggregation: usage.Last}}},
		{Name: "seats", Values: []usage.MeterValue{{Name: "users", Aggregation: usage.CountDistinct, DistinctOf: "user"}}}}})
	disk := func(id string, minute int, bytes, files int64) usage.Record {
		r := plainRecord(id)
		r.Meter, r.Start = "disk", noon.Add(time.Duration(minute)*time.Minute)
		r.Values = usage.Values{}.With("bytes", decimal.NewFromInt(bytes)).With("files", decimal.NewFromInt(files))
		return r
	}
	seat := func(id, user string) usage.Record {
		r := plainRecord(id)
		r.Meter, r.Values = "seats", usage.Values{}.With("users", decimal.NewFromInt(1))
		r.Dimensions = r.Dimensions.With("user", user)
		return r
	}
	mustAppend(t, book, disk("1", 5, 30, 7), disk("2", 3, 50, 9), seat("3", "ann"), seat("4", "bob"), seat("5", "ann"))
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Window: aggregate.Window{Unit: aggregate.Day}})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	require.Equal(t, "50", page.Rows[0].Get("bytes").String())
	require.Equal(t, "7", page.Rows[0].Get("files").String())
	require.Equal(t, "2", page.Rows[0].Get("users").String())
	require.Equal(t, "bytes files users", strings.Join([]string{page.Columns[0].Name, page.Columns[1].Name, page.Columns[2].Name}, " "))
}

func TestAliasesReadBoth(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Meters: []usage.Meter{{Name: "requests", Aliases: []string{"calls"},
		Values: []usage.MeterValue{{Name: "bytes", Aliases: []string{"octets"}}}, Dimensions: []usage.MeterDimension{{Name: "region", Aliases: []string{"zone"}, FoldCase: true}}}}})
	old, now := plainRecord("1"), plainRecord("2")
	old.Meter, old.Values, old.Dimensions = "calls", usage.Values{}.With("octets", decimal.NewFromInt(3)), old.Dimensions.With("zone", "EU")
	now.Meter, now.Values, now.Dimensions = "requests", usage.Values{}.With("bytes", decimal.NewFromInt(4)), now.Dimensions.With("region", "EU")
	mustAppend(t, book, old, now)
	rollAll(t, book)
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Filter: "meter eq 'requests' and region eq 'eu'", GroupBy: []string{"meter", "region"}})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	require.Equal(t, "7", page.Rows[0].Get("bytes").String())
	require.Equal(t, "EU", page.Rows[0].Get("region").String())
}

func TestReservedNamesInRecords(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	r := plainRecord("1")
	r.Values = r.Values.With("meter", decimal.NewFromInt(8))
	r.Dimensions = r.Dimensions.With("meter", "inner").With("quantity", "lots")
	mustAppend(t, book, r)
	for text, want := range map[string]int{
		"meter eq 'm'": 1, "meter eq 'inner'": 0, "dimensions/meter eq 'inner'": 1, "values/meter eq 8": 1,
		"quantity eq 'lots'": 1, "values/quantity eq 1": 1, "verified eq false": 1, "billable eq false": 1, "end eq null": 1,
	} {
		page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Filter: text})
		require.NoError(t, err, text)
		require.Len(t, page.Rows, want, text)
	}
}

func TestNullOrderAndPages(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Meters: []usage.Meter{{Name: "m", Values: []usage.MeterValue{{Name: "credit"}}}}})
	for i, credit := range []string{"", "2", "", "30", "", "35", "5", "50", "25"} {
		r := plainRecord(fmt.Sprint(i + 1))
		if credit != "" {
			r.Values = r.Values.With("credit", decimal.RequireFromString(credit))
		}
		mustAppend(t, book, r)
	}
	walk := func(q usage.Query) (ids string) {
		for {
			page, err := book.Query(t.Context(), usage.ForTenant("acme"), q)
			require.NoError(t, err)
			for _, row := range page.Rows {
				ids += row.Record.ID
			}
			if page.Next == "" {
				return ids
			}
			q.Token = page.Next
		}
	}
	require.Equal(t, "135279468", walk(usage.Query{OrderBy: "credit", PageSize: 2}))
	require.Equal(t, "864972135", walk(usage.Query{OrderBy: "credit desc", PageSize: 2}))
	require.Equal(t, "864972135", walk(usage.Query{OrderBy: "credit desc", PageSize: 1}))
	require.Equal(t, "86497", walk(usage.Query{OrderBy: "credit desc", PageSize: 2, Limit: 5}))
	require.Equal(t, "987654321", walk(usage.Query{OrderBy: "id desc", PageSize: 4}))
	require.Equal(t, "123456789", walk(usage.Query{PageSize: 4}))

	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"credit"}, Measures: []usage.Measure{{Aggregation: usage.Count, Name: "n"}}, PageSize: 3, Count: true, OrderBy: "n desc"})
	require.NoError(t, err)
	require.EqualValues(t, 7, page.Count)
	require.True(t, page.Rows[0].Get("credit").IsNull())
	require.Equal(t, "3", page.Rows[0].Get("n").String())
}

// TestTokensAreBound: a token means nothing with another query, scope or key,
// and the same with another page size or spelling.
func TestTokensAreBound(t *testing.T) {
	t.Parallel()
	now := noon
	book := newBook(t, &usage.Options{Now: func() time.Time { return now }})
	for i := range 9 {
		r := plainRecord(fmt.Sprint(i))
		r.Dimensions = r.Dimensions.With("region", []string{"eu", "us", "ap"}[i%3])
		mustAppend(t, book, r)
	}
	q := usage.Query{Filter: "region ne 'ap'", PageSize: 2}
	first, err := book.Query(t.Context(), usage.ForTenant("acme"), q)
	require.NoError(t, err)
	q.Token = first.Next

	same := q
	same.Filter, same.PageSize = "(region)  NE 'ap'", 3
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), same)
	require.NoError(t, err)
	require.Len(t, page.Rows, 3)

	for name, c := range map[string]struct {
		scope  usage.Scope
		change func(*usage.Query)
		want   error
	}{
		"other filter": {usage.ForTenant("acme"), func(q *usage.Query) { q.Filter = "region ne 'eu'" }, paginate.ErrTokenQuery},
		"other order":  {usage.ForTenant("acme"), func(q *usage.Query) { q.OrderBy = "id desc" }, paginate.ErrTokenQuery},
		"other range":  {usage.ForTenant("acme"), func(q *usage.Query) { q.From = noon.Add(-time.Hour) }, paginate.ErrTokenQuery},
		"other tenant": {usage.ForTenant("globex"), func(*usage.Query) {}, paginate.ErrTokenScope},
		"all tenants":  {usage.AllTenants(), func(*usage.Query) {}, paginate.ErrTokenScope},
		"narrower":     {usage.ForTenant("acme").With("region", "eu"), func(*usage.Query) {}, paginate.ErrTokenScope},
		"cut":          {usage.ForTenant("acme"), func(q *usage.Query) { q.Token = q.Token[:len(q.Token)-2] }, paginate.ErrToken},
	} {
		t.Run(name, func(t *testing.T) {
			q := q
			c.change(&q)
			_, err := book.Query(t.Context(), c.scope, q)
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, err, paginate.ErrToken)
		})
	}
	elsewhere := newBook(t, nil)
	_, err = elsewhere.Query(t.Context(), usage.ForTenant("acme"), q)
	require.ErrorIs(t, err, paginate.ErrTokenKey)
	now = now.Add(2 * time.Hour)
	_, err = book.Query(t.Context(), usage.ForTenant("acme"), q)
	require.ErrorIs(t, err, paginate.ErrTokenExpired)
}

// TestPagesAreOneSnapshot walks pages while the book goes on under them, and
// past the mark of the token.
func TestPagesAreOneSnapshot(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]usage.Query{
		"records": {PageSize: 7},
		"ordered": {PageSize: 7, OrderBy: "values/quantity desc"},
		"rows":    {PageSize: 3, GroupBy: []string{"region"}, Window: aggregate.Window{Unit: aggregate.Hour}, Measures: []usage.Measure{{Of: "quantity"}}, OrderBy: "quantity desc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 99)
			for range 8 {
				w.append()
			}
			rollAll(t, w.rolled)
			w.append()
			scope := usage.ForTenant("acme")
			var want []string
			for row, err := range w.rolled.Rows(t.Context(), scope, usage.Query{GroupBy: q.GroupBy, Window: q.Window, Measures: q.Measures, OrderBy: q.OrderBy}) {
				require.NoError(t, err)
				want = append(want, table(&usage.Page{Rows: []usage.Row{row}}))
			}
			var got []string
			var mark uint64
			for {
				page, err := w.rolled.Query(t.Context(), scope, q)
				require.NoError(t, err)
				mark = page.AsOf.Sequence
				for _, row := range page.Rows {
					got = append(got, table(&usage.Page{Rows: []usage.Row{row}}))
				}
				if page.Next == "" {
					break
				}
				q.Token = page.Next
				w.append()
				rollAll(t, w.rolled)
			}
			require.Equal(t, want, got)
			plan, err := w.rolled.Plan(t.Context(), scope, usage.Query{Measures: []usage.Measure{{Of: "quantity"}}})
			require.NoError(t, err)
			require.Greater(t, plan.Checkpoint, mark, "the checkpoint never passed the token's mark: the test proves nothing")
		})
	}
}

func TestAsOf(t *testing.T) {
	t.Parallel()
	now := noon
	book := newBook(t, &usage.Options{Now: func() time.Time { return now }})
	mustAppend(t, book, plainRecord("1"))
	now = now.Add(time.Minute)
	_, err := book.Void(t.Context(), plainRecord("1").Identity(), "s", "v1")
	require.NoError(t, err)
	mustAppend(t, book, plainRecord("2"))
	ids := func(at usage.AsOf) (ids string) {
		for row, err := range book.Rows(t.Context(), usage.ForTenant("acme"), usage.Query{AsOf: at}) {
			require.NoError(t, err)
			ids += row.Record.ID
		}
		return ids
	}
	require.Equal(t, "2", ids(usage.AsOf{}))
	require.Equal(t, "1", ids(usage.AsOf{Sequence: 1}))
	require.Equal(t, "", ids(usage.AsOf{Sequence: 2}))
	require.Equal(t, "1", ids(usage.AsOf{Time: noon.Add(time.Second)}))
	require.Equal(t, "", ids(usage.AsOf{Time: noon}), "before anything was recorded")
	require.Equal(t, "2", ids(usage.AsOf{Time: noon.Add(time.Hour)}))

	// A time in the future is now: it holds nothing back, and the records of a
	// clock that runs ahead are there.
	now = now.Add(2 * time.Hour)
	mustAppend(t, book, plainRecord("3"))
	now = now.Add(-time.Hour)
	require.Equal(t, "23", ids(usage.AsOf{Time: now.Add(time.Minute)}))
	require.Equal(t, "2", ids(usage.AsOf{Time: now}))
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{PageSize: 1, AsOf: usage.AsOf{Time: now.Add(time.Minute)}})
	require.NoError(t, err)
	mustAppend(t, book, plainRecord("4"))
	page, err = book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{AsOf: usage.AsOf{Time: now.Add(time.Minute)}, Token: page.Next})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1, "all pages are of the first page's now")
}

func TestExplainSaysWhyNot(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{Now: func() time.Time { return noon.Add(time.Minute) }})
	r := plainRecord("1")
	r.Dimensions = r.Dimensions.With("region", "eu")
	mustAppend(t, book, r, plainRecord("2"), plainRecord("3"))
	replacement := plainRecord("2b")
	_, err := book.Replace(t.Context(), plainRecord("2").Identity(), replacement)
	require.NoError(t, err)
	_, err = book.Void(t.Context(), plainRecord("3").Identity(), "s", "v")
	require.NoError(t, err)
	ask := func(id string, q usage.Query) usage.Explained {
		identity := usage.Identity{Tenant: "acme", Source: "s", ID: id}
		why, err := book.Explain(t.Context(), usage.ForTenant("acme"), usage.Explain{Query: q, Identity: &identity})
		require.NoError(t, err)
		require.True(t, why.Booked)
		return why.Records[0]
	}
	require.True(t, ask("1", usage.Query{}).Counted)
	require.Equal(t, usage.WhyFilter, ask("1", usage.Query{Filter: "meter eq 'm' and region eq 'us'"}).Why)
	require.Contains(t, ask("1", usage.Query{Filter: "meter eq 'm' and region eq 'us'"}).Detail, "'us'")
	require.Equal(t, usage.WhyRange, ask("1", usage.Query{From: noon.Add(time.Second)}).Why)
	require.Equal(t, usage.WhyRange, ask("1", usage.Query{To: noon}).Why)
	require.Equal(t, usage.WhyReplaced, ask("2", usage.Query{}).Why)
	require.Equal(t, usage.WhyVoided, ask("3", usage.Query{}).Why)
	require.Equal(t, usage.WhyVoid, ask("v", usage.Query{}).Why)
	require.Equal(t, usage.WhyLaterThanAt, ask("2b", usage.Query{AsOf: usage.AsOf{Sequence: 1}}).Why)
	require.Len(t, ask("3", usage.Query{}).Chain, 1)
}

func TestExplainRowByPages(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	for i := range 10 {
		r := plainRecord(fmt.Sprintf("%02d", i))
		r.Dimensions = r.Dimensions.With("region", []string{"eu", "us"}[i%2])
		mustAppend(t, book, r)
	}
	_, err := book.Void(t.Context(), plainRecord("04").Identity(), "s", "v")
	require.NoError(t, err)
	scope := usage.ForTenant("acme")
	query := usage.Query{GroupBy: []string{"region"}, Window: aggregate.Window{Unit: aggregate.Day}}
	page, err := book.Query(t.Context(), scope, query)
	require.NoError(t, err)
	require.Equal(t, "4", page.Rows[0].Get("quantity").String())
	e := usage.Explain{Query: query, Row: &page.Rows[0], PageSize: 2}
	ids, counted := "", 0
	for {
		why, err := book.Explain(t.Context(), scope, e)
		require.NoError(t, err)
		for _, r := range why.Records {
			ids += r.ID + " "
			if r.Counted {
				counted++
			}
		}
		if why.Next == "" {
			break
		}
		e.Token = why.Next
		mustAppend(t, book, plainRecord(fmt.Sprint("later", len(ids)))) // changes nothing
	}
	require.Equal(t, "00 02 04 06 08 ", ids)
	require.Equal(t, 4, counted)
	e.Row = &page.Rows[1]
	_, err = book.Explain(t.Context(), scope, e)
	require.ErrorIs(t, err, paginate.ErrTokenQuery, "the token of another row")
}

func TestCorrectionsInOneBatch(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	void := func(id, target string) usage.Record {
		return usage.Record{Tenant: "acme", Source: "s", ID: id, Corrects: &usage.Correction{Kind: usage.Void, Source: "s", ID: target}}
	}
	receipt, err := book.Append(t.Context(), plainRecord("1"), void("v1", "1"), void("v2", "1"), void("v3", "v1"), void("v0", "9"))
	require.ErrorIs(t, err, usage.ErrAlreadyCorrected)
	require.ErrorIs(t, err, usage.ErrTarget)
	require.Equal(t, 3, receipt.Inserted)
	require.Equal(t, usage.Rejected, receipt.Entries[2].Outcome)
	require.Equal(t, &usage.Identity{Tenant: "acme", Source: "s", ID: "v1"}, receipt.Entries[2].Head)
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1, "v3 took v1 back")
	again, err := book.Append(t.Context(), plainRecord("1"), void("v1", "1"), void("v3", "v1"))
	require.NoError(t, err)
	require.Equal(t, 3, again.Duplicates, "a retry of a correction is a duplicate")
	replace := plainRecord("r")
	replace.Corrects = &usage.Correction{Kind: usage.Replace, Source: "s", ID: "v3"}
	_, err = book.Append(t.Context(), replace)
	require.ErrorContains(t, err, usage.CodeReplacesVoid)
}

// TestRunRolls lets Run roll what is booked while it runs, on a fake clock.
func TestRunRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book, err := usage.New(memstore.New(nil), &usage.Options{RollInterval: time.Minute})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var done atomic.Bool
		go func() {
			if err := book.Run(ctx); err == nil {
				done.Store(true)
			}
		}()
		q := usage.Query{Window: aggregate.Window{Unit: aggregate.Day}, Measures: []usage.Measure{{Of: "quantity"}}}
		for round := range 3 {
			for i := range 100 {
				r := plainRecord(fmt.Sprint(round, "-", i))
				if _, err := book.Append(ctx, r); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(2 * time.Minute) // of the fake clock
			synctest.Wait()
			plan, err := book.Plan(ctx, usage.ForTenant("acme"), q)
			require.NoError(t, err)
			require.EqualValues(t, 1, plan.RowsRead, plan.String())
			require.EqualValues(t, 100*(round+1), plan.Records)
		}
		cancel()
		synctest.Wait()
		require.True(t, done.Load())
	})
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	mustAppend(t, book, plainRecord("1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := book.Query(ctx, usage.ForTenant("acme"), usage.Query{})
	require.True(t, errors.Is(err, context.Canceled), "%v", err)
	_, err = book.Append(ctx, plainRecord("2"))
	require.ErrorIs(t, err, context.Canceled)
}
