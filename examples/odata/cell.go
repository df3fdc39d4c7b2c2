package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
	"github.com/usagebook/usagebook/filter"
)

// maxDigits is how many digits a number of the language has at most, before and
// after the point. A file with 1e999999 would else cost a gigabyte.
const maxDigits = 100

// cell reads the value of a field.
func cell(f filter.Field, raw json.RawMessage) (filter.Value, error) {
	if string(raw) == "null" {
		return filter.Null(), nil
	}
	switch f.Type {
	case filter.TypeCollection:
		return collection(f, raw)
	case filter.TypeBool:
		if kindOf(raw) == 't' || kindOf(raw) == 'f' {
			return filter.Bool(kindOf(raw) == 't'), nil
		}
		return filter.Null(), fmt.Errorf("%s is no boolean", short(raw))
	case filter.TypeDecimal:
		return number(f, raw)
	}
	if kindOf(raw) != '"' {
		return filter.Null(), fmt.Errorf("%s is no string, which a %s is written as", short(raw), f.Type)
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return filter.Null(), err
	}
	if f.Type == filter.TypeString {
		return filter.String(text), nil
	}
	// The literals of the language are the text of these values, so its parser
	// reads them, to the last picosecond.
	literal := text
	if f.Type == filter.TypeDuration {
		literal = "duration'" + text + "'"
	}
	expr, err := filter.Parse(literal, nil)
	if l, ok := expr.(*filter.Literal); err == nil && ok && l.Value.Type() == f.Type {
		return l.Value, nil
	}
	return filter.Null(), fmt.Errorf("%s is no %s", short(raw), f.Type)
}

// number reads a number, which may be written as a string too.
func number(f filter.Field, raw json.RawMessage) (filter.Value, error) {
	text := string(raw)
	if kindOf(raw) == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return filter.Null(), err
		}
	}
	// A number in a string looks as it would without the quotes.
	if strings.Trim(text, "+-.0123456789eE") != "" || !json.Valid([]byte(text)) {
		return filter.Null(), fmt.Errorf("%s is no number", short(raw))
	}
	if len(text) > 3*maxDigits {
		return filter.Null(), fmt.Errorf("%s has more than %d digits", short(raw), maxDigits)
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return filter.Null(), fmt.Errorf("%s has an exponent that is out of range", short(raw))
	}
	exponent := int(d.Exponent())
	if d.NumDigits()+max(exponent, 0) > maxDigits || -exponent > maxDigits {
		return filter.Null(), fmt.Errorf("%s has more than %d digits", short(raw), maxDigits)
	}
	if f.Whole && !d.IsInteger() {
		return filter.Null(), fmt.Errorf("%s is no whole number, which the schema says it is", short(raw))
	}
	return filter.Decimal(d), nil
}

// items are the items of a collection, each with its fields in the order of the
// schema.
type items [][]filter.Value

var _ filter.Collection = items(nil)

func (c items) Len() int                           { return len(c) }
func (c items) Value(item, field int) filter.Value { return c[item][field] }

// collection reads an array.
func collection(f filter.Field, raw json.RawMessage) (filter.Value, error) {
	var texts []json.RawMessage
	if kindOf(raw) != '[' {
		return filter.Null(), fmt.Errorf("%s is no array", short(raw))
	}
	if err := json.Unmarshal(raw, &texts); err != nil {
		return filter.Null(), err
	}
	list := make(items, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = item(f.Items, text); err != nil {
			return filter.Null(), fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return filter.Items(list), nil
}

// item reads an item of an array: a value where fields is a single one without a
// name, else an object.
func item(fields []filter.Field, raw json.RawMessage) ([]filter.Value, error) {
	values := make([]filter.Value, len(fields))
	if fields[0].Name == "" {
		var err error
		values[0], err = cell(fields[0], raw)
		return values, err
	}
	parts, err := members(raw)
	if err != nil {
		return nil, err
	}
	for at, f := range fields {
		for _, m := range parts {
			if m.name != f.Name {
				continue
			}
			if values[at], err = cell(f, m.value); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	return values, nil
}
