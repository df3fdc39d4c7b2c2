package native

import (
	"fmt"
	"io"
	"slices"

	"github.com/usagebook/usagebook/usage"
)

// WriteApplied writes a page of what a pipeline makes, in the form of
// [WriteRows]. Rows of a grouping have the columns of the pipeline and nothing
// else; rows that are still records are written as records, and behind them what
// compute added.
func WriteApplied(w io.Writer, page *usage.ApplyPage, o *RowsOptions) error {
	if o == nil {
		o = &RowsOptions{}
	}
	out := rowWriter{w: w, buf: make([]byte, 0, 4<<10)}
	records := slices.ContainsFunc(page.Rows, func(r usage.ApplyRow) bool { return r.Record != nil })
	var keys []string
	from := 0 // the first column that is written by its cell
	if records {
		keys = slices.Clone(recordColumns)
		for from < len(page.Columns) && page.Columns[from].Record {
			from++
		}
	}
	for _, c := range page.Columns[from:] {
		keys = append(keys, valid(c.Name))
	}
	out.head(keys)
	for i := range page.Rows {
		r := &page.Rows[i]
		if i > 0 {
			out.buf = append(out.buf, ',')
		}
		open := len(out.buf)
		if r.Record == nil {
			out.buf = append(out.buf, '{')
		} else {
			if err := out.record(r.Record); err != nil {
				return fmt.Errorf("native: rows: %w", err)
			}
			out.buf = out.buf[:len(out.buf)-1]
		}
		for k, c := range page.Columns[from:] {
			if len(out.buf) > open+1 {
				out.buf = append(out.buf, ',')
			}
			out.buf = append(appendText(out.buf, valid(c.Name)), ':')
			out.buf = appendCell(out.buf, r.Cells[from+k], c.Name == "sequence")
		}
		out.buf = append(out.buf, '}')
		if len(out.buf) >= rowChunk {
			if err := out.flush(); err != nil {
				return fmt.Errorf("native: rows: %w", err)
			}
		}
	}
	return out.tail(page.AsOf, page.Count, o)
}
