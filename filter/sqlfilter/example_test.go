package sqlfilter_test

import (
	"fmt"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
)

func Example() {
	schema, err := filter.NewSchema(
		filter.Field{Name: "meter", Type: filter.TypeString},
		filter.Field{Name: "region", Type: filter.TypeString},
		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	expr, err := filter.Parse("meter eq 'egress' and not (quantity gt 10.5) and matchesPattern(region,'^eu-')", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	checked, err := filter.Check(expr, schema)
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := sqlfilter.New(sqlfilter.PostgreSQL(), sqlfilter.Columns{
		"meter":    {SQL: sqlfilter.Ident("meter"), Kind: sqlfilter.KindText, NotNull: true},
		"region":   {SQL: "dimensions->>'region'", Kind: sqlfilter.KindText},
		"quantity": {SQL: sqlfilter.Ident("quantity"), Kind: sqlfilter.KindNumeric},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	where := w.Where(checked, 1) // $1 is the tenant
	fmt.Println("WHERE tenant = $1 AND", where.SQL)
	fmt.Println(where.Args...)
	fmt.Println("in Go:", where.Residual)
	// Output:
	// WHERE tenant = $1 AND "meter" COLLATE "C" = $2::text AND NOT (COALESCE("quantity" > $3::numeric, FALSE))
	// egress 10.5
	// in Go: matchesPattern(region,'^eu-')
}

func ExampleWriter_OrderBy() {
	schema, _ := filter.NewSchema(
		filter.Field{Name: "region", Type: filter.TypeString},
		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
	)
	w, err := sqlfilter.New(sqlfilter.SQLite(), sqlfilter.Columns{
		"region":   {SQL: "region", Kind: sqlfilter.KindText},
		"quantity": {SQL: "quantity_millionths", Kind: sqlfilter.KindInteger, Scale: 6, NotNull: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"quantity desc, region", "region, quantity div 2"} {
		list, _ := filter.ParseOrderBy(text, nil)
		keys, err := filter.CheckOrderBy(list, schema)
		if err != nil {
			fmt.Println(err)
			return
		}
		order := w.OrderBy(keys, 0)
		fmt.Println("ORDER BY", order.SQL, order.Exact)
	}
	// Output:
	// ORDER BY quantity_millionths DESC, region COLLATE BINARY ASC NULLS FIRST true
	// ORDER BY region COLLATE BINARY ASC NULLS FIRST false
}

// A database of another maker is a Dialect of the host's own.
func ExampleDialect() {
	d := sqlfilter.PostgreSQL()
	d.Name = "a server that speaks PostgreSQL without starts_with"
	d.StartsWith = `left({x}, char_length({y})) = {y} COLLATE "C"`
	w, err := sqlfilter.New(d, sqlfilter.Columns{"meter": {SQL: "meter", Kind: sqlfilter.KindText}})
	if err != nil {
		fmt.Println(err)
		return
	}
	schema, _ := filter.NewSchema(filter.Field{Name: "meter", Type: filter.TypeString})
	expr, _ := filter.Parse("startswith(meter,'eg')", nil)
	checked, _ := filter.Check(expr, schema)
	fmt.Println(w.Where(checked, 0).SQL)
	// Output:
	// left(meter, char_length($1::text)) = $2::text COLLATE "C"
}
