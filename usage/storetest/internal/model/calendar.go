package model

import (
	"sync"
	"time"
)

// Unit is the length of a window.
type Unit uint8

// The units. Cycle is a billing month that begins on an anchor day at an anchor
// hour.
const (
	None Unit = iota
	Hour
	Day
	Week
	Month
	Quarter
	Year
	Cycle
)

// Window cuts time by the wall clock of a zone.
type Window struct {
	Unit     Unit
	Location *time.Location // nil is UTC
	Day      int            // of a Cycle, 1 to 31
	Hour     int            // of a Cycle, 0 to 23
}

func (w Window) location() *time.Location {
	if w.Location == nil {
		return time.UTC
	}
	return w.Location
}

// Bounds returns the window that holds an instant: the last beginning at or
// before it and the first one after it.
func (w Window) Bounds(t time.Time) (start, end time.Time) {
	if w.Unit == Hour {
		return w.hour(t)
	}
	y, m, d := t.In(w.location()).Date()
	at := date{y, int(m), d}
	switch w.Unit {
	case Week:
		// Monday is the first day of the ISO week.
		for at.weekday() != time.Monday {
			at = at.add(-1)
		}
	case Month, Cycle:
		at.day = 1
	case Quarter:
		at.month, at.day = at.month-(at.month-1)%3, 1
	case Year:
		at.month, at.day = 1, 1
	}
	if w.Unit == Cycle {
		at = at.addMonths(-2)
	}
	for {
		next := w.next(at)
		if end = w.begin(next); end.After(t) {
			return w.begin(at), end
		}
		at = next
	}
}

func (w Window) next(at date) date {
	switch w.Unit {
	case Day:
		return at.add(1)
	case Week:
		return at.add(7)
	case Quarter:
		return at.addMonths(3)
	case Year:
		return at.addMonths(12)
	}
	return at.addMonths(1)
}

// begin returns the first instant of the window that is named by a date.
func (w Window) begin(at date) time.Time {
	if w.Unit == Cycle {
		at.day = min(w.Day, at.days())
		return firstInstant(w.location(), at, w.Hour)
	}
	return firstInstant(w.location(), at, 0)
}

// hour walks minute by minute to where the clock shows minute 00. Offsets of
// the zones that are tested are whole minutes.
func (w Window) hour(t time.Time) (start, end time.Time) {
	sharp := func(t time.Time) bool { return t.In(w.location()).Minute() == 0 }
	start = t.Truncate(time.Minute)
	for !sharp(start) {
		start = start.Add(-time.Minute)
	}
	end = t.Truncate(time.Minute).Add(time.Minute)
	for !sharp(end) {
		end = end.Add(time.Minute)
	}
	return start.UTC(), end.UTC()
}

// date is a day of the calendar, without zone.
type date struct{ year, month, day int }

func (d date) weekday() time.Weekday {
	return time.Date(d.year, time.Month(d.month), d.day, 12, 0, 0, 0, time.UTC).Weekday()
}

func (d date) days() int {
	n := 28
	for time.Date(d.year, time.Month(d.month), n+1, 12, 0, 0, 0, time.UTC).Month() == time.Month(d.month) {
		n++
	}
	return n
}

func (d date) add(days int) date {
	for ; days > 0; days-- {
		if d.day++; d.day > d.days() {
			d = date{d.year, d.month, 1}.addMonths(1)
		}
	}
	for ; days < 0; days++ {
		if d.day--; d.day < 1 {
			d = date{d.year, d.month, 1}.addMonths(-1)
			d.day = d.days()
		}
	}
	return d
}

func (d date) addMonths(n int) date {
	for ; n > 0; n-- {
		if d.month++; d.month > 12 {
			d.year, d.month = d.year+1, 1
		}
	}
	for ; n < 0; n++ {
		if d.month--; d.month < 1 {
			d.year, d.month = d.year-1, 12
		}
	}
	return d
}

type instantKey struct {
	zone string
	date date
	hour int
}

var instants sync.Map // instantKey -> time.Time; the walk below is slow

// firstInstant walks in steps of 15 minutes, of which every offset in use today
// is a multiple, to the first instant at which the clock of the zone shows the
// date and hour, or has passed them.
func firstInstant(zone *time.Location, at date, hour int) time.Time {
	key := instantKey{zone.String(), at, hour}
	if t, ok := instants.Load(key); ok {
		return t.(time.Time)
	}
	t := time.Date(at.year, time.Month(at.month), at.day, hour, 0, 0, 0, time.UTC).Add(-15 * time.Hour)
	for {
		y, m, d := t.In(zone).Date()
		now := date{y, int(m), d}
		if now == at && t.In(zone).Hour() >= hour || after(now, at) {
			break
		}
		t = t.Add(15 * time.Minute)
	}
	instants.Store(key, t)
	return t
}

func after(a, b date) bool {
	if a.year != b.year {
		return a.year > b.year
	}
	if a.month != b.month {
		return a.month > b.month
	}
	return a.day > b.day
}
