package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// decode reads JSON into v, a pointer to a struct, and returns the line of each
// value by its path. It differs from encoding/json in what a person who writes a
// file needs: keys are those of the struct as they are spelled there, once each,
// and a fault names its line and path.
func decode(data []byte, v any) (lines map[string]int, err error) {
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		var syntax *json.SyntaxError
		at := len(data)
		if errors.As(err, &syntax) {
			at = int(syntax.Offset)
		}
		return nil, &fault{line: lineOf(data, at), message: err.Error()}
	}
	d := &decoder{data: data, json: json.NewDecoder(bytes.NewReader(data)), lines: map[string]int{}}
	return d.lines, d.value("", reflect.ValueOf(v).Elem())
}

// secret is a key that is not shown in faults.
type secret string

// fault is one thing that is wrong with a file.
type fault struct {
	line    int
	path    string
	message string
}

func (f *fault) Error() string {
	if f.path == "" {
		return fmt.Sprintf("%d: %s", f.line, f.message)
	}
	return fmt.Sprintf("%d: %s: %s", f.line, f.path, f.message)
}

// lineOf returns the line, from 1, of a place.
func lineOf(data []byte, at int) int { return 1 + bytes.Count(data[:min(at, len(data))], []byte("\n")) }

type decoder struct {
	data  []byte
	json  *json.Decoder
	lines map[string]int
}

// next returns the line of the next token.
func (d *decoder) next() int {
	at := int(d.json.InputOffset())
	return lineOf(d.data, at+len(d.data[at:])-len(bytes.TrimLeft(d.data[at:], " \t\r\n,:")))
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

func (d *decoder) value(path string, v reflect.Value) error {
	line := d.next()
	d.lines[path] = line
	t := v.Type()
	raw := t == reflect.TypeFor[json.RawMessage]()
	switch {
	case !raw && !reflect.PointerTo(t).Implements(textType) && t.Kind() == reflect.Struct:
		return d.object(path, func(key string, line int) error {
			f, ok := fieldOf(t, key)
			if !ok {
				return &fault{line, joined(path, key), "there is no such key; there are " + strings.Join(keysOf(t), ", ")}
			}
			return d.value(joined(path, key), v.FieldByIndex(f.Index))
		})
	case t.Kind() == reflect.Map:
		return d.object(path, func(key string, _ int) error {
			name, item := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			name.SetString(key)
			at := joined(path, key)
			if t.Key() == reflect.TypeFor[secret]() {
				at = fmt.Sprintf("%s[%d]", path, v.Len())
			}
			if err := d.value(at, item); err != nil {
				return err
			}
			if v.IsNil() {
				v.Set(reflect.MakeMap(t))
			}
			v.SetMapIndex(name, item)
			return nil
		})
	case !raw && t.Kind() == reflect.Slice:
		if ok, err := d.open(path, '[', "a list"); !ok {
			return err
		}
		v.Set(reflect.MakeSlice(t, 0, 0))
		for i := 0; d.json.More(); i++ {
			item := reflect.New(t.Elem()).Elem()
			if err := d.value(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
				return err
			}
			v.Set(reflect.Append(v, item))
		}
		return d.close()
	}
	err := d.json.Decode(v.Addr().Interface())
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return &fault{line, path, fmt.Sprintf("a %s is no %s", kind.Value, wanted(t))}
	}
	if err != nil {
		return &fault{line, path, err.Error()}
	}
	return nil
}

// object reads an object and calls f behind each key.
func (d *decoder) object(path string, f func(key string, line int) error) error {
	if ok, err := d.open(path, '{', "an object"); !ok {
		return err
	}
	seen := map[string]bool{}
	for d.json.More() {
		line := d.next()
		token, err := d.json.Token()
		if err != nil {
			return err
		}
		key := token.(string)
		if seen[key] {
			return &fault{line, path, "the key of this line is there twice"}
		}
		seen[key] = true
		if err := f(key, line); err != nil {
			return err
		}
	}
	return d.close()
}

// open reads the beginning of an object or list; ok is false where there is none,
// which null is without being an error.
func (d *decoder) open(path string, delimiter json.Delim, what string) (ok bool, err error) {
	line := d.next()
	token, err := d.json.Token()
	switch {
	case err != nil:
		return false, err
	case token == delimiter:
		return true, nil
	case token == nil && path != "":
		return false, nil
	}
	return false, &fault{line, path, what + " is expected here"}
}

func (d *decoder) close() error {
	_, err := d.json.Token()
	return err
}

// wanted names what a value should have been.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int64:
		return "whole number that fits"
	}
	return "text"
}

// keysOf returns the keys of a struct in their order.
func keysOf(t reflect.Type) []string {
	var out []string
	for _, f := range reflect.VisibleFields(t) {
		if key := f.Tag.Get("json"); key != "" && key != "-" {
			out = append(out, key)
		}
	}
	return out
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if key != "-" && f.Tag.Get("json") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func joined(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }
