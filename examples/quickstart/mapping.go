package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// A mapping says how a line becomes a record.
type mapping struct {
	// tenant, source and meter are those of every record that has no column
	// for them.
	tenant, source, meter string
	// targets are the columns that are taken, and what for.
	targets []target
	// times reads a time.
	times func(string) (time.Time, error)
	// digits is the length to which ids that are numbers are filled up.
	digits int

	// seen counts how often a line has said the same, for derived ids.
	seen map[[16]byte]uint64
}

// A target is a part of a record and the column that it comes from.
type target struct {
	part part
	// name is that of a value or dimension.
	name   string
	column string
	// optional columns may be missing from the file.
	optional bool
}

// part is a part of a record.
type part int

const (
	partID part = iota
	partSource
	partTenant
	partMeter
	partStart
	partEnd
	partValue
	partDimension
	partJSON // a dimension that holds JSON
)

var partNames = map[string]part{"id": partID, "source": partSource, "tenant": partTenant, "meter": partMeter, "start": partStart, "end": partEnd}

// parseMapping reads the pairs of the flag -map: TARGET=COLUMN, separated by
// commas and quoted as in CSV where a column has a comma in its name. The word
// focus stands for the columns of FOCUS. The targets are added to those of
// earlier flags.
func parseMapping(flag string, targets []target) ([]target, error) {
	r := csv.NewReader(strings.NewReader(flag))
	pairs, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("not a list of TARGET=COLUMN: %w", err)
	}
	for _, pair := range pairs {
		pair = strings.TrimSpace(pair)
		if pair == "focus" {
			targets = append(targets, focusTargets...)
			continue
		}
		name, column, ok := strings.Cut(pair, "=")
		if !ok || name == "" || column == "" {
			return nil, fmt.Errorf("%s is not TARGET=COLUMN", quote(pair))
		}
		t := target{column: column}
		if p, ok := partNames[name]; ok {
			t.part = p
		} else if t.name, ok = strings.CutPrefix(name, "dim."); ok {
			t.part = partDimension
		} else if t.name, ok = strings.CutPrefix(name, "json."); ok {
			t.part = partJSON
		} else {
			t.part = partValue
			t.name = strings.TrimPrefix(name, "value.")
		}
		if t.part >= partValue && !isName(t.name) {
			return nil, fmt.Errorf("%s: a name begins with a letter and has letters, digits and _ alone, so that filters can hold it", quote(pair))
		}
		// A column of FOCUS gives way to one that is named for the same part.
		targets = slices.DeleteFunc(targets, func(o target) bool { return o.optional && o.key() == t.key() })
		targets = append(targets, t)
	}
	return targets, nil
}

func isName(s string) bool {
	for i := range len(s) {
		letter := s[i] == '_' || 'a' <= s[i] && s[i] <= 'z' || 'A' <= s[i] && s[i] <= 'Z'
		if !letter && (i == 0 || s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return s != ""
}

// errMapping is the kind of all errors of a mapping that does not fit itself or
// the file.
var errMapping = errors.New("mapping")

// validate says what is wrong with the targets, whatever the file.
func (m *mapping) validate() error {
	seen := map[target]bool{}
	for _, t := range m.targets {
		if seen[t.key()] {
			return fmt.Errorf("%w: %s is given twice", errMapping, t.title())
		}
		seen[t.key()] = true
	}
	if !m.has(partStart) {
		return fmt.Errorf("%w: no column for start, the time of use", errMapping)
	}
	if !m.has(partValue) {
		return fmt.Errorf("%w: no column for a value, such as quantity", errMapping)
	}
	return nil
}

// bind holds the targets against the columns of a file: it drops optional ones
// that are not there and refuses others.
func (m *mapping) bind(exists func(column string) bool) error {
	var missing []string
	m.targets = slices.DeleteFunc(m.targets, func(t target) bool {
		if exists(t.column) {
			return false
		}
		if !t.optional {
			missing = append(missing, quote(t.column))
		}
		return t.optional
	})
	// Dimensions in the order of their names spare the record the sorting.
	slices.SortStableFunc(m.targets, func(a, b target) int {
		if a.part < partDimension || b.part < partDimension {
			return cmp.Compare(min(a.part, partDimension), min(b.part, partDimension))
		}
		return cmp.Compare(a.name, b.name)
	})
	if len(missing) > 0 {
		return fmt.Errorf("%w: the file has no column %s", errMapping, strings.Join(missing, ", "))
	}
	return m.validate()
}

func (m *mapping) has(p part) bool {
	return slices.ContainsFunc(m.targets, func(t target) bool { return t.part == p })
}

// names reports whether a column is one that the mapping takes.
func (m *mapping) names(column string) bool {
	return slices.ContainsFunc(m.targets, func(t target) bool { return t.column == column })
}

// derives reports whether ids come from the content of lines.
func (m *mapping) derives() bool { return !m.has(partID) }

// values returns the names of the values in the order of the mapping, and
// dimensions those of the dimensions.
func (m *mapping) values() []string { return m.list(partValue) }

func (m *mapping) dimensions() []string { return append(m.list(partDimension), m.list(partJSON)...) }

func (m *mapping) list(p part) (names []string) {
	for _, t := range m.targets {
		if t.part == p {
			names = append(names, t.name)
		}
	}
	return names
}

// key is the same for targets that cannot stand beside each other.
func (t target) key() target {
	return target{part: min(t.part, partDimension), name: t.name}
}

// title is how a target is written on the command line.
func (t target) title() string {
	switch t.part {
	case partDimension:
		return "dim." + t.name
	case partJSON:
		return "json." + t.name
	case partValue:
		return t.name
	}
	for name, p := range partNames {
		if p == t.part {
			return name
		}
	}
	return ""
}

// catalogue declares the meter of the records, so that queries know its names
// and JSON dimensions are kept in one form. Records that bring meters of their
// own need no declaration.
func (m *mapping) catalogue() []usage.Meter {
	meter := usage.Meter{Name: m.meter}
	for _, t := range m.targets {
		switch t.part {
		case partValue:
			meter.Values = append(meter.Values, usage.MeterValue{Name: t.name})
		case partDimension, partJSON:
			meter.Dimensions = append(meter.Dimensions, usage.MeterDimension{Name: t.name, JSON: t.part == partJSON})
		}
	}
	return []usage.Meter{meter}
}

// record makes a record of a line. What the book can judge is left to it: a
// number that cannot be read goes along as a fault, so that the receipt names
// it together with everything else. A time that cannot be read has no such
// place in a record, so the line ends here.
func (m *mapping) record(l *line) (usage.Record, *badLine) {
	r := usage.Record{Tenant: m.tenant, Source: m.source, Meter: m.meter}
	var (
		values     = make([]usage.Value, 0, 8)
		dimensions = make([]usage.Dimension, 0, len(m.targets))
		bad        []usage.Violation
		faults     []usage.Violation // of values
	)
	for i, t := range m.targets {
		c := l.cells[i]
		switch t.part {
		case partID:
			r.ID = padded(c.text, m.digits)
		case partSource:
			r.Source = c.text
		case partTenant:
			r.Tenant = c.text
		case partMeter:
			r.Meter = c.text
		case partStart, partEnd:
			at, v := m.time(t, c)
			if v != nil {
				bad = append(bad, *v)
			}
			if t.part == partStart {
				r.Start = at
			} else {
				r.End = at
			}
		case partValue:
			// There is no empty number: an empty cell is none, in quotes or
			// not.
			if c.text == "" {
				continue
			}
			n, err := aggregate.ParseNumber(c.text)
			if err != nil {
				faults = append(faults, usage.Violation{Field: t.name, Code: numberCode(err), Message: numberMessage(err, c.text)})
				continue
			}
			values = append(values, usage.Value{Name: t.name, Number: n})
		case partDimension, partJSON:
			// There is no empty JSON either.
			if c.present && (t.part == partDimension || c.text != "") {
				dimensions = append(dimensions, usage.Dimension{Name: t.name, Value: c.text})
			}
		}
	}
	if len(bad) > 0 {
		return r, &badLine{l.number, append(bad, faults...)}
	}
	if m.derives() {
		r.ID = m.derive(l.content)
	}
	r.Values = usage.NewValues(values...)
	for _, f := range faults {
		r.Values = r.Values.WithFault(f.Field, f.Code, f.Message)
	}
	r.Dimensions = usage.NewDimensions(dimensions...)
	return r, nil
}

func (m *mapping) time(t target, c cell) (time.Time, *usage.Violation) {
	if c.text == "" {
		if t.part == partStart {
			return time.Time{}, &usage.Violation{Code: usage.CodeRequired, Field: t.title(), Message: fmt.Sprintf("column %s is empty, and without a time nothing can be booked", quote(t.column))}
		}
		return time.Time{}, nil
	}
	at, err := m.times(c.text)
	if err != nil {
		return time.Time{}, &usage.Violation{Code: usage.CodeSyntax, Field: t.title(), Message: fmt.Sprintf("%s in column %s %s", quote(c.text), quote(t.column), err)}
	}
	return at, nil
}

func numberCode(err error) string {
	if errors.Is(err, aggregate.ErrRange) {
		return usage.CodeOutOfRange
	}
	return usage.CodeSyntax
}

func numberMessage(err error, text string) string {
	reason := err.Error()
	var n *aggregate.NumberError
	if errors.As(err, &n) {
		reason = n.Reason
	}
	return quote(text) + ": " + reason
}

// padded fills an id of digits alone up with zeros, so that ids order as the
// numbers they are.
func padded(id string, digits int) string {
	if id == "" || len(id) >= digits || strings.Trim(id, "0123456789") != "" {
		return id
	}
	return strings.Repeat("0", digits-len(id)) + id
}

// derive makes an id of what a line says. Lines that say the same are told
// apart by how many came before; which of them is which does not matter.
func (m *mapping) derive(content []byte) string {
	sum := sha256.Sum256(content)
	key := [16]byte(sum[:16])
	if m.seen == nil {
		m.seen = map[[16]byte]uint64{}
	}
	m.seen[key]++
	if n := m.seen[key]; n > 1 {
		sum = sha256.Sum256(binary.BigEndian.AppendUint64(sum[:], n))
	}
	return hex.EncodeToString(sum[:16])
}

// rewind forgets the lines seen, before the file is read again.
func (m *mapping) rewind() { clear(m.seen) }

// layouts are the ways of writing a time that -times auto reads. A fraction of
// a second may follow the seconds in each.
var layouts = []string{
	"2006-01-02 15:04:05", // FOCUS files as most write them
	time.RFC3339,          // FOCUS by the letter
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 UTC", // BigQuery
	"2006-01-02 15:04:05 Z07:00",
	"2006-01-02 15:04:05 -0700", // Snowflake
	"2006-01-02",
}

// parseTime reads a time; one without zone is UTC.
func parseTime(s string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("is no time such as 2024-09-01 13:00:00 or 2024-09-01T13:00:00+02:00")
}

// unixTime returns a reader of times in whole units since 1970.
func unixTime(of func(int64) time.Time) func(string) (time.Time, error) {
	return func(s string) (time.Time, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return time.Time{}, errors.New("is no whole number")
		}
		t := of(n).UTC()
		if y := t.Year(); y < 1 || y > 9999 {
			return time.Time{}, errors.New("is not in the years 1 to 9999")
		}
		return t, nil
	}
}

var timeReaders = map[string]func(string) (time.Time, error){
	"auto":      parseTime,
	"unix":      unixTime(func(n int64) time.Time { return time.Unix(n, 0) }),
	"unixmilli": unixTime(time.UnixMilli),
	"unixmicro": unixTime(time.UnixMicro),
}
