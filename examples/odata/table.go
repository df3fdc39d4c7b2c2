package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/filter"
)

// table is a schema with the rows that were read by it.
type table struct {
	schema  *filter.Fields
	columns []filter.Field
	rows    []row
	id      int // the column of the field id, -1 without one
}

// row is a row with its text in the file and its values by column.
type row struct {
	text   json.RawMessage
	values []filter.Value
}

// column returns the index of a field, or -1.
func (t *table) column(name string) int {
	return slices.IndexFunc(t.columns, func(f filter.Field) bool { return f.Name == name })
}

// readTable reads the schema of one file and the rows of another, or the same.
func readTable(schemaPath, rowsPath string) (*table, error) {
	document, err := readDocument(schemaPath)
	if err != nil {
		return nil, err
	}
	t := &table{}
	if err := t.readSchema(document); err != nil {
		return nil, fmt.Errorf("%s: %w", schemaPath, err)
	}
	if rowsPath != schemaPath {
		if document, err = readDocument(rowsPath); err != nil {
			return nil, err
		}
	}
	if err := t.readRows(document); err != nil {
		return nil, fmt.Errorf("%s: %w", rowsPath, err)
	}
	return t, nil
}

// readSchema reads the object of fields, or the object that holds it as schema.
// Fields keep the order of the file, which decides between suggestions that are
// equally near.
func (t *table) readSchema(document json.RawMessage) error {
	fields, err := members(document)
	if err != nil {
		return fmt.Errorf("the schema: %w", err)
	}
	for _, m := range fields {
		// A field could be called schema too, but its type is no object.
		if m.name == "schema" && kindOf(m.value) == '{' {
			if fields, err = members(m.value); err != nil {
				return fmt.Errorf("schema: %w", err)
			}
			break
		}
	}
	for _, m := range fields {
		f, err := field(m)
		if err != nil {
			return fmt.Errorf("schema.%s: %w", m.name, err)
		}
		t.columns = append(t.columns, f)
	}
	if t.schema, err = filter.NewSchema(t.columns...); err != nil {
		return fmt.Errorf("the schema: %w", err)
	}
	t.id = t.column("id")
	return nil
}

// scalars are the types of values that are no arrays.
var scalars = map[string]filter.Field{
	"int":      {Type: filter.TypeDecimal, Whole: true},
	"decimal":  {Type: filter.TypeDecimal},
	"bool":     {Type: filter.TypeBool},
	"string":   {Type: filter.TypeString},
	"datetime": {Type: filter.TypeTime},
	"date":     {Type: filter.TypeDate},
	"time":     {Type: filter.TypeTimeOfDay},
	"duration": {Type: filter.TypeDuration},
	"guid":     {Type: filter.TypeGuid},
}

const typesAllowed = `int, decimal, bool, string, datetime, date, time, duration, guid, ["array", TYPE] or ["array", {NAME: TYPE}]`

// scalar reads a field with a type that is no array.
func scalar(name string, raw json.RawMessage) (filter.Field, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if f, ok := scalars[text]; ok {
			f.Name = name
			return f, nil
		}
	}
	return filter.Field{}, fmt.Errorf("%s is no type, expected %s", short(raw), typesAllowed)
}

// field reads a field of the schema.
func field(m member) (filter.Field, error) {
	if kindOf(m.value) != '[' {
		return scalar(m.name, m.value)
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(m.value, &parts); err != nil {
		return filter.Field{}, err
	}
	if len(parts) != 2 || string(parts[0]) != `"array"` {
		return filter.Field{}, fmt.Errorf("%s is no type, expected %s", short(m.value), typesAllowed)
	}
	f := filter.Field{Name: m.name, Type: filter.TypeCollection}
	if kindOf(parts[1]) != '{' {
		item, err := scalar("", parts[1])
		f.Items = []filter.Field{item}
		return f, err
	}
	items, err := members(parts[1])
	if err != nil {
		return f, err
	}
	for _, m := range items {
		item, err := scalar(m.name, m.value)
		if err != nil {
			return f, fmt.Errorf("%s: %w", m.name, err)
		}
		f.Items = append(f.Items, item)
	}
	return f, nil
}

// readRows reads the list of rows, or the object that holds it as rows.
func (t *table) readRows(document json.RawMessage) error {
	list := document
	if kindOf(document) == '{' {
		parts, err := members(document)
		if err != nil {
			return err
		}
		list = nil
		for _, m := range parts {
			if m.name == "rows" {
				list = m.value
			}
		}
	}
	if kindOf(list) != '[' {
		return fmt.Errorf("there is no list of rows, expected [..] or {\"rows\": [..]}")
	}
	var texts []json.RawMessage
	if err := json.Unmarshal(list, &texts); err != nil {
		return err
	}
	byName := make(map[string]int, len(t.columns))
	for i, f := range t.columns {
		byName[f.Name] = i
	}
	for i, text := range texts {
		parts, err := members(text)
		if err != nil {
			return fmt.Errorf("rows[%d]: %w", i, err)
		}
		r := row{text: text, values: make([]filter.Value, len(t.columns))}
		for _, m := range parts {
			at, ok := byName[m.name]
			if !ok {
				continue
			}
			if r.values[at], err = cell(t.columns[at], m.value); err != nil {
				return fmt.Errorf("rows[%d].%s: %w", i, m.name, err)
			}
		}
		t.rows = append(t.rows, r)
	}
	return nil
}

// short quotes JSON in a message.
func short(raw json.RawMessage) string {
	const most = 60
	text := strings.Join(strings.Fields(string(raw)), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return text
}
