package native_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

func rowsBook(t *testing.T) *usage.Book {
	t.Helper()
	clock := usagetest.NewClock(time.Date(2026, 3, 5, 12, 0, 0, 250_000_000, time.UTC))
	book, err := usage.New(memstore.New(nil), &usage.Options{Now: clock.Now})
	require.NoError(t, err)
	records, err := native.Decode(typeNDJSON, nil, []byte(`
{"id":"1","source":"gw","tenant":"acme","meter":"requests","start":"2026-03-01T00:00:00Z","quantity":"1.50","dimensions":{"region":"eu","start":"s"}}
{"id":"2","source":"gw","tenant":"acme","meter":"requests","start":"2026-03-01T12:30:00.000001Z","end":"2026-03-01T13:00:00.5Z","values":{"quantity":"-0.000000000000000000000000000001","cost":"99999999999999999999999999999999999999"},"dimensions":{"region":"us <&> \"west\"\u2028","tags":{"a":[1]}}}
{"id":"3","source":"gw","tenant":"acme","meter":"storage","start":"2026-03-02T00:00:00Z","quantity":"1e3","dimensions":{"region":""}}
{"id":"4","source":"gw","tenant":"acme","meter":"storage","start":"2026-03-03T00:00:00Z","quantity":"7"}
{"id":"5","source":"gw","tenant":"acme","meter":"storage","start":"2026-03-03T00:00:00Z","quantity":"8","corrects":{"kind":"replace","source":"gw","id":"4"}}
`), nil)
	require.NoError(t, err)
	_, err = book.Append(t.Context(), records...)
	require.NoError(t, err)
	return book
}

func measures(t *testing.T, text string) []usage.Measure {
	t.Helper()
	m, err := usage.ParseMeasures(text)
	require.NoError(t, err)
	return m
}

// write returns the JSON of a page and sees that it is what its columns say.
func write(t *testing.T, page *usage.Page, o *native.RowsOptions) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, native.WriteRows(&b, page, o))
	var got struct {
		Columns  []string
		Rows     []json.RawMessage
		AsOf     *uint64
		Count    *int64
		NextLink *string
	}
	dec := json.NewDecoder(strings.NewReader(b.String()))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&got), b.String())
	require.Equal(t, page.AsOf.Sequence, *got.AsOf)
	require.NotNil(t, got.Rows)
	require.Len(t, got.Rows, len(page.Rows))
	for i, row := range got.Rows {
		var keys []string
		dec := json.NewDecoder(bytes.NewReader(row))
		_, err := dec.Token()
		require.NoError(t, err)
		for dec.More() {
			key, err := dec.Token()
			require.NoError(t, err)
			keys = append(keys, key.(string))
			var value json.RawMessage
			require.NoError(t, dec.Decode(&value))
		}
		want := got.Columns
		if page.Rows[i].Record != nil {
			want = slices.DeleteFunc(slices.Clone(want), func(k string) bool { return !slices.Contains(keys, k) })
		}
		require.Equal(t, want, keys)
	}
	return b.String()
}

func TestWriteRows(t *testing.T) {
	t.Parallel()
	book := rowsBook(t)
	from, to := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	var b strings.Builder
	for _, c := range []struct {
		name    string
		query   usage.Query
		options *native.RowsOptions
	}{
		{"total", usage.Query{From: from, To: to, Measures: measures(t, "sum(quantity) as quantity, count() as n")}, nil},
		{"open range", usage.Query{Measures: measures(t, "count()")}, nil},
		{"groups", usage.Query{From: from, To: to, GroupBy: []string{"meter,region"}, Measures: measures(t, "sum(quantity) as quantity, max(cost) as top, avg(quantity) as mean")}, nil},
		{"windows", usage.Query{From: from, To: to, Window: aggregate.Window{Unit: aggregate.Day}, Measures: measures(t, "sum(quantity) as quantity")}, &native.RowsOptions{Count: true}},
		{"count and link", usage.Query{From: from, To: to, GroupBy: []string{"region"}, PageSize: 2, Count: true}, &native.RowsOptions{Count: true, NextLink: "https://book.example/v1/usage?$skiptoken=a&b=\"<c>\""}},
		{"no rows", usage.Query{From: from, To: to, Filter: "region eq 'nowhere'", GroupBy: []string{"region"}, Count: true}, &native.RowsOptions{Count: true}},
		{"groups by the record's own fields", usage.Query{GroupBy: []string{"id,source,sequence,recorded,verified,billable,values/cost,dimensions/start"}, Measures: measures(t, "count() as n")}, nil},
		{"groups by start and end", usage.Query{From: from, To: to, Window: aggregate.Window{Unit: aggregate.Day}, GroupBy: []string{"start,end"}, Measures: measures(t, "count() as rowEnd")}, nil},
		{"groups by start alone", usage.Query{From: from, To: to, GroupBy: []string{"start"}, Measures: measures(t, "count() as n")}, nil},
		{"records", usage.Query{Count: true}, &native.RowsOptions{Count: true}},
		{"no records", usage.Query{Filter: "id eq 'x'"}, nil},
	} {
		page, err := book.Query(t.Context(), usage.ForTenant("acme"), c.query)
		require.NoError(t, err, c.name)
		fmt.Fprintf(&b, "== %s\n%s\n\n", c.name, strings.ReplaceAll(write(t, page, c.options), "},{", "},\n {"))
	}
	empty, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	page, err := empty.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Measures: measures(t, "sum(quantity) as q, count() as n")})
	require.NoError(t, err)
	fmt.Fprintf(&b, "== empty book\n%s\n\n", write(t, page, nil))

	at := time.Date(2026, 3, 1, 0, 0, 0, 999, time.FixedZone("", 3600))
	made := &usage.Page{Rows: []usage.Row{
		{Record: &usage.Stored{Record: usage.Record{ID: "1", Source: "s", Tenant: "t", Corrects: &usage.Correction{Kind: usage.Void, Source: "s", ID: "0"}}}},
		{Record: &usage.Stored{Record: soundRecord(), Sequence: math.MaxUint64, Recorded: at, Verdict: usage.Verdict{State: rules.NoRule}}},
		{Record: &usage.Stored{Record: soundRecord(), Sequence: 1, Recorded: at, Verdict: usage.Verdict{State: rules.Verified, Billable: true, Version: "7"}}},
	}}
	fmt.Fprintf(&b, "== verdicts\n%s\n\n", strings.ReplaceAll(write(t, made, nil), "},{", "},\n {"))
	textFile(t, "rows.golden", b.String())

	bad := &usage.Page{Rows: []usage.Row{{Record: &usage.Stored{Record: usage.Record{ID: "\xff"}}}}}
	require.ErrorIs(t, native.WriteRows(&strings.Builder{}, bad, nil), usage.ErrInvalid)
}

// Bounds keep names of their own whatever the columns are called.
func TestWriteRowsNames(t *testing.T) {
	t.Parallel()
	page := &usage.Page{
		Columns: []usage.Column{{Name: "start"}, {Name: "rowStart"}, {Name: "rowEnd"}, {Name: "rowStart_"}, {Name: "n", Measure: &usage.Measure{}}},
		Rows:    []usage.Row{{Cells: []filter.Value{filter.String("a"), filter.Null(), filter.Bool(true)}}},
	}
	require.Equal(t, `{"columns":["rowStart__","end","start","rowStart","rowEnd","rowStart_","n"],`+
		`"rows":[{"rowStart__":null,"end":null,"start":"a","rowStart":null,"rowEnd":true,"rowStart_":null,"n":null}],"asOf":0}`, write(t, page, nil))
}

// Every number is written as the filter language would.
func TestWriteRowsNumbers(t *testing.T) {
	t.Parallel()
	values := []filter.Value{
		filter.Number(0, 0), filter.Number(0, 5), filter.Number(-5, 1), filter.Number(150, 2), filter.Number(100, 2), filter.Number(5, 30), filter.Number(5, -2),
		filter.Number(math.MaxInt64, 18), filter.Number(math.MinInt64, 0), filter.Number(math.MinInt64, 19), filter.Number(math.MinInt64, 30), filter.Number(1, 45),
		filter.Decimal(decimal.RequireFromString("123456789012345678901234567890.123456789012345678901234567890")), filter.Decimal(decimal.New(1, 38)),
	}
	g := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		values = append(values, filter.Number(g.Int64()>>g.IntN(64)*int64(1-2*g.IntN(2)), int32(g.IntN(32))))
	}
	page := &usage.Page{Columns: []usage.Column{{Name: "n", Measure: &usage.Measure{}}}}
	for _, v := range values {
		page.Rows = append(page.Rows, usage.Row{Cells: []filter.Value{v}})
	}
	var got struct{ Rows []struct{ N string } }
	require.NoError(t, json.Unmarshal([]byte(write(t, page, nil)), &got))
	for i, v := range values {
		require.Equal(t, v.String(), got.Rows[i].N)
		require.True(t, v.Decimal().Equal(decimal.RequireFromString(got.Rows[i].N)))
	}
}

// pieces keeps what it is given, write by write, and fails at one of them.
type pieces struct {
	sizes []int
	text  bytes.Buffer
	fail  int
}

var errPiece = errors.New("the client is gone")

func (p *pieces) Write(b []byte) (int, error) {
	p.sizes = append(p.sizes, len(b))
	if len(p.sizes) == p.fail {
		return 0, errPiece
	}
	return p.text.Write(b)
}

func TestWriteRowsInPieces(t *testing.T) {
	t.Parallel()
	page := &usage.Page{Columns: []usage.Column{{Name: "region"}, {Name: "quantity", Measure: &usage.Measure{}}}}
	for i := range 5000 {
		page.Rows = append(page.Rows, usage.Row{Cells: []filter.Value{filter.String(strings.Repeat("r", i%50)), filter.Number(int64(i), 2)}})
	}
	var p pieces
	require.NoError(t, native.WriteRows(&p, page, nil))
	require.Equal(t, write(t, page, nil), p.text.String())
	require.Greater(t, len(p.sizes), 10)
	for i, n := range p.sizes {
		require.Less(t, n, 33<<10)
		require.True(t, n >= 32<<10 || i == len(p.sizes)-1)
	}
	for _, at := range []int{1, 3, len(p.sizes)} {
		bad := pieces{fail: at}
		require.ErrorIs(t, native.WriteRows(&bad, page, nil), errPiece)
		require.Len(t, bad.sizes, at, "nothing is written behind a failure")
	}
}
