package filter_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// dataset is a file of rows with its schema.
type dataset struct {
	schema *filter.Fields
	fields []filter.Field
	rows   []row
	ids    []int64
}

// objects is a collection of flat objects.
type objects [][]filter.Value

func (o objects) Len() int                           { return len(o) }
func (o objects) Value(item, field int) filter.Value { return o[item][field] }

func typeOf(name string) filter.Field {
	switch name {
	case "int":
		return filter.Field{Type: filter.TypeDecimal, Whole: true}
	case "decimal":
		return filter.Field{Type: filter.TypeDecimal}
	case "bool":
		return filter.Field{Type: filter.TypeBool}
	case "datetime":
		return filter.Field{Type: filter.TypeTime}
	}
	return filter.Field{Type: filter.TypeString}
}

// valueOf reads a JSON scalar; numbers may be strings.
func valueOf(t *testing.T, f filter.Field, raw json.RawMessage) filter.Value {
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
		d, err := decimal.NewFromString(text)
		require.NoError(t, err)
		return filter.Decimal(d)
	case filter.TypeBool:
		return filter.Bool(text == "true")
	case filter.TypeTime:
		at, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return filter.Time(at)
	}
	return filter.String(text)
}

func loadDataset(t *testing.T, name string) dataset {
	t.Helper()
	var file struct {
		Schema map[string]json.RawMessage
		Rows   []map[string]json.RawMessage
	}
	shared(t, name, &file)
	var d dataset
	for name, raw := range file.Schema {
		var scalar string
		f := filter.Field{Type: filter.TypeCollection}
		if json.Unmarshal(raw, &scalar) == nil {
			f = typeOf(scalar)
		} else {
			var array []json.RawMessage
			var items map[string]string
			require.NoError(t, json.Unmarshal(raw, &array))
			require.NoError(t, json.Unmarshal(array[1], &items))
			for name, scalar := range items {
				item := typeOf(scalar)
				item.Name = name
				f.Items = append(f.Items, item)
			}
		}
		f.Name = name
		d.fields = append(d.fields, f)
	}
	var err error
	d.schema, err = filter.NewSchema(d.fields...)
	require.NoError(t, err)
	for _, raw := range file.Rows {
		r := row{}
		for _, f := range d.fields {
			if f.Type != filter.TypeCollection {
				r[f.Name] = valueOf(t, f, raw[f.Name])
				continue
			}
			var items []map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(raw[f.Name], &items))
			all := make(objects, len(items))
			for i, item := range items {
				for _, field := range f.Items {
					all[i] = append(all[i], valueOf(t, field, item[field.Name]))
				}
			}
			r[f.Name] = filter.Items(all)
		}
		d.rows = append(d.rows, r)
		id, _, _ := r["id"].Small()
		d.ids = append(d.ids, id)
	}
	return d
}

type vectorFile struct {
	Valid []struct {
		Dataset, Filter, Kind, OrderBy string
		Top, Skip                      *int
		IDs                            []int64
	}
	Invalid []struct {
		Input  string
		FailAt int
	}
}

// TestVectors holds all evaluation vectors, those that depend on null under not as
// the standard decides them, and that the text of each tree is read back.
func TestVectors(t *testing.T) {
	t.Parallel()
	var file vectorFile
	shared(t, "public.json", &file)
	sets := map[string]dataset{"focus": loadDataset(t, "focus_rows.json"), "edge": loadDataset(t, "edge_rows.json")}
	require.NotEmpty(t, file.Valid)
	for _, v := range file.Valid {
		d := sets[v.Dataset]
		selected := d.selectRows(t, v.Filter)
		if v.Kind == "order" {
			selected = d.sort(t, selected, v.OrderBy)
			if v.Skip != nil {
				selected = selected[min(*v.Skip, len(selected)):]
			}
			if v.Top != nil {
				selected = selected[:min(*v.Top, len(selected))]
			}
		}
		got := make([]int64, len(selected))
		for i, at := range selected {
			got[i] = d.ids[at]
		}
		require.True(t, slices.Equal(v.IDs, got), "%s: %s order by %s: %v, want %v", v.Dataset, v.Filter, v.OrderBy, got, v.IDs)
	}
}

func (d dataset) selectRows(t *testing.T, text string) []int {
	t.Helper()
	var selected []int
	if text == "" {
		for i := range d.rows {
			selected = append(selected, i)
		}
		return selected
	}
	e, err := filter.Parse(text, nil)
	require.NoError(t, err)
	again, err := filter.Parse(e.String(), nil)
	require.NoError(t, err)
	require.Equal(t, e.String(), again.String())
	c, err := filter.Check(e, d.schema)
	require.NoError(t, err)
	// The canonical text must mean the same, or fingerprints would mix queries up.
	e, err = filter.Parse(c.String(), nil)
	require.NoError(t, err, c.String())
	canonical, err := filter.Check(e, d.schema)
	require.NoError(t, err)
	require.Equal(t, c.String(), canonical.String())
	p, q := c.Compile(), canonical.Compile()
	for i, r := range d.rows {
		ok, err := p.Match(bound{r, p.Fields()})
		require.NoError(t, err)
		same, err := q.Match(bound{r, q.Fields()})
		require.NoError(t, err)
		require.Equal(t, ok, same, "%s and %s", text, c)
		if ok {
			selected = append(selected, i)
		}
	}
	return selected
}

func (d dataset) sort(t *testing.T, selected []int, orderBy string) []int {
	t.Helper()
	list, err := filter.ParseOrderBy(orderBy, nil)
	require.NoError(t, err)
	keys, err := filter.CheckOrderBy(list, d.schema)
	require.NoError(t, err)
	values := map[int][]filter.Value{}
	for _, k := range keys {
		p := k.Value.Compile()
		for _, at := range selected {
			v, err := p.Eval(bound{d.rows[at], p.Fields()})
			require.NoError(t, err)
			values[at] = append(values[at], v)
		}
	}
	slices.SortFunc(selected, func(a, b int) int {
		for i, k := range keys {
			if c := filter.Compare(values[a][i], values[b][i]); c != 0 {
				if k.Desc {
					return -c
				}
				return c
			}
		}
		return int(d.ids[a] - d.ids[b])
	})
	return selected
}

// TestInvalidVectors holds that all invalid inputs are refused.
func TestInvalidVectors(t *testing.T) {
	t.Parallel()
	var file vectorFile
	shared(t, "public.json", &file)
	sets := []dataset{loadDataset(t, "focus_rows.json"), loadDataset(t, "edge_rows.json")}
	require.NotEmpty(t, file.Invalid)
	for _, v := range file.Invalid {
		e, err := filter.Parse(v.Input, nil)
		for _, d := range sets {
			if err == nil {
				_, err = filter.Check(e, d.schema)
			}
		}
		var fault *filter.Error
		require.ErrorAs(t, err, &fault, v.Input)
		require.LessOrEqual(t, fault.Span.To, len(v.Input))
	}
}

// TestFilterBinderFacts holds the facts taken from a .NET implementation that keep
// to the standard's null rules.
func TestFilterBinderFacts(t *testing.T) {
	t.Parallel()
	var facts []struct {
		Test     string
		Filter   string
		Row      map[string]json.RawMessage
		Expected bool `json:"expected_without_null_propagation"`
	}
	shared(t, "filterbinder_cases.json", &facts)
	fields := []filter.Field{
		{Name: "ProductName", Type: filter.TypeString},
		{Name: "UnitPrice", Type: filter.TypeDecimal},
		{Name: "UnitsInStock", Type: filter.TypeDecimal, Whole: true},
		{Name: "Discontinued", Type: filter.TypeBool},
	}
	schema, err := filter.NewSchema(fields...)
	require.NoError(t, err)
	for _, f := range facts {
		r := row{}
		text := f.Filter
		for _, field := range fields {
			raw := f.Row[field.Name]
			var special struct{ Raw string }
			if json.Unmarshal(raw, &special) == nil && special.Raw != "" {
				// The character stands in the test's own template of the filter.
				c := strings.ReplaceAll(strings.Trim(special.Raw, "'"), `\\`, `\`)
				text = "ProductName eq '" + c + "'"
				r[field.Name] = filter.String(c)
				continue
			}
			r[field.Name] = valueOf(t, field, raw)
		}
		e, err := filter.Parse(text, nil)
		require.NoError(t, err, "%s: %s", f.Test, text)
		c, err := filter.Check(e, schema)
		require.NoError(t, err, "%s: %s", f.Test, text)
		p := c.Compile()
		got, err := p.Match(bound{r, p.Fields()})
		require.NoError(t, err)
		want := f.Expected
		require.Equal(t, want, got, "%s: %s of %v", f.Test, text, f.Row)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	t.Parallel()
	_, err := filter.Parse("a eq", nil)
	require.True(t, errors.Is(err, &filter.Error{Code: filter.CodeSyntax}))
	require.False(t, errors.Is(err, &filter.Error{Code: filter.CodeType}))
}
