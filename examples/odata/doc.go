// Command odata answers OData queries over rows in a JSON file: the language of
// package filter to try out, and an example of how a program uses it.
//
//	go run ./examples/odata -rows examples/odata/testdata/nights.json -filter "minutes gt 30 and clear"
//	go run ./examples/odata -schema S.json -rows R.json -filter "tolower(name) eq 'milk'" -orderby "qty desc" -top 10
//	go run ./examples/odata -schema S.json -rows R.json -vectors V.json
//	go run ./examples/odata -help
//
// # Three nouns
//
// A *table* is a schema with the rows that were read by it. A *query* is a
// condition, an order, a number of rows to skip and a number to return, each of
// which may be missing. A *vector* is a query of a list, for answering many in one
// run.
//
// # Where to read
//
// query.go is what a service would do: it parses, checks and compiles a condition
// and an order, and evaluates them. table.go and cell.go read the file, vectors.go
// answers lists, main.go prints.
//
// # Input
//
// The schema names the fields and their types; the rows give their values:
//
//	{"schema": {"id": "int", "name": "string", "lines": ["array", {"q": "int", "s": "string"}]},
//	 "rows": [{"id": 1, "name": "Milk", "lines": [{"q": 4, "s": "a"}]}]}
//
// The types are int, decimal, bool, string, datetime, date, time, duration and
// guid; an array is one of a type, ["array", "string"], or of flat objects. Each
// part may also be a file of its own that holds just the object of the schema or
// just the list of rows. Numbers may be written as JSON numbers or as strings, and
// are read exactly either way; a number has at most 100 digits, as in the language.
// Dates, times, durations and guids are strings with the text of the literal. A
// field that a row lacks is null; what the schema does not name is printed but
// cannot be asked for.
//
// # Output
//
// A row that matches is printed on a line of its own as it stands in the file, but
// for the space between tokens: the digits of numbers and the order of keys stay.
// Rows come in the order of the file or in that of -orderby, in which rows with
// equal keys are ordered by the field id, if there is one. A fault of an expression
// goes to standard error with a caret under it.
//
// Of a list of vectors, {filter, orderby, top, skip}, each gives a line in their
// order, {"list":"valid","i":0,"ids":[1,5]}, or, where it is refused,
// {"list":"valid","i":0,"error":{"message":"..","at":7}} with the byte of the text
// at fault. The file may hold two lists, valid and invalid, in an object; an entry
// with input has its condition there. An empty filter or orderby is none; an empty
// input is refused.
//
// The exit code is 0 when the question was answered, 1 when a file could not be
// read or does not hold what it should, and 2 for a mistake on the command line or
// in an expression. Vectors that are refused are answers. (go run shows the code on
// standard error and exits with 1 itself; a program that was built exits with it.)
//
// # What it does not do
//
// The file is read whole and kept in memory. There is no $apply, and nothing is
// percent-decoded. now() is one moment for the whole run.
package main
