package usage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage/internal/jsontext"
)

const (
	// maxMembers bounds the memory that the values or the dimensions of one
	// record take while it is read. It is far above what a record may have,
	// because members that are null do not count there.
	maxMembers = 4096
	// maxNestedBytes is the longest object or array that is rewritten as a
	// dimension. It leaves room for space and escapes, which the canonical text
	// of at most maxDimensionBytes does not have.
	maxNestedBytes = 16 * maxDimensionBytes
)

// valueSlot is a member of values as it stands in the text.
type valueSlot struct {
	Value
	absent bool // null, or a fault that is noted already
}

// dimensionSlot is a member of dimensions as it stands in the text.
type dimensionSlot struct {
	Dimension
	absent bool
}

// batch reads the whole text as records.
func (d *decoder) batch(most int) ([]Record, error) {
	var out []Record
	var err error
	switch d.Peek() {
	case '[':
		out, err = d.array(most)
	case '{':
		d.Pos++
		out, err = d.envelope(most)
	default:
		return nil, d.Unexpected(`an array of records or an object with the key "records"`)
	}
	if err != nil {
		return nil, err
	}
	return out, d.end()
}

func (d *decoder) envelope(most int) (out []Record, err error) {
	found := false
	for first := true; ; first = false {
		at := d.Pos
		key, done, err := d.key(first)
		switch {
		case err != nil:
			return nil, err
		case done && !found:
			return nil, d.Fail(d.Pos-1, `the key "records" is missing`)
		case done:
			return out, nil
		case string(key) != "records":
			return nil, d.Fail(at, "unknown key "+quoted(string(key))+`, allowed is "records"; a single record stands in an array`)
		case found:
			return nil, d.Fail(at, `the key "records" is given twice`)
		}
		found = true
		if d.Peek() != '[' {
			return nil, d.Unexpected("an array of records")
		}
		if out, err = d.array(most); err != nil {
			return nil, err
		}
	}
}

func (d *decoder) array(most int) ([]Record, error) {
	d.Pos++
	var out []Record
	for i := 0; ; i++ {
		c := d.Peek()
		if c == ']' {
			break
		}
		if i > 0 {
			if c != ',' {
				return nil, d.Unexpected("a comma or ]")
			}
			d.Pos++
			d.Peek()
		}
		if i == most {
			return nil, &DecodeError{Offset: d.Pos, Index: -1, Message: fmt.Sprintf("more than %d records, which is the limit", most), tooLarge: true}
		}
		if i == cap(out) {
			// The records so far tell how many are to come.
			more := 1
			if i > 0 {
				more = (len(d.Data)-d.Pos)/max(d.Pos/i, 2) + 1
			}
			out = slices.Grow(out, min(more, most-i))
		}
		d.index = i
		out = append(out, Record{})
		if err := d.record(&out[i]); err != nil {
			return nil, err
		}
		d.index, d.field = -1, ""
	}
	d.Pos++
	if out == nil {
		out = []Record{}
	}
	return out, nil
}

// The keys of a record, as bits, to find the ones given twice.
const (
	keyID = 1 << iota
	keySource
	keyTenant
	keyMeter
	keyStart
	keyEnd
	keyValues
	keyQuantity
	keyDimensions
	keyCorrects
)

// recordKey returns the bit of a key and the key itself without copying it.
func recordKey(key []byte) (int, string) {
	switch string(key) {
	case "id":
		return keyID, "id"
	case "source":
		return keySource, "source"
	case "tenant":
		return keyTenant, "tenant"
	case "meter":
		return keyMeter, "meter"
	case "start":
		return keyStart, "start"
	case "end":
		return keyEnd, "end"
	case "values":
		return keyValues, "values"
	case QuantityName:
		return keyQuantity, QuantityName
	case "dimensions":
		return keyDimensions, "dimensions"
	case "corrects":
		return keyCorrects, "corrects"
	}
	return 0, ""
}

// record reads the record at the present place.
func (d *decoder) record(r *Record) error {
	d.field, d.member = "", ""
	if d.Peek() != '{' {
		s, err := d.Skip()
		if err != nil {
			return err
		}
		r.addFault("record", CodeType, "is "+kindOf(s.Kind)+", a record is an object")
		return nil
	}
	d.Pos++
	d.values, d.dimensions = d.values[:0], d.dimensions[:0]
	d.short.absent = true
	seen := 0
	for first := true; ; first = false {
		key, done, err := d.key(first)
		if err != nil {
			return err
		}
		if done {
			break
		}
		bit, name := recordKey(key)
		if bit == 0 || seen&bit != 0 {
			if err := d.refuse(r, bit == 0, key); err != nil {
				return err
			}
			continue
		}
		seen |= bit
		d.field = name
		if err := d.recordField(r, bit); err != nil {
			return err
		}
		d.field, d.member = "", ""
	}
	d.finishValues(r)
	d.finishDimensions(r)
	return nil
}

// refuse passes over the value of a key that is unknown or given twice.
func (d *decoder) refuse(r *Record, unknown bool, key []byte) error {
	if d.field = shortName(string(key)); unknown {
		r.addFault(d.field, CodeUnknownKey, "is no key of a record, allowed are id, source, tenant, meter, start, end, values, quantity, dimensions and corrects")
	} else {
		r.addFault(d.field, CodeDuplicate, "the key is given twice")
	}
	if _, err := d.Skip(); err != nil {
		return err
	}
	d.field = ""
	return nil
}

func (d *decoder) recordField(r *Record, bit int) (err error) {
	switch bit {
	case keyID:
		r.ID, err = d.textField(r, "id", false)
	case keySource:
		r.Source, err = d.textField(r, "source", true)
	case keyTenant:
		r.Tenant, err = d.textField(r, "tenant", true)
	case keyMeter:
		r.Meter, err = d.textField(r, "meter", true)
	case keyStart:
		r.Start, err = d.instantField(r, "start")
	case keyEnd:
		r.End, err = d.instantField(r, "end")
	case keyValues:
		err = d.valuesField(r)
	case keyQuantity:
		d.short = valueSlot{Value: Value{Name: QuantityName}}
		err = d.value(r, &d.short)
	case keyDimensions:
		err = d.dimensionsField(r)
	case keyCorrects:
		err = d.correctsField(r)
	}
	return err
}

// bytes reads the value at the present place where a string belongs. ok is false
// where there is none: it is null, or a fault was noted.
func (d *decoder) bytes(r *Record, field string) (s []byte, ok bool, err error) {
	if d.Peek() != '"' {
		s, err := d.Skip()
		if err == nil && s.Kind != 'n' {
			r.addFault(field, CodeType, "is "+kindOf(s.Kind)+", a string is expected")
		}
		return nil, false, err
	}
	s, broken, err := d.String()
	if broken {
		r.addFault(field, CodeCharacters, brokenMessage)
	}
	return s, err == nil, err
}

const brokenMessage = `has half of a surrogate pair (\ud800 to \udfff), which is no character`

func (d *decoder) textField(r *Record, field string, shared bool) (string, error) {
	b, ok, err := d.bytes(r, field)
	if err != nil || !ok {
		return "", err
	}
	if shared {
		return d.texts.Intern(b), nil
	}
	return d.texts.Keep(b), nil
}

func (d *decoder) instantField(r *Record, field string) (time.Time, error) {
	b, ok, err := d.bytes(r, field)
	if err != nil || !ok || len(b) == 0 {
		return time.Time{}, err
	}
	t, wrong := parseInstant(b)
	switch {
	case wrong != "":
		r.addFault(field, CodeSyntax, quoted(string(b[:min(len(b), 65)]))+" is no instant of RFC 3339 such as 2026-03-01T00:00:00Z: "+wrong)
		return time.Time{}, nil
	case t.IsZero():
		// It would read as not given, and an end before the start as none.
		r.addFault(field, CodeOutOfRange, "is the first instant of the year 1, which stands for none")
	}
	return t, nil
}

// valuesField reads the object of named numbers.
func (d *decoder) valuesField(r *Record) error {
	if ok, err := d.object(r, "values"); !ok {
		return err
	}
	for n := 0; ; n++ {
		key, done, err := d.key(n == 0)
		if done || err != nil {
			if n > maxMembers {
				r.addFault("values", CodeTooMany, fmt.Sprintf("has %d members, at most %d are read", n, maxMembers))
			}
			return err
		}
		if n >= maxMembers {
			if _, err := d.Skip(); err != nil {
				return err
			}
			continue
		}
		slot := valueSlot{Value: Value{Name: d.texts.Intern(key)}}
		d.member = slot.Name
		if d.brokenKey {
			r.addFault("values", CodeCharacters, "the name "+quoted(slot.Name)+" "+brokenMessage)
		}
		if err := d.value(r, &slot); err != nil {
			return err
		}
		d.member = ""
		d.values = append(d.values, slot)
	}
}

// value reads the number at the present place into a slot that has its name.
func (d *decoder) value(r *Record, slot *valueSlot) error {
	var text []byte
	switch c := d.Peek(); {
	case c == '"':
		s, _, err := d.String()
		if err != nil {
			return err
		}
		text = s
	case jsontext.IsNumber(c):
		s, err := d.Number()
		if err != nil {
			return err
		}
		text = s
	default:
		slot.absent = true
		s, err := d.Skip()
		if err == nil && s.Kind != 'n' {
			r.addValueFault(slot.Name, CodeType, "is "+kindOf(s.Kind)+", a number or a string with a number is expected")
		}
		return err
	}
	var err error
	if slot.Number, err = aggregate.ParseNumberBytes(text); err != nil {
		slot.absent = true
		code := CodeSyntax
		if errors.Is(err, aggregate.ErrRange) {
			code = CodeOutOfRange
		}
		r.addValueFault(slot.Name, code, err.Error())
	}
	return nil
}

func (r *Record) addValueFault(name, code, message string) {
	if len(r.Values.faults) < maxFaults {
		r.Values.faults = append(r.Values.faults, valueFault{name, code, message})
	}
}

// finishValues makes the values of what was read, sorted and without nulls.
func (d *decoder) finishValues(r *Record) {
	if !d.short.absent {
		d.addShort(r)
	}
	all := d.values
	if len(all) == 0 {
		return
	}
	byName := func(a, b valueSlot) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(all, byName) {
		slices.SortStableFunc(all, byName)
	}
	if cap(d.valueChunk)-len(d.valueChunk) < len(all) {
		n := len(all)
		if !d.texts.Once {
			n = max(n, valuesChunk)
		}
		d.valueChunk = make([]Value, 0, n)
	}
	from := len(d.valueChunk)
	for i := range all {
		switch {
		case i > 0 && all[i].Name == all[i-1].Name:
			r.addValueFault(all[i].Name, CodeDuplicate, "the value is given twice")
		case !all[i].absent:
			d.valueChunk = append(d.valueChunk, all[i].Value)
		}
	}
	if to := len(d.valueChunk); to > from {
		r.Values.list = d.valueChunk[from:to:to]
	}
}

// addShort puts the value of the key "quantity" among the others.
func (d *decoder) addShort(r *Record) {
	same := func(s valueSlot) bool { return s.Name == QuantityName }
	if slices.ContainsFunc(d.values, func(s valueSlot) bool { return same(s) && !s.absent }) {
		r.addValueFault(QuantityName, CodeDuplicate, "the value is given twice, as quantity and in values")
		return
	}
	d.values = append(slices.DeleteFunc(d.values, same), d.short)
}

// dimensionsField reads the object of dimensions.
func (d *decoder) dimensionsField(r *Record) error {
	if ok, err := d.object(r, "dimensions"); !ok {
		return err
	}
	for n := 0; ; n++ {
		key, done, err := d.key(n == 0)
		if done || err != nil {
			if n > maxMembers {
				r.addFault("dimensions", CodeTooMany, fmt.Sprintf("has %d members, at most %d are read", n, maxMembers))
			}
			return err
		}
		if n >= maxMembers {
			if _, err := d.Skip(); err != nil {
				return err
			}
			continue
		}
		slot := dimensionSlot{Dimension: Dimension{Name: d.texts.Intern(key)}}
		d.member = slot.Name
		if d.brokenKey {
			r.addFault("dimensions", CodeCharacters, "the name "+quoted(slot.Name)+" "+brokenMessage)
		}
		if err := d.dimension(r, &slot); err != nil {
			return err
		}
		d.member = ""
		d.dimensions = append(d.dimensions, slot)
	}
}

// dimension reads the value at the present place into a slot that has its name.
func (d *decoder) dimension(r *Record, slot *dimensionSlot) error {
	if d.Peek() == '"' {
		s, broken, err := d.String()
		if err != nil {
			return err
		}
		if broken {
			r.addFault("dimensions."+shortName(slot.Name), CodeCharacters, brokenMessage)
		}
		slot.Value = d.texts.Intern(s)
		return nil
	}
	from := d.Pos
	s, err := d.Skip()
	if err != nil {
		return err
	}
	raw := d.Data[from:d.Pos]
	fault := func(code, message string) {
		slot.absent = true
		r.addFault("dimensions."+shortName(slot.Name), code, message)
	}
	switch {
	case s.Kind == 'n':
		slot.absent = true
	case s.Kind != '{' && s.Kind != '[':
		fault(CodeType, fmt.Sprintf("is %s, a string, an object or an array is expected: write it as \"%s\"", kindOf(s.Kind), shortName(string(raw[:min(len(raw), maxNameBytes+1)]))))
	case s.Depth > maxJSONDepth:
		fault(CodeSyntax, fmt.Sprintf("nests %d levels deep, at most %d are allowed", s.Depth, maxJSONDepth))
	case len(raw) > maxNestedBytes:
		fault(CodeTooLong, fmt.Sprintf("has %d bytes, at most %d of an object or array are read", len(raw), maxNestedBytes))
	case s.Broken:
		fault(CodeCharacters, brokenMessage)
	case s.Canonical:
		slot.Value = d.texts.Intern(raw)
	case !utf8.Valid(raw):
		fault(CodeCharacters, "is not valid UTF-8")
	default:
		if slot.Value, err = CanonicalJSON(string(raw)); err != nil {
			fault(CodeSyntax, err.Error())
		}
	}
	return nil
}

// finishDimensions makes the dimensions of what was read, sorted and without
// nulls.
func (d *decoder) finishDimensions(r *Record) {
	all := d.dimensions
	if len(all) == 0 {
		return
	}
	byName := func(a, b dimensionSlot) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(all, byName) {
		slices.SortStableFunc(all, byName)
	}
	if cap(d.dimensionChunk)-len(d.dimensionChunk) < len(all) {
		n := len(all)
		if !d.texts.Once {
			n = max(n, dimensionChunk)
		}
		d.dimensionChunk = make([]Dimension, 0, n)
	}
	from := len(d.dimensionChunk)
	for i := range all {
		switch {
		case i > 0 && all[i].Name == all[i-1].Name:
			r.addFault("dimensions."+shortName(all[i].Name), CodeDuplicate, "the dimension is given twice")
		case !all[i].absent:
			d.dimensionChunk = append(d.dimensionChunk, all[i].Dimension)
		}
	}
	if to := len(d.dimensionChunk); to > from {
		r.Dimensions.list = d.dimensionChunk[from:to:to]
	}
}

// correctsField reads which record is corrected, and how.
func (d *decoder) correctsField(r *Record) error {
	if ok, err := d.object(r, "corrects"); !ok {
		return err
	}
	c := new(Correction)
	r.Corrects = c
	kind := false
	const keyKind = keyMeter // no other key of a record stands here
	seen := 0
	for first := true; ; first = false {
		key, done, err := d.key(first)
		if err != nil {
			return err
		}
		if done {
			break
		}
		bit := 0
		switch string(key) {
		case "kind":
			bit, d.member = keyKind, "kind"
		case "source":
			bit, d.member = keySource, "source"
		case "id":
			bit, d.member = keyID, "id"
		default:
			d.member = string(key)
		}
		if bit == 0 || seen&bit != 0 {
			field, code, message := "corrects."+shortName(d.member), CodeUnknownKey, "is no key of a correction, allowed are kind, source and id"
			if bit != 0 {
				code, message = CodeDuplicate, "the key is given twice"
			}
			r.addFault(field, code, message)
			if _, err := d.Skip(); err != nil {
				return err
			}
			d.member = ""
			continue
		}
		seen |= bit
		switch bit {
		case keySource:
			c.Source, err = d.textField(r, "corrects.source", true)
		case keyID:
			c.ID, err = d.textField(r, "corrects.id", false)
		default:
			kind, err = d.correctionKind(r, c)
		}
		if err != nil {
			return err
		}
		d.member = ""
	}
	if !kind {
		r.addFault("corrects.kind", CodeRequired, `is required, allowed are "void" and "replace"`)
	}
	return nil
}

// correctionKind reads the kind and reports whether one was given.
func (d *decoder) correctionKind(r *Record, c *Correction) (given bool, err error) {
	if d.Peek() == 'n' {
		return false, d.Literal()
	}
	b, ok, err := d.bytes(r, "corrects.kind")
	switch {
	case err != nil || !ok:
	case string(b) == "void":
		c.Kind = Void
	case string(b) == "replace":
		c.Kind = Replace
	default:
		r.addFault("corrects.kind", CodeCorrection, "unknown kind "+quoted(string(b[:min(len(b), 65)]))+`, allowed are "void" and "replace"`)
	}
	return true, err
}

// object opens the object at the present place. It is not ok where there is
// none: null, or something else, which is a fault.
func (d *decoder) object(r *Record, field string) (ok bool, err error) {
	if d.Peek() == '{' {
		d.Pos++
		return true, nil
	}
	s, err := d.Skip()
	if err == nil && s.Kind != 'n' {
		r.addFault(field, CodeType, "is "+kindOf(s.Kind)+", an object is expected")
	}
	return false, err
}

// kindOf names the kind of a JSON value by its first byte.
func kindOf(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// parseInstant reads an instant of RFC 3339. Digits of the fraction beyond the
// nanosecond are dropped, which is towards the past. wrong says what keeps the
// text from being an instant. Unlike time.Parse it takes no comma, no hour of
// one digit and no offset of a day or more, and takes t and z as the RFC does.
func parseInstant(b []byte) (t time.Time, wrong string) {
	const shape = "the form is YYYY-MM-DDThh:mm:ss, a fraction if need be, and Z or an offset as +01:00"
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' || b[13] != ':' || b[16] != ':' {
		return t, shape
	}
	century, ok0 := twoDigits(b)
	years, ok1 := twoDigits(b[2:])
	month, ok2 := twoDigits(b[5:])
	day, ok3 := twoDigits(b[8:])
	hour, ok4 := twoDigits(b[11:])
	minute, ok5 := twoDigits(b[14:])
	second, ok6 := twoDigits(b[17:])
	if !(ok0 && ok1 && ok2 && ok3 && ok4 && ok5 && ok6) {
		return t, shape
	}
	year := century*100 + years
	switch {
	case month < 1 || month > 12:
		return t, "there is no such month"
	case day < 1 || day > daysIn(year, month):
		return t, "there is no such day"
	case hour > 23 || minute > 59:
		return t, "there is no such time of day"
	case second > 59:
		return t, "there is no such second; write a leap second as the one before it"
	}
	b = b[19:]
	nanos := 0
	if b[0] == '.' {
		i, unit := 1, 100_000_000
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			nanos += int(b[i]-'0') * unit
			unit /= 10
		}
		if i == 1 {
			return t, "a digit must follow the point"
		}
		b = b[i:]
	}
	offset := 0
	switch {
	case len(b) == 1 && b[0]|0x20 == 'z':
	case len(b) == 6 && (b[0] == '+' || b[0] == '-') && b[3] == ':':
		h, ok1 := twoDigits(b[1:])
		m, ok2 := twoDigits(b[4:])
		if !ok1 || !ok2 {
			return t, shape
		}
		if h > 23 || m > 59 {
			return t, "there is no such offset"
		}
		if offset = h*3600 + m*60; b[0] == '-' {
			offset = -offset
		}
	default:
		return t, shape
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if offset != 0 {
		t = t.Add(-time.Duration(offset) * time.Second)
	}
	return t, ""
}

func twoDigits(b []byte) (int, bool) {
	hi, lo := b[0]-'0', b[1]-'0'
	return int(hi)*10 + int(lo), hi <= 9 && lo <= 9
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
