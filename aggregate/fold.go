package aggregate

import (
	"iter"
	"maps"
	"slices"
)

// A Bucket is a group within a window.
type Bucket[K comparable] struct {
	Group    K
	From, To int64 // the window, half-open, Unix microseconds
}

// A Folder adds values up by group and window. Records, rollup rows and the
// buckets of another Folder may be added in any order and any division: the
// result is the same.
//
// Groups are comparable values, such as dictionary codes or structs; never
// join several names into one string with a separator. A Folder is not safe
// for concurrent use: take one per goroutine and [Folder.Merge] them.
type Folder[K comparable] struct {
	locator Locator
	windows map[int64]*windowGroups[K] // by the start of the window
	current *windowGroups[K]           // of the previous call: scans come in runs; nil before the first
	spare   []Summary                  // made in advance, a block at a time
	buckets int
}

// windowGroups are the buckets of one window.
type windowGroups[K comparable] struct {
	from, to int64
	groups   map[K]*Summary
}

// NewFolder returns an empty Folder by the windows of w.
func NewFolder[K comparable](w Window) *Folder[K] {
	return &Folder[K]{locator: w.Locator(), windows: make(map[int64]*windowGroups[K])}
}

// At returns the summary of a group in the window that contains the instant
// us, in Unix microseconds; it is made if there is none. The pointer stays
// valid, and what is added through it counts.
func (f *Folder[K]) At(group K, us int64) *Summary {
	w := f.current
	if w == nil || us < w.from || us >= w.to {
		w = f.window(us)
	}
	s := w.groups[group]
	if s == nil {
		s = f.newSummary()
		w.groups[group] = s
	}
	return s
}

// window makes the window that contains us the current one.
func (f *Folder[K]) window(us int64) *windowGroups[K] {
	from, to := f.locator.Locate(us)
	w := f.windows[from]
	if w == nil {
		w = &windowGroups[K]{from: from, to: to, groups: make(map[K]*Summary)}
		f.windows[from] = w
	}
	f.current = w
	return w
}

func (f *Folder[K]) newSummary() *Summary {
	if len(f.spare) == 0 {
		// As many again as there are, so that few buckets stay small.
		f.spare = make([]Summary, min(max(f.buckets, 1), 256))
	}
	s := &f.spare[0]
	f.spare = f.spare[1:]
	f.buckets++
	return s
}

// Add takes in the number n of a group at an instant.
func (f *Folder[K]) Add(group K, us int64, n Number) { f.At(group, us).Add(n) }

// AddFixed takes in coef × 10^-scale of a group at an instant.
func (f *Folder[K]) AddFixed(group K, us int64, coef int64, scale uint8) {
	f.At(group, us).AddFixed(coef, scale)
}

// AddSummary takes in a rollup row of a group that starts at us. The row must
// lie within one window, which [Window.Aligned] tells of a range.
func (f *Folder[K]) AddSummary(group K, us int64, s *Summary) { f.At(group, us).Merge(s) }

// Merge takes in every bucket of o, which must have the same windows. o is
// unchanged; nil is empty.
func (f *Folder[K]) Merge(o *Folder[K]) {
	if o == nil {
		return
	}
	for _, w := range o.windows {
		for group, s := range w.groups {
			f.At(group, w.from).Merge(s)
		}
	}
}

// Len returns the number of buckets.
func (f *Folder[K]) Len() int { return f.buckets }

// All yields every bucket once, by window and then by group as compare orders
// them. The summaries are those of the Folder and must not be changed.
func (f *Folder[K]) All(compare func(a, b K) int) iter.Seq2[Bucket[K], *Summary] {
	return func(yield func(Bucket[K], *Summary) bool) {
		for _, from := range slices.Sorted(maps.Keys(f.windows)) {
			w := f.windows[from]
			for _, group := range slices.SortedFunc(maps.Keys(w.groups), compare) {
				if !yield(Bucket[K]{Group: group, From: w.from, To: w.to}, w.groups[group]) {
					return
				}
			}
		}
	}
}
