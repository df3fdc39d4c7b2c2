package memstore

import (
	"slices"

	"github.com/usagebook/usagebook/aggregate"
)

// windows numbers the windows that a scan comes across. Rows come in runs that
// ascend in time, and run after run passes the same windows, so the next one is
// nearly always the one beside the last.
type windows struct {
	single  bool
	locator aggregate.Locator
	from    []int64 // ascending
	to      []int64
	number  []int32 // of the windows, in the order of their discovery
	starts  []int64 // by number
	last    int     // the place of the last one found
}

func newWindows(w aggregate.Window) windows {
	return windows{single: w.Unit == aggregate.None, locator: w.Locator()}
}

// find returns the number and the end of the window that an instant is in.
func (w *windows) find(us int64) (number int32, end int64) {
	if i := w.last; i < len(w.from) {
		if w.from[i] <= us && us < w.to[i] {
			return w.number[i], w.to[i]
		}
		if i++; i < len(w.from) && w.from[i] <= us && us < w.to[i] {
			w.last = i
			return w.number[i], w.to[i]
		}
	}
	i, found := slices.BinarySearch(w.from, us)
	if !found {
		i--
	}
	if i < 0 || us >= w.to[i] {
		i++
		from, to := w.locator.Locate(us)
		w.from, w.to = slices.Insert(w.from, i, from), slices.Insert(w.to, i, to)
		w.number = slices.Insert(w.number, i, int32(len(w.starts)))
		w.starts = append(w.starts, from)
	}
	w.last = i
	return w.number[i], w.to[i]
}
