package postgresstore

import (
	"math"
	"strconv"
	"time"

	"github.com/usagebook/usagebook/aggregate"
)

// windows cut time in the database: hours, days and weeks of UTC by arithmetic,
// others by a list of their beginnings.
type windows struct {
	window aggregate.Window
	size   int64   // of windows that are cut by arithmetic
	opens  []int64 // of windows that are cut by a list
	whole  bool    // there is one window
	exact  aggregate.Locator
}

// mostWindows is how many windows go to the database as a list. Where there are
// more, instants come back and are cut here.
const mostWindows = 20_000

// newWindows makes the windows of starts in [from, to).
func newWindows(w aggregate.Window, from, to int64) windows {
	out := windows{window: w, exact: w.Locator()}
	utc := w.Location == nil || w.Location == time.UTC
	switch {
	case w.Unit == aggregate.None:
		out.whole = true
		return out
	case utc && w.Unit == aggregate.Hour:
		out.size = 3600 * 1_000_000
	case utc && w.Unit == aggregate.Day:
		out.size = 24 * 3600 * 1_000_000
	case utc && w.Unit == aggregate.Week:
		out.size = 7 * 24 * 3600 * 1_000_000
	default:
		locator := w.Locator()
		for at := from; at < to; {
			open, shut := locator.Locate(at)
			out.opens = append(out.opens, open)
			if len(out.opens) > mostWindows || shut <= at || shut == math.MaxInt64 {
				out.opens = nil
				break
			}
			at = shut
		}
	}
	return out
}

// column writes what start decodes.
func (w *windows) column(b *builder) string {
	switch {
	case w.whole:
		return ""
	case w.size != 0:
		// From the year 1 on, which began on a Monday, so that nothing is negative.
		size, zero := strconv.FormatInt(w.size, 10), "62135596800000000"
		return "(r.start + " + zero + ") / " + size + " * " + size + " - " + zero
	case w.opens != nil:
		return "width_bucket(r.start, " + b.arg(ints(w.opens)) + "::bigint[])::bigint"
	}
	return "r.start"
}

// start returns the start of the window that a cell of the column names.
func (w *windows) start(cell int64) (int64, error) {
	switch {
	case w.size != 0:
		return cell, nil
	case w.opens != nil:
		if cell < 1 || cell > int64(len(w.opens)) {
			return 0, damaged("window %d of %d", cell, len(w.opens))
		}
		return w.opens[cell-1], nil
	}
	open, _ := w.exact.Locate(cell)
	return open, nil
}
