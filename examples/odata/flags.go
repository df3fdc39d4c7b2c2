package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
)

// config is what the command line says.
type config struct {
	schema, rows string // paths
	vectors      string // path, or empty
	query        query
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func wrong(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

const helpHead = `Odata answers OData queries over rows in a JSON file.

  odata -schema S.json -rows R.json -filter "contains(name,'milk')" -orderby "qty desc" -top 10
  odata -schema S.json -rows R.json -vectors V.json

Rows that match are printed as they stand in the file, one on a line. S.json and
R.json may be one file that holds "schema" and "rows":

  {"schema": {"id": "int", "name": "string", "qty": "decimal"},
   "rows": [{"id": 1, "name": "Milk", "qty": "0.1"}]}

Types are int, decimal, bool, string, datetime, date, time, duration, guid,
["array", TYPE] and ["array", {NAME: TYPE}].

The exit code is 0 when the question was answered, 1 when a file could not be
read, and 2 for a mistake on the command line or in an expression.

Flags:
`

// parseFlags reads the command line. It returns flag.ErrHelp after it has printed
// the help to stdout, and a usageError for a mistake.
func parseFlags(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	fs := flag.NewFlagSet("odata", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&c.schema, "schema", "", "`path` of the file with the schema; default the file of -rows")
	fs.StringVar(&c.rows, "rows", "", "`path` of the file with the rows; default the file of -schema")
	filter := fs.String("filter", "", "`condition` that rows have to meet, such as \"qty gt 0.5 and name ne null\"; default all rows")
	fs.StringVar(&c.query.orderBy, "orderby", "", "`keys` of the order, such as \"qty desc,name\"; default the order of the file")
	fs.Func("top", "highest `number` of rows to print; default all", count(&c.query.top))
	fs.Func("skip", "`number` of rows to leave out first", count(&c.query.skip))
	fs.StringVar(&c.vectors, "vectors", "", "`path` of a file with queries to answer instead, a list of {filter, orderby, top, skip} or an object with such lists, valid and invalid")
	fs.Usage = func() {} // a mistake is answered with what is wrong, not with the help
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, helpHead)
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return nil, err
	} else if err != nil {
		return nil, usageError{err}
	}
	if fs.NArg() > 0 {
		return nil, wrong("%s is not expected; put an expression in quotes, behind -filter or -orderby", strconv.Quote(fs.Arg(0)))
	}
	if *filter != "" {
		c.query.filter = filter
	}
	switch {
	case c.schema == "" && c.rows == "":
		return nil, wrong("-schema and -rows name no file")
	case c.schema == "":
		c.schema = c.rows
	case c.rows == "":
		c.rows = c.schema
	}
	if c.vectors != "" && (c.query != query{}) {
		return nil, wrong("-vectors brings queries of its own: -filter, -orderby, -top and -skip do not go with it")
	}
	return c, nil
}

// count reads a number of rows.
func count(into **int) func(string) error {
	return func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("not a whole number")
		}
		if n < 0 {
			return errors.New("below 0")
		}
		*into = &n
		return nil
	}
}
