// Package filter reads, checks and evaluates expressions of the OData 4.01 query
// language over flat typed rows: conditions ($filter), orders ($orderby) and
// groupings.
//
// Three nouns: an Expr is the tree that Parse makes of a text, and knows no
// fields; a Checked is that tree with names resolved against a Schema, types
// found and constants computed; a Program is a Checked compiled for evaluation.
//
//	schema, err := filter.NewSchema(
//		filter.Field{Name: "meter", Type: filter.TypeString},
//		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
//	)
//	expr, err := filter.Parse("meter eq 'egress' and quantity gt 10", nil)
//	checked, err := filter.Check(expr, schema)
//	program := checked.Compile()
//	selected, err := program.Match(row)
//
// # Caveats
//
// Numbers are exact decimals; a double is read as the decimal it is written as.
// Literals and results have at most 100 digits. A quotient that does not end is
// rounded to 34 significant digits, half away from zero.
//
// Instants are kept in UTC: hour(2018-01-01T00:00:00+02:00) is refused, because it
// would have to answer in an offset that a field does not keep.
//
// Text reaches Parse decoded and without spaces around it.
package filter
