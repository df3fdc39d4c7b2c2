package aggregate

import (
	"iter"
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
	buckets map[Bucket[K]]*Summary
	last    Bucket[K] // the bucket of the previous call: scans come in runs
	summary *Summary  // its summary; nil before the first call
}

// NewFolder returns an empty Folder by the windows of w.
func NewFolder[K comparable](w Window) *Folder[K] {
	return &Folder[K]{locator: w.Locator(), buckets: make(map[Bucket[K]]*Summary)}
}

// At returns the summary of a group in the window that contains the instant
// us, in Unix microseconds; it is made if there is none. The pointer stays
// valid, and what is added through it counts.
func (f *Folder[K]) At(group K, us int64) *Summary {
	if f.summary != nil && f.last.Group == group && f.last.From <= us && us < f.last.To {
		return f.summary
	}
	b := Bucket[K]{Group: group}
	b.From, b.To = f.locator.Locate(us)
	s := f.buckets[b]
	if s == nil {
		s = new(Summary)
		f.buckets[b] = s
	}
	f.last, f.summary = b, s
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
	for b, s := range o.buckets {
		f.At(b.Group, b.From).Merge(s)
	}
}

// Len returns the number of buckets.
func (f *Folder[K]) Len() int { return len(f.buckets) }

// All yields every bucket once, by window and then by group as compare orders
// them. The summaries are those of the Folder and must not be changed.
func (f *Folder[K]) All(compare func(a, b K) int) iter.Seq2[Bucket[K], *Summary] {
	return func(yield func(Bucket[K], *Summary) bool) {
		keys := make([]Bucket[K], 0, len(f.buckets))
		for b := range f.buckets {
			keys = append(keys, b)
		}
		slices.SortFunc(keys, func(a, b Bucket[K]) int {
			if c := cmpInt(a.From, b.From); c != 0 {
				return c
			}
			return compare(a.Group, b.Group)
		})
		for _, b := range keys {
			if !yield(b, f.buckets[b]) {
				return
			}
		}
	}
}
