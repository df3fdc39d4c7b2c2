package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/usagebook/usagebook/filter"
)

// vectorList is a list of queries with its name in the file.
type vectorList struct {
	name    string
	entries []json.RawMessage
}

// readVectors reads a list of vectors, which counts as valid, or an object with
// the lists valid and invalid. Other members of the object are not looked at.
func readVectors(path string) ([]vectorList, error) {
	document, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	found := map[string]json.RawMessage{}
	if kindOf(document) == '{' {
		parts, err := members(document)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, m := range parts {
			found[m.name] = m.value
		}
	} else {
		found["valid"] = document
	}
	var lists []vectorList
	for _, name := range []string{"valid", "invalid"} {
		raw, ok := found[name]
		if !ok {
			continue
		}
		list := vectorList{name: name}
		if kindOf(raw) != '[' {
			return nil, fmt.Errorf("%s: %s is no list of vectors", path, short(raw))
		}
		if err := json.Unmarshal(raw, &list.entries); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("%s: there is no list of vectors, expected [..] or {\"valid\": [..], \"invalid\": [..]}", path)
	}
	return lists, nil
}

// readVector reads an entry of a list.
func readVector(raw json.RawMessage) (query, error) {
	var entry struct {
		Filter, OrderBy string
		Input           *string
		Top, Skip       *int
	}
	if kindOf(raw) != '{' {
		return query{}, fmt.Errorf("%s is no object", short(raw))
	}
	if err := json.Unmarshal(raw, &entry); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return query{}, fmt.Errorf("%s is a JSON %s, which it cannot be", strings.ToLower(kind.Field), kind.Value)
		}
		return query{}, err
	}
	if entry.Top != nil && *entry.Top < 0 {
		return query{}, fmt.Errorf("top is %d, which is below 0", *entry.Top)
	}
	if entry.Skip != nil && *entry.Skip < 0 {
		return query{}, fmt.Errorf("skip is %d, which is below 0", *entry.Skip)
	}
	q := query{filter: entry.Input, orderBy: entry.OrderBy, top: entry.Top, skip: entry.Skip}
	if entry.Filter != "" {
		if q.filter != nil {
			return query{}, errors.New("filter and input are both given")
		}
		q.filter = &entry.Filter
	}
	return q, nil
}

// outcome is the line that answers a vector: ids or a fault.
type outcome struct {
	List  string            `json:"list"`
	I     int               `json:"i"`
	IDs   []json.RawMessage `json:"ids,omitzero"`
	Error *refusal          `json:"error,omitempty"`
}

// refusal is why a vector has no answer; At is the byte of the expression at fault.
type refusal struct {
	Message string `json:"message"`
	At      int    `json:"at"`
}

// answerAll answers the vectors and prints a line for each.
func (t *table) answerAll(lists []vectorList, now time.Time, out io.Writer) error {
	if t.id < 0 {
		return errors.New("the schema has no field id, which is what -vectors prints")
	}
	ids := make([]json.RawMessage, len(t.rows))
	for i, r := range t.rows {
		ids[i] = idText(r.values[t.id])
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, list := range lists {
		for i, raw := range list.entries {
			line := outcome{List: list.name, I: i}
			q, err := readVector(raw)
			var selected []int
			if err == nil {
				selected, err = t.answer(q, now)
			}
			if err != nil {
				line.Error = refuse(err)
			} else {
				line.IDs = make([]json.RawMessage, 0, len(selected))
				for _, at := range selected {
					line.IDs = append(line.IDs, ids[at])
				}
			}
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// idText writes an id as JSON: a number without quotes even if the file has them,
// so that ids of one table look alike.
func idText(v filter.Value) json.RawMessage {
	switch v.Type() {
	case filter.TypeNull:
		return json.RawMessage("null")
	case filter.TypeDecimal, filter.TypeBool:
		return json.RawMessage(v.String())
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v.String()) != nil {
		return json.RawMessage("null") // strings always encode
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

// refuse turns a fault into its place and the rest of its message.
func refuse(err error) *refusal {
	r := &refusal{Message: err.Error()}
	var fault *filter.Error
	if errors.As(err, &fault) {
		r.At = fault.Span.From
		r.Message = strings.TrimPrefix(fault.Error(), fmt.Sprintf("filter: at byte %d: ", r.At))
		var order *orderError
		if errors.As(err, &order) {
			r.Message = "orderby: " + r.Message
		}
		var at *rowError
		if errors.As(err, &at) {
			r.Message += fmt.Sprintf(" (in rows[%d])", at.index)
		}
	}
	return r
}
