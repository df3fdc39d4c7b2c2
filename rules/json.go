package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
)

// Parse reads a JSON array of rules:
//
//	[{"name": "asset-max", "application": "assetmonitor", "unit": "asset", "max": 1000}]
//
// The keys are the fields of Rule in lower camel case; any other key is a
// fault, by name, and so is a key given twice. Numbers are read exactly, from
// JSON numbers and from strings; times are RFC 3339 or a date, which means its
// midnight UTC; durations are texts such as "90d", "1d12h" or "5m"; sign is
// positive, negative, nonNegative or nonPositive. Null is the same as leaving
// the key out. The error is a *SetError that lists every fault. Parse reads
// only; what rules mean is judged by New.
func Parse(data []byte) ([]Rule, error) { return parse(data, "rule", decodeRule) }

// parse reads a JSON array of what decode reads, which a fault calls noun.
func parse[T any](data []byte, noun string, decode func([]byte, *faults) T) ([]T, error) {
	whole := faults{index: -1, noun: noun}
	if !utf8.Valid(data) {
		whole.add("", "the text is not valid UTF-8")
		return nil, setError(whole.list)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		whole.addCause("", fmt.Errorf("expected a JSON array of %ss: %w", noun, located(data, err)))
		return nil, setError(whole.list)
	}
	var list []Fault
	out := make([]T, len(items))
	for i, item := range items {
		f := faults{index: i, noun: noun}
		out[i] = decode(item, &f)
		list = append(list, f.list...)
	}
	if err := setError(list); err != nil {
		return nil, err
	}
	return out, nil
}

// located adds line and column to a syntax error of encoding/json, which knows
// only an offset.
func located(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset > int64(len(data)) {
		return err
	}
	before := data[:syntax.Offset]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n') - 1
	return fmt.Errorf("line %d, column %d: %w", line, max(column, 1), err)
}

// UnmarshalJSON reads one rule as [Parse] does. The rule is changed only if it
// is read without fault.
func (r *Rule) UnmarshalJSON(data []byte) error { return unmarshal(r, data, "rule", decodeRule) }

func unmarshal[T any](to *T, data []byte, noun string, decode func([]byte, *faults) T) error {
	if string(data) == "null" {
		return nil
	}
	f := faults{index: -1, noun: noun}
	if !utf8.Valid(data) {
		f.add("", "the text is not valid UTF-8")
		return setError(f.list)
	}
	out := decode(data, &f)
	if err := setError(f.list); err != nil {
		return err
	}
	*to = out
	return nil
}

// member is a key of a JSON object with its value.
type member struct {
	key   string
	value json.RawMessage
}

// members takes an object apart in order. Reading into a struct would accept
// keys of another case and keys given twice.
func members(data []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	if token != json.Delim('{') {
		return nil, errors.New("expected a JSON object")
	}
	var out []member
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string) // the decoder gives nothing else here
		if slices.ContainsFunc(out, func(m member) bool { return m.key == key }) {
			return nil, fmt.Errorf("key %q is given twice", shorten(key))
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		out = append(out, member{key, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more text after the JSON object")
	}
	return out, nil
}

// property reads and writes one key of the JSON form of a T.
type property[T any] struct {
	key   string
	read  func(*T, json.RawMessage) error
	write func(*T) any // nil where the key is left out
}

// ruleProperties are the keys of a rule in the order in which they are written.
// The decoder, the encoder and the message about unknown keys all follow it.
var ruleProperties = []property[Rule]{
	text("name", func(r *Rule) *string { return &r.Name }),
	text("meter", func(r *Rule) *string { return &r.Meter }),
	text("application", func(r *Rule) *string { return &r.Application }),
	text("provider", func(r *Rule) *string { return &r.Provider }),
	text("unit", func(r *Rule) *string { return &r.Unit }),
	{
		"dimensions",
		func(r *Rule, raw json.RawMessage) (err error) { r.Dimensions, err = readMap(raw, readText); return err },
		func(r *Rule) any { return unlessEmpty(r.Dimensions) },
	},
	text("filter", func(r *Rule) *string { return &r.Filter }),
	instant("from", func(r *Rule) *time.Time { return &r.From }),
	instant("until", func(r *Rule) *time.Time { return &r.Until }),
	texts("tenants", func(r *Rule) *[]string { return &r.Tenants }),
	texts("userTypes", func(r *Rule) *[]string { return &r.UserTypes }),
	texts("units", func(r *Rule) *[]string { return &r.Units }),
	texts("required", func(r *Rule) *[]string { return &r.Required }),
	texts("forbidden", func(r *Rule) *[]string { return &r.Forbidden }),
	texts("allowed", func(r *Rule) *[]string { return &r.Allowed }),
	{
		"allowedValues",
		func(r *Rule, raw json.RawMessage) (err error) {
			r.AllowedValues, err = readMap(raw, readTexts)
			return err
		},
		func(r *Rule) any { return unlessEmpty(r.AllowedValues) },
	},
	text("value", func(r *Rule) *string { return &r.Value }),
	pointer("min", readNumber, numberText, func(r *Rule) **aggregate.Number { return &r.Min }),
	pointer("max", readNumber, numberText, func(r *Rule) **aggregate.Number { return &r.Max }),
	pointer("scale", readInt, same[int], func(r *Rule) **int { return &r.Scale }),
	sign(func(r *Rule) *Sign { return &r.Sign }),
	{
		"values",
		func(r *Rule, raw json.RawMessage) (err error) { r.Values, err = readMap(raw, readLimits); return err },
		func(r *Rule) any { return unlessEmpty(r.Values) },
	},
	pointer("maxAge", readDuration, formatDuration, func(r *Rule) **time.Duration { return &r.MaxAge }),
	pointer("maxFuture", readDuration, formatDuration, func(r *Rule) **time.Duration { return &r.MaxFuture }),
	pointer("billable", readBool, same[bool], func(r *Rule) **bool { return &r.Billable }),
}

// limitProperties are the keys of an entry of values.
var limitProperties = []property[Limits]{
	{
		"required",
		func(l *Limits, raw json.RawMessage) (err error) { l.Required, err = readBool(raw); return err },
		func(l *Limits) any {
			if !l.Required {
				return nil
			}
			return true
		},
	},
	pointer("min", readNumber, numberText, func(l *Limits) **aggregate.Number { return &l.Min }),
	pointer("max", readNumber, numberText, func(l *Limits) **aggregate.Number { return &l.Max }),
	pointer("scale", readInt, same[int], func(l *Limits) **int { return &l.Scale }),
	sign(func(l *Limits) *Sign { return &l.Sign }),
}

func decodeRule(data []byte, f *faults) Rule { return decodeNamed(data, f, ruleProperties) }

// decodeNamed reads an object that has a name.
func decodeNamed[T any](data []byte, f *faults, properties []property[T]) T {
	var out T
	list, err := members(data)
	if err != nil {
		f.addCause("", err)
		return out
	}
	// The name comes first, so that every fault can carry it.
	for _, m := range list {
		if m.key == "name" {
			f.rule, _ = readText(m.value)
		}
	}
	for _, fault := range decode(&out, list, properties) {
		f.addCause(fault.key, fault.err)
	}
	return out
}

// keyFault is what is wrong with the value of a key.
type keyFault struct {
	key string
	err error
}

func (k keyFault) Error() string { return k.key + ": " + k.err.Error() }

func decode[T any](to *T, list []member, properties []property[T]) []keyFault {
	var out []keyFault
	for _, m := range list {
		i := slices.IndexFunc(properties, func(p property[T]) bool { return p.key == m.key })
		if i < 0 {
			out = append(out, keyFault{shorten(m.key), unknownKey(m.key, properties)})
			continue
		}
		if string(m.value) == "null" {
			continue
		}
		if err := properties[i].read(to, m.value); err != nil {
			out = append(out, nested(m.key, err)...)
		}
	}
	return out
}

// nested brings the faults inside an object to the keys of the rule.
func nested(key string, err error) []keyFault {
	var inner keyFaults
	if !errors.As(err, &inner) {
		return []keyFault{{key, err}}
	}
	out := make([]keyFault, len(inner))
	for i, f := range inner {
		out[i] = keyFault{key + "." + f.key, f.err}
	}
	return out
}

type keyFaults []keyFault

func (k keyFaults) Error() string { return k[0].Error() }

func unknownKey[T any](key string, properties []property[T]) error {
	names := make([]string, len(properties))
	for i, p := range properties {
		if strings.EqualFold(p.key, strings.ReplaceAll(strings.ReplaceAll(key, "_", ""), "-", "")) {
			return fmt.Errorf("unknown key, did you mean %s?", p.key)
		}
		names[i] = p.key
	}
	return fmt.Errorf("unknown key, allowed are %s", strings.Join(names, ", "))
}

// MarshalJSON writes the rule as [Parse] reads it, leaving out what the rule
// does not ask for. Numbers are written as strings, so that no reader rounds
// them.
func (r Rule) MarshalJSON() ([]byte, error) { return encode(&r, ruleProperties) }

// MarshalJSON writes the limits as an entry of values.
func (l Limits) MarshalJSON() ([]byte, error) { return encode(&l, limitProperties) }

func encode[T any](from *T, properties []property[T]) ([]byte, error) {
	b := []byte{'{'}
	for _, p := range properties {
		value := p.write(from)
		if value == nil {
			continue
		}
		raw, err := marshal(value)
		if err != nil {
			return nil, err
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, p.key) // the keys are plain ASCII
		b = append(b, ':')
		b = append(b, raw...)
	}
	return append(b, '}'), nil
}

// marshal is json.Marshal without the escapes for HTML, which would make
// conditions hard to read.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

func text[T any](key string, at func(*T) *string) property[T] {
	return property[T]{
		key,
		func(t *T, raw json.RawMessage) (err error) { *at(t), err = readText(raw); return err },
		func(t *T) any {
			if *at(t) == "" {
				return nil
			}
			return *at(t)
		},
	}
}

func texts[T any](key string, at func(*T) *[]string) property[T] {
	return property[T]{
		key,
		func(t *T, raw json.RawMessage) (err error) { *at(t), err = readTexts(raw); return err },
		func(t *T) any {
			if *at(t) == nil {
				return nil
			}
			return *at(t)
		},
	}
}

func instant(key string, at func(*Rule) *time.Time) property[Rule] {
	return property[Rule]{
		key,
		func(r *Rule, raw json.RawMessage) (err error) { *at(r), err = readTime(raw); return err },
		func(r *Rule) any {
			if at(r).IsZero() {
				return nil
			}
			return at(r).UTC().Format(time.RFC3339Nano)
		},
	}
}

func sign[T any](at func(*T) *Sign) property[T] {
	return property[T]{
		"sign",
		func(t *T, raw json.RawMessage) (err error) { *at(t), err = readSign(raw); return err },
		func(t *T) any {
			if *at(t) == AnySign {
				return nil
			}
			return at(t).String()
		},
	}
}

func pointer[T, V, W any](key string, read func(json.RawMessage) (V, error), write func(V) W, at func(*T) **V) property[T] {
	return property[T]{
		key,
		func(t *T, raw json.RawMessage) error {
			v, err := read(raw)
			if err != nil {
				return err
			}
			*at(t) = &v
			return nil
		},
		func(t *T) any {
			if *at(t) == nil {
				return nil
			}
			return write(**at(t))
		},
	}
}

func same[V any](v V) V { return v }

func numberText(n aggregate.Number) string { return n.String() }

func unlessEmpty[V any](m map[string]V) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

func readText(raw json.RawMessage) (string, error) {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("expected a text, not %s", shorten(string(raw)))
	}
	return s, nil
}

func readTexts(raw json.RawMessage) ([]string, error) {
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return nil, fmt.Errorf("expected a list of texts, not %s", shorten(string(raw)))
	}
	out := make([]string, len(items))
	for i, item := range items {
		var err error
		if out[i], err = readText(item); err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
	}
	return out, nil
}

func readBool(raw json.RawMessage) (bool, error) {
	switch string(raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("expected true or false, not %s", shorten(string(raw)))
}

// readNumber takes the digits as they stand, from a number or from a string.
func readNumber(raw json.RawMessage) (aggregate.Number, error) {
	digits := string(raw)
	if raw[0] == '"' {
		var err error
		if digits, err = readText(raw); err != nil {
			return aggregate.Number{}, err
		}
	} else if raw[0] == '{' || raw[0] == '[' {
		return aggregate.Number{}, fmt.Errorf("expected a number, not %s", shorten(digits))
	}
	return aggregate.ParseNumber(digits)
}

func readInt(raw json.RawMessage) (int, error) {
	n, err := strconv.Atoi(string(raw))
	if err != nil {
		return 0, fmt.Errorf("expected a whole number, not %s", shorten(string(raw)))
	}
	return n, nil
}

func readDuration(raw json.RawMessage) (time.Duration, error) {
	s, err := readText(raw)
	if err != nil {
		return 0, fmt.Errorf("expected a duration such as \"90d\" or \"5m\", not %s", shorten(string(raw)))
	}
	return parseDuration(s)
}

func readTime(raw json.RawMessage) (time.Time, error) {
	s, err := readText(raw)
	if err != nil {
		return time.Time{}, err
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-01-31T00:00:00Z or a date", shorten(s))
	}
	return micro(t), nil
}

func readSign(raw json.RawMessage) (Sign, error) {
	s, err := readText(raw)
	if err != nil {
		return AnySign, err
	}
	if i := slices.Index(signNames[1:], s); i >= 0 {
		return Sign(i + 1), nil
	}
	return AnySign, fmt.Errorf("unknown sign %q, allowed are %s", shorten(s), strings.Join(signNames[1:], ", "))
}

func readMap[V any](raw json.RawMessage, read func(json.RawMessage) (V, error)) (map[string]V, error) {
	list, err := members(raw)
	if err != nil {
		return nil, err
	}
	out := make(map[string]V, len(list))
	var wrong keyFaults
	for _, m := range list {
		v, err := read(m.value)
		if err != nil {
			wrong = append(wrong, nested(shorten(m.key), err)...)
			continue
		}
		out[m.key] = v
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return out, nil
}

func readLimits(raw json.RawMessage) (Limits, error) {
	var l Limits
	list, err := members(raw)
	if err != nil {
		return l, err
	}
	if wrong := decode(&l, list, limitProperties); len(wrong) > 0 {
		return l, keyFaults(wrong)
	}
	return l, nil
}
