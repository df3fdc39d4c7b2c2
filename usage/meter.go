package usage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/aggregate"
)

// Meter declares what is counted under a name: its values with their units, and
// its dimensions. Declaring meters is optional: records of meters that nobody
// declared are booked and read like others.
type Meter struct {
	// Name is what records carry. Required.
	Name string
	// Aliases are former names of the meter: queries for Name find their
	// records too.
	Aliases []string
	// Values are the declared values. A record may carry others too, unless the
	// meter is Closed.
	Values []MeterValue
	// Dimensions are the declared dimensions; the same applies.
	Dimensions []MeterDimension
	// Closed meters refuse names that they do not declare, in records and in
	// queries.
	Closed bool
}

// MeterValue declares a value of a meter.
type MeterValue struct {
	// Name is what records carry. Required.
	Name string
	// Aliases are former names: queries for Name read them too.
	Aliases []string
	// Unit is what the value is an amount of, for people and for rules. It is
	// fixed for ever; a unit that varies from record to record is a dimension
	// named "unit".
	Unit string
	// Aggregation is what a query without measures takes of the value.
	// Defaults to Sum.
	Aggregation Aggregation
	// DistinctOf is the dimension that the aggregation CountDistinct counts.
	// Empty: the value itself.
	DistinctOf string
	// Integer values are refused with decimals, with the violation "scale".
	Integer bool
	// MaxScale is the highest number of decimal places; more are refused with
	// the violation "scale". 0: as many as the book holds (30).
	MaxScale int
}

// MeterDimension declares a dimension of a meter.
type MeterDimension struct {
	// Name is what records carry. Required.
	Name string
	// Aliases are former names: queries for Name read them too.
	Aliases []string
	// JSON dimensions hold a JSON text, which is kept in canonical form (keys
	// sorted, no insignificant space), so that equal content is one group. It
	// is fixed for ever.
	JSON bool
	// AnyText, beside JSON, keeps a text that is no JSON as it is instead of
	// refusing the record. It is fixed for ever, too.
	AnyText bool
	// FoldCase makes filters compare the dimension without regard to case.
	// Groups and order stay exact.
	FoldCase bool
}

// Aggregation is how the values of many records become one.
type Aggregation uint8

// The aggregations. All ignore records that lack the value; Count
// without a value counts records. Ties of First and Last are decided by (Start, Source, ID).
const (
	// Sum adds up. It is the default.
	Sum Aggregation = iota
	// Count counts the records that have the value, or all records where no
	// value is named.
	Count
	// Min and Max are the least and the greatest value.
	Min
	Max
	// Avg is the sum divided by the count, once, at output.
	Avg
	// First and Last are the value of the earliest and the latest record.
	First
	Last
	// CountDistinct is the exact number of different values; of a dimension
	// too. Absent ones are not counted.
	CountDistinct
)

var aggregationNames = [...]string{"sum", "count", "min", "max", "avg", "first", "last", "countdistinct"}

// String returns the name that [ParseMeasures] reads.
func (a Aggregation) String() string {
	if int(a) < len(aggregationNames) {
		return aggregationNames[a]
	}
	return "invalid"
}

func parseAggregation(s string) (Aggregation, bool) {
	s = strings.ToLower(s)
	if s == "average" {
		return Avg, true
	}
	if s == "distinct" {
		return CountDistinct, true
	}
	i := slices.Index(aggregationNames[:], s)
	return Aggregation(max(i, 0)), i >= 0
}

// ReservedNames are the fields of every record. A value or dimension of such a
// name can be booked, and is reached as values/NAME or dimensions/NAME; a
// catalogue that declares one is refused.
var reservedNames = []string{"id", "source", "tenant", "meter", "start", "end", "recorded", "sequence", "verified", "billable"}

// CatalogueError lists every fault of a catalogue of meters.
type CatalogueError struct {
	Faults []string
}

// Error lists the faults.
func (e *CatalogueError) Error() string {
	return "usage: meters: " + strings.Join(e.Faults, "; ")
}

// Unwrap makes errors.Is find ErrInvalid.
func (e *CatalogueError) Unwrap() error { return ErrInvalid }

// catalogue is the declared meters, indexed. It is immutable.
type catalogue struct {
	meters  []Meter
	byName  map[string]*Meter // aliases too
	current map[string]string // alias -> name of a meter
	renamed bool              // some meter has a former name
	// kinds of names over all meters
	values, dimensions map[string]*nameInfo
	present            []string // bare present names, sorted, for suggestions
}

// nameInfo is what the catalogue knows of a spelling of a value or dimension,
// present or former, over all meters that declare it.
type nameInfo struct {
	// byMeter has, for each declaring meter by its present name, the names to
	// look up in its records: the present one first, then the former ones. A
	// former name means something in that meter's records only: in another
	// meter's the same spelling is another thing.
	byMeter  map[string][]string
	former   bool // some meter has more than one name for it
	foldCase bool
}

func newCatalogue(meters []Meter) (*catalogue, error) {
	c := &catalogue{byName: map[string]*Meter{}, current: map[string]string{}, values: map[string]*nameInfo{}, dimensions: map[string]*nameInfo{}}
	c.meters = cloneMeters(meters)
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for i := range c.meters {
		m := &c.meters[i]
		where := fmt.Sprintf("meter %d", i)
		if m.Name == "" {
			fault("%s has no name", where)
			continue
		}
		where = "meter " + quoted(m.Name)
		if v := checkText("name", m.Name, maxNameBytes); v != nil {
			fault("%s: %s", where, v.Message)
		}
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			if c.byName[name] != nil {
				fault("%s: the name %s is declared twice", where, quoted(name))
			}
			c.byName[name] = m
			c.current[name] = m.Name
			c.renamed = c.renamed || name != m.Name
		}
		seen := map[string]string{}
		declare := func(kind, name string) {
			if name == "" {
				fault("%s: a %s without a name", where, kind)
				return
			}
			if v := checkText(kind, name, maxNameBytes); v != nil {
				fault("%s: %s %s: %s", where, kind, quoted(name), v.Message)
			}
			if slices.Contains(reservedNames, name) {
				fault("%s: %s %s: the name is reserved (%s)", where, kind, quoted(name), strings.Join(reservedNames, ", "))
			}
			if other := seen[name]; other != "" {
				fault("%s: %s %s is declared as a %s already", where, kind, quoted(name), other)
			}
			seen[name] = kind
		}
		for _, v := range m.Values {
			declare("value", v.Name)
			for _, a := range v.Aliases {
				declare("value", a)
			}
			if v.Aggregation > CountDistinct {
				fault("%s: value %s: unknown aggregation %d", where, quoted(v.Name), v.Aggregation)
			}
			if v.MaxScale < 0 || v.MaxScale > aggregate.MaxScale {
				fault("%s: value %s: MaxScale %d is outside 0 to %d", where, quoted(v.Name), v.MaxScale, aggregate.MaxScale)
			}
			if v.Integer && v.MaxScale != 0 {
				fault("%s: value %s: Integer and MaxScale %d contradict each other", where, quoted(v.Name), v.MaxScale)
			}
			if v.DistinctOf != "" && v.Aggregation != CountDistinct {
				fault("%s: value %s: DistinctOf goes with the aggregation CountDistinct only", where, quoted(v.Name))
			}
			c.note(c.values, v.Name, v.Aliases, false, m.Name)
			c.present = append(c.present, v.Name)
		}
		for _, d := range m.Dimensions {
			declare("dimension", d.Name)
			for _, a := range d.Aliases {
				declare("dimension", a)
			}
			if d.AnyText && !d.JSON {
				fault("%s: dimension %s: AnyText goes with JSON only; other dimensions take any text as it is", where, quoted(d.Name))
			}
			c.note(c.dimensions, d.Name, d.Aliases, d.FoldCase, m.Name)
			c.present = append(c.present, d.Name)
		}
	}
	for name, v := range c.values {
		if d := c.dimensions[name]; d != nil {
			fault("%s is a value of meter %s and a dimension of meter %s", quoted(name), quoted(v.anyMeter()), quoted(d.anyMeter()))
		}
	}
	if len(faults) > 0 {
		slices.Sort(faults)
		return nil, &CatalogueError{Faults: faults}
	}
	slices.Sort(c.present)
	c.present = slices.Compact(c.present)
	return c, nil
}

func (c *catalogue) note(to map[string]*nameInfo, name string, aliases []string, fold bool, meter string) {
	names := append([]string{name}, aliases...)
	for _, spelling := range names {
		info := to[spelling]
		if info == nil {
			info = &nameInfo{byMeter: map[string][]string{}}
			to[spelling] = info
		}
		info.byMeter[meter] = names
		info.former = info.former || len(names) > 1
		info.foldCase = info.foldCase || fold
	}
}

// anyMeter names one of the meters that declare the name, the same each time.
func (i *nameInfo) anyMeter() string {
	least := ""
	for m := range i.byMeter {
		if least == "" || m < least {
			least = m
		}
	}
	return least
}

// meterName returns the present name of a meter that may be booked under a
// former one.
func (c *catalogue) meterName(name string) string {
	if now, ok := c.current[name]; ok {
		return now
	}
	return name
}

// refuseFormer returns an error for a name that a meter had formerly.
func (c *catalogue) refuseFormer(name string) error {
	if now := c.meterName(name); now != name {
		return fmt.Errorf("%s is a former name of the meter %s; ask for that, which reads both", quoted(name), quoted(now))
	}
	return nil
}

// spellings returns every name under which records of a meter may be booked.
func (c *catalogue) spellings(name string) []string {
	m := c.byName[name]
	if m == nil || m.Name != name {
		return []string{name}
	}
	return append([]string{name}, m.Aliases...)
}

func cloneMeters(in []Meter) []Meter {
	out := slices.Clone(in)
	for i := range out {
		m := &out[i]
		m.Aliases = slices.Clone(m.Aliases)
		m.Values = slices.Clone(m.Values)
		for k := range m.Values {
			m.Values[k].Aliases = slices.Clone(m.Values[k].Aliases)
		}
		m.Dimensions = slices.Clone(m.Dimensions)
		for k := range m.Dimensions {
			m.Dimensions[k].Aliases = slices.Clone(m.Dimensions[k].Aliases)
		}
	}
	return out
}
