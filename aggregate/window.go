package aggregate

import (
	"fmt"
	"iter"
	"math"
	"time"
)

// A Window says how time is cut into buckets. The windows of one Window are
// half-open, follow each other without gap or overlap, and cover all time.
//
// Periods are those of the clock in Location. A period opens at the first
// instant at which that clock shows its first reading or a later one: a
// midnight that is skipped opens at the change of the clock, one that is shown
// twice opens at the first, and a date that never was has no window. An hour
// window opens whenever the clock comes to show minute 00, so around a change
// of the clock one may last 30 or 90 minutes.
//
// The zero value is a single window over all time. Windows are values: they
// are compared with ==, never changed by their methods and safe for
// concurrent use. Windows are exact for instants of the years 1 to 9999.
type Window struct {
	Unit Unit
	// Location is the zone of the calendar; nil means UTC. The location inside
	// a time.Time given to a method never counts.
	Location *time.Location
	// AnchorDay is the day of the month, 1 to 31, on which a BillingCycle
	// opens; 0 means 1. Where a month is shorter, its last day is used; the
	// next month has the anchor day again. Other units must leave it 0.
	AnchorDay int
	// AnchorHour is the hour of the anchor day, 0 to 23, at which a
	// BillingCycle opens. Other units must leave it 0.
	AnchorHour int
}

// The time that the window of unit None covers: the years 1 to 9999.
const (
	minMicros = -62135596800 * microsPerSecond
	maxMicros = 253402300800 * microsPerSecond
)

// Validate returns a [*WindowError] for an unknown unit, an anchor out of
// range, or an anchor on a unit that has none. The methods of a window that
// does not validate take the nearest allowed value.
func (w Window) Validate() error {
	switch {
	case w.Unit > BillingCycle:
		return &WindowError{Field: "Unit", Reason: fmt.Sprintf("%d is none of the units", w.Unit), Err: ErrUnit}
	case w.AnchorDay < 0 || w.AnchorDay > 31:
		return &WindowError{Field: "AnchorDay", Reason: fmt.Sprintf("%d is not from 1 to 31, or 0 for the first", w.AnchorDay), Err: ErrWindow}
	case w.AnchorHour < 0 || w.AnchorHour > 23:
		return &WindowError{Field: "AnchorHour", Reason: fmt.Sprintf("%d is not from 0 to 23", w.AnchorHour), Err: ErrWindow}
	case w.Unit != BillingCycle && w.AnchorDay != 0:
		return &WindowError{Field: "AnchorDay", Reason: fmt.Sprintf("a window by %s has no anchor", w.Unit), Err: ErrWindow}
	case w.Unit != BillingCycle && w.AnchorHour != 0:
		return &WindowError{Field: "AnchorHour", Reason: fmt.Sprintf("a window by %s has no anchor", w.Unit), Err: ErrWindow}
	}
	return nil
}

// single reports whether there is one window only.
func (w Window) single() bool { return w.Unit == None || w.Unit > BillingCycle }

// utc reports whether the calendar is that of UTC.
func (w Window) utc() bool { return w.Location == nil || w.Location == time.UTC }

// Bounds returns the window that contains t, half-open, in UTC.
func (w Window) Bounds(t time.Time) (from, to time.Time) {
	f, u := w.Locate(t.UnixMicro())
	return time.UnixMicro(f).UTC(), time.UnixMicro(u).UTC()
}

// Locate returns the bounds of the window that contains the instant us. All
// three are Unix microseconds.
//
// In UTC it is plain arithmetic. In other zones each call looks the zone up;
// a scan should use a [Locator], which remembers.
func (w Window) Locate(us int64) (from, to int64) {
	if w.single() {
		return minMicros, maxMicros
	}
	sec := floorDiv(us, microsPerSecond)
	if w.utc() {
		from, to = w.period(sec)
	} else {
		from, to, _ = w.locate(sec)
	}
	return micros(from), micros(to)
}

// locate finds the window of an instant in a zone with changes. The span
// returned contains the window and what decided it, if its offset is one;
// otherwise it is empty.
func (w Window) locate(sec int64) (from, to int64, near span) {
	t := time.Unix(sec, 0).In(w.Location)
	_, o := t.Zone()
	offset := int64(o)
	open, shut := w.period(sec + offset)
	from, to = open-offset, shut-offset
	// If the offset was the same from well before the opening to the end, no
	// change of the clock can have anything to do with this window.
	if near = spanAt(w.Location, from-settled); near.offset == offset && to < near.to {
		return from, to, near
	}
	if w.Unit == Hour {
		// Hours are opened by what the clock shows alone, whatever it showed before.
		if s := spanAt(w.Location, from-1); s.offset == offset && to < s.to {
			return from, to, span{}
		}
		from, to = w.locateHour(sec)
		return from, to, span{}
	}
	from, to = firstShown(w.Location, open, offset), firstShown(w.Location, shut, offset)
	for to <= sec {
		// The clock has been turned back: sec shows a reading of a period that
		// is already over.
		_, shut = w.period(shut)
		from, to = to, firstShown(w.Location, shut, offset)
	}
	return from, to, span{}
}

// locateHour walks through the changes of the clock around sec.
func (w Window) locateHour(sec int64) (from, to int64) {
	// One change can make a window at most an hour longer.
	for back := int64(4 * secondsPerHour); ; back *= 8 {
		if from, to, ok := w.hoursFrom(sec-back, sec); ok {
			return from, to
		}
	}
}

// hoursFrom looks for the openings of hours around sec, the earliest after start.
func (w Window) hoursFrom(start, sec int64) (from, to int64, ok bool) {
	s := spanAt(w.Location, start)
	for {
		// The next whole hours of this span.
		wall := s.from + s.offset
		open := wall - floorMod(wall, secondsPerHour) + secondsPerHour - s.offset
		if open < s.to {
			if open > sec {
				return from, open, ok
			}
			last := min(sec, s.to-1)
			from, ok = last-floorMod(last-open, secondsPerHour), true
			if next := from + secondsPerHour; next < s.to && next > sec {
				return from, next, true
			}
		}
		// A change opens an hour if the clock shows minute 00 after it and
		// showed another minute before.
		next := spanAt(w.Location, s.to)
		wall = next.from + next.offset
		if floorMod(wall, secondsPerHour) < secondsPerMinute &&
			floorDiv(wall, secondsPerMinute) != floorDiv(s.to-1+s.offset, secondsPerMinute) {
			if next.from > sec {
				return from, next.from, ok
			}
			from, ok = next.from, true
		}
		s = next
	}
}

// micros converts seconds, stopping at the ends of int64.
func micros(sec int64) int64 {
	const limit = math.MaxInt64 / microsPerSecond
	switch {
	case sec > limit:
		return math.MaxInt64
	case sec < -limit:
		return math.MinInt64
	}
	return sec * microsPerSecond
}

// All yields every window that intersects [from, to), whole, ascending and
// contiguous, in UTC. It yields nothing if to is not after from.
func (w Window) All(from, to time.Time) iter.Seq2[time.Time, time.Time] {
	return func(yield func(time.Time, time.Time) bool) {
		if !from.Before(to) {
			return
		}
		end := ceilMicro(to)
		l := w.Locator()
		for us := from.UnixMicro(); us < end; {
			f, t := l.Locate(us)
			if !yield(time.UnixMicro(f).UTC(), time.UnixMicro(t).UTC()) || t <= us {
				return
			}
			us = t
		}
	}
}

// Count returns the number of windows that intersect [from, to). It stops
// counting at max+1, so that a caller can refuse a range with more than max
// windows without walking through all of them.
func (w Window) Count(from, to time.Time, max int) int {
	if !from.Before(to) {
		return 0
	}
	end := ceilMicro(to)
	l := w.Locator()
	n := 0
	for us := from.UnixMicro(); us < end && n <= max; n++ {
		_, t := l.Locate(us)
		if t <= us {
			return n + 1
		}
		us = t
	}
	return n
}

func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}

// Aligned reports whether every bound of a window within [from, to], both
// ends included, is also a bound of the unit in UTC. from and to are Unix
// microseconds. If so, UTC rollups by that unit tile the windows of the range;
// if not (days in Asia/Kolkata begin at 18:30 UTC), finer ones or raw records
// are needed around the bounds. Nothing is aligned to None.
func (w Window) Aligned(unit Unit, from, to int64) bool {
	if unit == None || unit > BillingCycle {
		return false
	}
	if w.single() {
		return true
	}
	from, to = max(from, minMicros), min(to, maxMicros)
	level := Window{Unit: unit}
	if w.utc() && (unit == Hour || w.Unit == unit || unit == Day && w.Unit != Hour) && w.Unit != BillingCycle {
		return true
	}
	if (unit == Hour || unit == Day && w.Unit != Hour) && !w.utc() {
		return w.alignedSpans(level, from, to)
	}
	l := w.Locator()
	for us := from; us <= to; {
		f, t := l.Locate(us)
		if f == us {
			if g, _ := level.Locate(us); g != us {
				return false
			}
		}
		if t <= us {
			break
		}
		us = t
	}
	return true
}

// alignedSpans decides offset by offset instead of window by window. While the
// offset stays, all bounds leave the same remainder by hour, and by day too
// unless they are hours.
func (w Window) alignedSpans(level Window, from, to int64) bool {
	l := w.Locator()
	for us := from; us <= to; {
		s := spanAt(w.Location, floorDiv(us, microsPerSecond))
		end := min(micros(s.to), to)
		// The first bound in the span, that at its first instant apart, and
		// the one at its end: either may be where the clock changed.
		first, next := l.Locate(us)
		if first == us && !level.opens(first) {
			return false
		}
		if next <= end && !level.opens(next) {
			return false
		}
		if f, _ := l.Locate(end); f == end && !level.opens(end) {
			return false
		}
		if end == to {
			break
		}
		us = end
	}
	return true
}

// opens reports whether a window opens at us.
func (w Window) opens(us int64) bool {
	from, _ := w.Locate(us)
	return from == us
}
