package difftest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
)

func shared(t *testing.T, name string, into any) {
	t.Helper()
	dir := os.Getenv("USAGEBOOK_SHARED")
	if dir == "" {
		t.Skip("USAGEBOOK_SHARED is not set: the acceptance data are not in the repository")
	}
	text, err := os.ReadFile(filepath.Join(dir, "odata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

// objects is a collection of flat objects.
type objects [][]filter.Value

func (o objects) Len() int                           { return len(o) }
func (o objects) Value(item, field int) filter.Value { return o[item][field] }

var scalars = map[string]filter.Field{
	"int":      {Type: filter.TypeDecimal, Whole: true},
	"decimal":  {Type: filter.TypeDecimal},
	"bool":     {Type: filter.TypeBool},
	"datetime": {Type: filter.TypeTime},
	"string":   {Type: filter.TypeString},
}

func scalar(t *testing.T, f filter.Field, raw json.RawMessage) filter.Value {
	t.Helper()
	text := string(raw)
	if text == "" || text == "null" {
		return filter.Null()
	}
	if text[0] == '"' {
		require.NoError(t, json.Unmarshal(raw, &text))
	}
	switch f.Type {
	case filter.TypeDecimal:
		return number(text)
	case filter.TypeBool:
		return filter.Bool(text == "true")
	case filter.TypeTime:
		return instant(text)
	}
	return filter.String(text)
}

// load reads a file of rows with its schema; the columns are chosen by what the rows
// hold.
func load(t *testing.T, name string) (fields []field, rows []row) {
	t.Helper()
	var file struct {
		Schema map[string]json.RawMessage
		Rows   []map[string]json.RawMessage
	}
	shared(t, name, &file)
	for name, raw := range file.Schema {
		var kind string
		f := filter.Field{Type: filter.TypeCollection}
		if json.Unmarshal(raw, &kind) == nil {
			f = scalars[kind]
		} else {
			var array []json.RawMessage
			var items map[string]string
			require.NoError(t, json.Unmarshal(raw, &array))
			require.NoError(t, json.Unmarshal(array[1], &items))
			for name, kind := range items {
				item := scalars[kind]
				item.Name = name
				f.Items = append(f.Items, item)
			}
		}
		f.Name = name
		fields = append(fields, field{Field: f})
	}
	for _, raw := range file.Rows {
		r := row{}
		for _, f := range fields {
			if f.Type != filter.TypeCollection {
				r[f.Name] = scalar(t, f.Field, raw[f.Name])
				continue
			}
			var items []map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(raw[f.Name], &items))
			all := make(objects, len(items))
			for i, item := range items {
				for _, part := range f.Items {
					all[i] = append(all[i], scalar(t, part, item[part.Name]))
				}
			}
			r[f.Name] = filter.Items(all)
		}
		rows = append(rows, r)
	}
	for i, f := range fields {
		fields[i].sqlite, fields[i].postgres = columnsFor(f, rows)
	}
	return fields, rows
}

// columnsFor chooses the columns that hold all values of a field exactly.
func columnsFor(f field, rows []row) (sqlite, postgres column) {
	ascii, scale := true, 0
	for _, r := range rows {
		v := r[f.Name]
		for _, c := range v.Str() {
			ascii = ascii && c < 0x80
		}
		if v.Type() == filter.TypeDecimal {
			_, places, _ := strings.Cut(v.String(), ".")
			scale = max(scale, len(places))
		}
	}
	fits := true
	for _, r := range rows {
		shifted := r[f.Name].Decimal().Shift(int32(scale))
		fits = fits && shifted.BigInt().IsInt64()
	}
	switch f.Type {
	case filter.TypeString:
		c := column{"TEXT", sqlfilter.Column{Kind: sqlfilter.KindText, ASCII: ascii}}
		return c, c
	case filter.TypeDecimal:
		sqlite = column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindInteger, Scale: scale}}
		if !fits {
			sqlite = column{"TEXT", sqlfilter.Column{Kind: sqlfilter.KindOpaque}}
		}
		return sqlite, column{"NUMERIC", sqlfilter.Column{Kind: sqlfilter.KindNumeric}}
	case filter.TypeBool:
		return column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindBoolInt}}, column{"BOOLEAN", sqlfilter.Column{Kind: sqlfilter.KindBoolean}}
	case filter.TypeTime:
		return column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindMicros}}, column{"TIMESTAMPTZ", sqlfilter.Column{Kind: sqlfilter.KindTimestamp}}
	}
	return column{}, column{}
}

type vector struct {
	Dataset, Filter, Kind, OrderBy string
	Top, Skip                      *int
	IDs                            []int64
}

// TestVectors holds that both engines, with Go for what they are not asked, give the
// answers that the vectors have.
func TestVectors(t *testing.T) {
	t.Parallel()
	var file struct{ Valid []vector }
	shared(t, "public.json", &file)
	require.NotEmpty(t, file.Valid)
	for dataset, name := range map[string]string{"focus": "focus_rows.json", "edge": "edge_rows.json"} {
		fields, rows := load(t, name)
		schema := schemaOf(t, fields)
		for _, e := range engines(t, fields) {
			e.fill(t, rows)
			pushed, all := 0, 0
			for _, v := range file.Valid {
				if v.Dataset == dataset {
					all++
					if e.vector(t, schema, rows, v) {
						pushed++
					}
				}
			}
			t.Logf("%s in %s: %d of %d vectors without residual", dataset, e.name, pushed, all)
			require.Greater(t, pushed*4, all)
		}
	}
}

// vector reports whether the engine answered alone.
func (e *engine) vector(t *testing.T, schema *filter.Fields, rows []row, v vector) bool {
	t.Helper()
	w := sqlfilter.Where{SQL: "TRUE"}
	if v.Filter != "" {
		parsed, err := filter.Parse(v.Filter, nil)
		require.NoError(t, err, v.Filter)
		c, err := filter.Check(parsed, schema)
		require.NoError(t, err, v.Filter)
		w = e.writer.Where(c, 0)
	}
	var keys []filter.Key
	if v.Kind == "order" {
		list, err := filter.ParseOrderBy(v.OrderBy+",id", nil)
		require.NoError(t, err, v.OrderBy)
		keys, err = filter.CheckOrderBy(list, schema)
		require.NoError(t, err, v.OrderBy)
	}
	o := e.writer.OrderBy(keys, len(w.Args))
	statement := w.SQL
	if o.SQL != "" {
		statement += " ORDER BY " + o.SQL
	} else {
		statement += " ORDER BY position"
	}
	ids := e.positions(t, statement, append(slices.Clone(w.Args), o.Args...))
	if w.Residual != nil {
		p := w.Residual.Compile()
		ids = slices.DeleteFunc(ids, func(id int) bool {
			ok, err := p.Match(bound{rows[id], p.Fields()})
			require.NoError(t, err, v.Filter)
			return !ok
		})
	}
	if !o.Exact {
		selected := make([]row, len(ids))
		for i, id := range ids {
			selected[i] = rows[id]
		}
		order, ok := sorted(selected, keys)
		require.True(t, ok, v.OrderBy)
		for i, at := range order {
			order[i] = ids[at]
		}
		ids = order
	}
	if v.Skip != nil {
		ids = ids[min(*v.Skip, len(ids)):]
	}
	if v.Top != nil {
		ids = ids[:min(*v.Top, len(ids))]
	}
	got := make([]int64, len(ids))
	for i, id := range ids {
		got[i], _, _ = rows[id]["id"].Small()
	}
	want := v.IDs
	if v.Kind != "order" {
		want = slices.Sorted(slices.Values(want))
		slices.Sort(got)
	}
	require.True(t, slices.Equal(want, got), "%s, %s: %s order by %s: %v, want %v\nSQL: %s\nresidual: %s",
		e.name, v.Dataset, v.Filter, v.OrderBy, got, want, statement, w.Residual)
	return w.Residual == nil && o.Exact
}

// TestNullableOrder is the fixture of a paging fault over a nullable key: ids from 1
// with their limits, null first, ties by id.
func TestNullableOrder(t *testing.T) {
	t.Parallel()
	fields := []field{{filter.Field{Name: "limit", Type: filter.TypeDecimal},
		column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindInteger}}, column{"NUMERIC", sqlfilter.Column{Kind: sqlfilter.KindNumeric}}}}
	var rows []row
	for _, limit := range []int64{0, 2, 0, 30, 0, 35, 5, 50, 25} {
		r := row{}
		if limit != 0 {
			r["limit"] = filter.Number(limit, 0)
		}
		rows = append(rows, r)
	}
	schema := schemaOf(t, fields)
	for text, want := range map[string][]int{
		"limit":      {1, 3, 5, 2, 7, 9, 4, 6, 8},
		"limit desc": {8, 6, 4, 9, 7, 2, 1, 3, 5},
	} {
		list, err := filter.ParseOrderBy(text, nil)
		require.NoError(t, err)
		keys, err := filter.CheckOrderBy(list, schema)
		require.NoError(t, err)
		for _, e := range engines(t, fields) {
			e.fill(t, rows)
			got, exact := e.orderBy(t, keys)
			require.True(t, exact)
			for i := range got {
				got[i]++
			}
			require.Equal(t, want, got, "%s: %s", e.name, text)
		}
	}
}

// TestPrecision holds times to the microsecond, which a float would lose far from
// 1970.
func TestPrecision(t *testing.T) {
	t.Parallel()
	fields := generated()
	schema := schemaOf(t, fields)
	at := time.Date(9999, 12, 31, 23, 59, 59, 999_998_000, time.UTC)
	rows := []row{}
	for i := range 3 {
		rows = append(rows, row{"t": filter.Time(at.Add(time.Duration(i-1) * time.Microsecond)), "micros": filter.Time(at.Add(time.Duration(i-1) * time.Microsecond)),
			"must": filter.String(""), "nmust": filter.Number(0, 0)})
	}
	for text, want := range map[string][]int{
		"t eq 9999-12-31T23:59:59.999998Z": {1}, "t gt 9999-12-31T23:59:59.999998Z": {2}, "micros lt 9999-12-31T23:59:59.999998Z": {0},
		"t gt 9999-12-31T23:59:59.9999975Z": {1, 2}, "not (micros le 9999-12-31T23:59:59.9999975Z)": {1, 2},
	} {
		parsed, err := filter.Parse(text, nil)
		require.NoError(t, err)
		c, err := filter.Check(parsed, schema)
		require.NoError(t, err)
		for _, e := range engines(t, fields) {
			e.fill(t, rows)
			ids, residual, _ := e.where(t, c)
			require.Nil(t, residual)
			require.Equal(t, want, ids, "%s: %s", e.name, text)
		}
	}
}
