package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// maxRowText bounds the parameter row.
const maxRowText = 16 << 10

func explain(c *httpadapter.Call) error {
	q, err := readQuestion(c)
	if err != nil {
		return err
	}
	if q.apply != "" {
		return httpadapter.Bad("$apply", "'$apply' cannot be explained; ask with 'measures' and '$groupby'")
	}
	source, id, row := c.Param("source"), c.Param("id"), c.Param("row")
	e := usage.Explain{Query: q.query, PageSize: q.query.PageSize, Token: q.query.Token}
	e.Query.PageSize, e.Query.Token, e.Query.Limit, e.Query.Count = 0, "", 0, false
	switch {
	case row != "" && (source != "" || id != ""):
		return httpadapter.Bad("row", "'row' is given with 'source' or 'id'; give one of the two")
	case row != "":
		if e.Row, err = findRow(c, q.scope, e.Query, row); err != nil {
			return err
		}
	case source == "" || id == "":
		return httpadapter.Bad("source", "give 'source' and 'id' of a record, or 'row'")
	default:
		tenant := c.Param("tenant")
		if tenant == httpadapter.Everything {
			return httpadapter.Bad("tenant", "a record is of one tenant; name it")
		}
		e.Identity = &usage.Identity{Tenant: tenant, Source: source, ID: id}
	}
	x, err := c.Book.Explain(c.Context(), q.scope, e)
	if err != nil {
		return where(c, err)
	}
	next := ""
	if x.Next != "" {
		next = c.Link(httpadapter.Figure{Name: "$skiptoken", Value: x.Next})
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error { return writeExplanation(out, x, e.Identity != nil, next) })
}

// findRow returns the one row of the answer that has the columns of a JSON
// object: its start, and groups.
func findRow(c *httpadapter.Call, scope usage.Scope, query usage.Query, text string) (*usage.Row, error) {
	if len(text) > maxRowText {
		return nil, httpadapter.Bad("row", "'row' is longer than %d bytes", maxRowText)
	}
	var want map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&want); err != nil || want == nil {
		return nil, httpadapter.Bad("row", `'row' is no JSON object such as {"region":"eu"}`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, httpadapter.Bad("row", "there is more behind the object of 'row'")
	}
	var found *usage.Row
	for row, err := range c.Book.Rows(c.Context(), scope, query) {
		if err != nil {
			return nil, where(c, err)
		}
		if row.Record != nil {
			return nil, httpadapter.Bad("row", "the query answers records and has no rows to explain; name a record by 'source' and 'id'")
		}
		ok, err := isRow(&row, want)
		if err != nil {
			return nil, err
		}
		if ok && found != nil {
			return nil, httpadapter.Bad("row", "'row' names more than one row; give all of its groups and, with a window, its start")
		}
		if ok {
			found = &row
		}
	}
	if found == nil {
		return nil, httpadapter.Missing("The answer has no such row.")
	}
	return found, nil
}

// isRow compares a row with the columns that are wanted.
func isRow(row *usage.Row, want map[string]any) (bool, error) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		v := want[name]
		var cell filter.Value
		switch name {
		case "start":
			cell = bound(row.Start)
		case "end":
			cell = bound(row.End)
		default:
			if !slices.ContainsFunc(row.Columns(), func(col usage.Column) bool { return col.Name == name && col.Measure == nil }) {
				return false, httpadapter.Bad("row", "'row' has %q, which is no group of the query", clip(name))
			}
			cell = row.Get(name)
		}
		var text []byte
		switch v := v.(type) {
		case nil:
			if !cell.IsNull() {
				return false, nil
			}
			continue
		case string:
			text = httpadapter.AppendString(nil, v)
		case json.Number:
			text = httpadapter.AppendString(nil, v.String())
		case bool:
			text = strconv.AppendBool(nil, v)
		default:
			return false, httpadapter.Bad("row", "%q of 'row' is no text, number, boolean or null", clip(name))
		}
		if !bytes.Equal(text, appendCell(nil, cell, false)) {
			return false, nil
		}
	}
	return true, nil
}

func bound(t time.Time) filter.Value {
	if t.IsZero() {
		return filter.Null()
	}
	return filter.Time(t)
}

func writeExplanation(w io.Writer, x *usage.Explanation, identity bool, next string) error {
	out := rowWriter{w: w}
	out.buf = strconv.AppendUint(append(out.buf, `{"asOf":`...), x.AsOf.Sequence, 10)
	if identity {
		out.buf = strconv.AppendBool(append(out.buf, `,"booked":`...), x.Booked)
	}
	out.buf = append(out.buf, `,"records":[`...)
	for i := range x.Records {
		r := &x.Records[i]
		if i > 0 {
			out.buf = append(out.buf, ',')
		}
		if err := out.record(&r.Stored); err != nil {
			return fmt.Errorf("native: explain: %w", err)
		}
		b := strconv.AppendBool(append(out.buf[:len(out.buf)-1], `,"counted":`...), r.Counted)
		if !r.Counted {
			b = appendText(append(b, `,"why":`...), r.Why)
			b = appendText(append(b, `,"detail":`...), r.Detail)
		}
		b = strconv.AppendBool(append(b, `,"late":`...), r.Late)
		b = append(b, `,"chain":[`...)
		for k, l := range r.Chain {
			if k > 0 {
				b = append(b, ',')
			}
			b = appendText(append(b, `{"kind":`...), l.Kind.String())
			b = appendText(append(b, `,"source":`...), l.Source)
			b = appendText(append(b, `,"id":`...), l.ID)
			b = append(strconv.AppendUint(append(b, `,"sequence":`...), l.Sequence, 10), '}')
		}
		out.buf = append(b, ']', '}')
		if len(out.buf) >= rowChunk {
			if err := out.flush(); err != nil {
				return fmt.Errorf("native: explain: %w", err)
			}
		}
	}
	out.buf = append(out.buf, ']')
	if next != "" {
		out.buf = appendText(append(out.buf, `,"nextLink":`...), valid(next))
	}
	out.buf = append(out.buf, '}')
	if err := out.flush(); err != nil {
		return fmt.Errorf("native: explain: %w", err)
	}
	return nil
}
