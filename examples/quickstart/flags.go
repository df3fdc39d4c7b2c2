package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// config is what the command line says.
type config struct {
	file, format string
	output       string
	mapping      *mapping
	// mapped: the mapping is the user's and not that of FOCUS alone.
	mapped    bool
	null      nullTexts
	delimiter byte

	measure string
	by      []string
	filter  string
	zone    *time.Location
	rows    int
	batch   int
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func wrong(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

const helpHead = `Quickstart books usage lines into a Usagebook in memory and reports on them.

  quickstart                          1,000 generated FOCUS lines, then some bad ones
  quickstart -file export.csv         a FOCUS 1.0 to 1.2 export, .csv or .csv.gz
  quickstart -file calls.ndjson -map id=id,start=time,tokens=usage.total,dim.model=model
  quickstart -file hours.csv -map start=day,quantity=hours,dim.project=project -by project

The file is booked twice, to show that the second time changes nothing. A line
that is refused is named on standard error with its number and the reason; it
is not booked, and the others are. The exit code is 0 when every line is in the
book, 3 when some were refused, 1 when the run failed and 2 for a mistake on
the command line.

Targets of -map, each written TARGET=COLUMN (in NDJSON a key, or keys joined by
points where objects lie in each other):

  start             when it was used; needed
  end               when the use ended
  id                the id of the line; without it one is derived from the content
  source            instead of the flag -source; tenant and meter likewise
  dim.NAME          a dimension, to group and filter by
  json.NAME         a dimension that holds JSON
  NAME, value.NAME  a value, such as quantity or cost; one at least is needed
  focus             all columns of FOCUS; dim.team=x_Team beside it adds a column

Flags:
`

// parseFlags reads the command line. It returns flag.ErrHelp after it has
// printed the help to stdout, and a usageError for a mistake.
func parseFlags(args []string, stdout io.Writer) (*config, error) {
	c := &config{}
	m := &mapping{}
	fs := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&c.file, "file", "", "`path` of the file to book; without it a built-in sample is")
	fs.StringVar(&c.format, "format", "", "`format` of the file: csv or ndjson; by default the extension says: .ndjson, .jsonl and .json, else CSV")
	fs.StringVar(&c.output, "o", "table", "output `format`: table, json or csv")
	fs.Func("map", "columns to book, `TARGET=COLUMN,...`; may be given several times; default the columns of FOCUS", func(s string) error {
		targets, err := parseMapping(s, m.targets)
		m.targets = targets
		c.mapped = true
		return err
	})
	null := fs.String("null", `NULL,\N,empty`, "`texts` that are null in CSV when they stand without quotes; \"empty\" is the cell with nothing in it")
	delimiter := fs.String("delimiter", ",", "`character` between the cells of CSV, or \"tab\"")
	times := fs.String("times", "auto", "`way` in which times are written: auto (2024-09-01 13:00:00, RFC 3339), unix, unixmilli or unixmicro")
	fs.StringVar(&m.tenant, "tenant", "demo", "`tenant` that the records are of")
	fs.StringVar(&m.source, "source", "", "`source` of the records, part of their identity; default \"focus\", with -map \"file\"")
	fs.StringVar(&m.meter, "meter", "", "`meter` of the records; default \"focus-charge\", with -map \"usage\"")
	fs.IntVar(&m.digits, "id-digits", 8, "`length` to which ids of digits alone are filled up with zeros; 0 leaves them")
	fs.StringVar(&c.measure, "measure", "", "`value` that the report is about; default cost, else quantity, else the first")
	by := fs.String("by", "", "`dimensions` to find the largest by; default provider,service,unit, else the first three")
	fs.StringVar(&c.filter, "filter", "", "filter `expression` of the page of records, such as \"unit eq 'GB' and cost gt 0\"")
	zone := fs.String("zone", "UTC", "IANA time `zone` of days and months")
	fs.IntVar(&c.rows, "rows", 100, "highest `number` of rows of a series; 0 shows all")
	fs.IntVar(&c.batch, "batch", 1000, "`number` of lines booked at once, 1 to 10000")
	fs.Usage = func() {} // a mistake is answered with what is wrong, not with the help
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, helpHead)
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return nil, err
	} else if err != nil {
		return nil, usageError{err}
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if fs.NArg() > 0 {
		return nil, wrong("%s is not expected; the file goes behind -file", quote(fs.Arg(0)))
	}
	if given["file"] && c.file == "" {
		return nil, wrong("-file names no file")
	}
	if c.file == "" {
		for _, name := range []string{"map", "format", "null", "delimiter", "times", "id-digits"} {
			if given[name] {
				return nil, wrong("-%s says how a file is to be read: it needs -file", name)
			}
		}
	}
	if !slices.Contains([]string{"", "csv", "ndjson"}, c.format) {
		return nil, wrong("-format %s is none of csv and ndjson", quote(c.format))
	}
	if !slices.Contains([]string{"table", "json", "csv"}, c.output) {
		return nil, wrong("-o %s is none of table, json and csv", quote(c.output))
	}
	if *delimiter == "tab" {
		*delimiter = "\t"
	}
	if len(*delimiter) != 1 || strings.ContainsAny(*delimiter, "\"\r\n\x00") || (*delimiter)[0] >= 0x80 {
		return nil, wrong("-delimiter %s is not one ASCII character that can stand between cells", quote(*delimiter))
	}
	c.delimiter = (*delimiter)[0]
	c.null = parseNull(*null)
	read, ok := timeReaders[*times]
	if !ok {
		return nil, wrong("-times %s is none of %s", quote(*times), strings.Join(slices.Sorted(maps.Keys(timeReaders)), ", "))
	}
	m.times = read
	if c.rows < 0 {
		return nil, wrong("-rows %d is below 0", c.rows)
	}
	if c.batch < 1 || c.batch > 10_000 {
		return nil, wrong("-batch %d is outside 1 to 10000", c.batch)
	}
	if m.digits < 0 || m.digits > 64 {
		return nil, wrong("-id-digits %d is outside 0 to 64", m.digits)
	}
	var err error
	if c.zone, err = time.LoadLocation(*zone); err != nil || *zone == "Local" {
		return nil, wrong("-zone %s is no time zone of the IANA database", quote(*zone))
	}
	if !c.mapped {
		m.targets = slices.Clone(focusTargets)
	}
	source, meter := "focus", "focus-charge"
	if c.mapped && !isFocus(m.targets) {
		source, meter = "file", "usage"
	}
	if !given["source"] {
		m.source = source
	}
	if !given["meter"] {
		m.meter = meter
	}
	if err := m.validate(); err != nil {
		return nil, usageError{err}
	}
	if *by != "" {
		c.by = strings.Split(*by, ",")
	}
	c.mapping = m
	return c, c.choose(m)
}

// choose settles what the report is about, by what the mapping has.
func (c *config) choose(m *mapping) error {
	values, dimensions := m.values(), m.dimensions()
	switch {
	case c.measure != "":
		if !slices.Contains(values, c.measure) {
			return wrong("-measure %s is no value of the mapping; these are: %s", quote(c.measure), strings.Join(values, ", "))
		}
	case slices.Contains(values, "cost"):
		c.measure = "cost"
	case slices.Contains(values, "quantity"):
		c.measure = "quantity"
	default:
		c.measure = values[0]
	}
	if c.by == nil {
		for _, name := range []string{"provider", "service", "unit"} {
			if slices.Contains(dimensions, name) {
				c.by = append(c.by, name)
			}
		}
	}
	if c.by == nil {
		c.by = dimensions[:min(3, len(dimensions))]
	}
	if len(c.by) == 0 {
		c.by = []string{"meter"}
	}
	for i, name := range c.by {
		if !slices.Contains(dimensions, name) && !slices.Contains([]string{"meter", "tenant", "source"}, name) {
			return wrong("-by %s is no dimension of the mapping; these are: %s", quote(name), strings.Join(append(dimensions, "meter", "tenant", "source"), ", "))
		}
		if slices.Contains(c.by[:i], name) {
			return wrong("-by names %s twice", quote(name))
		}
	}
	return nil
}
