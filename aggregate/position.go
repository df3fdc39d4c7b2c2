package aggregate

import "strings"

// A Position is where a record stands in event time. It decides what is first
// and last, and every tie, so that the order of arrival decides nothing.
type Position struct {
	Start              int64 // event time, Unix microseconds
	Source, ID, Tenant string
}

// Compare returns -1, 0 or 1 by Start, then Source, ID and Tenant, strings by
// their bytes.
func (p Position) Compare(o Position) int {
	if c := cmpInt(p.Start, o.Start); c != 0 {
		return c
	}
	if c := strings.Compare(p.Source, o.Source); c != 0 {
		return c
	}
	if c := strings.Compare(p.ID, o.ID); c != 0 {
		return c
	}
	return strings.Compare(p.Tenant, o.Tenant)
}

// First keeps the number with the least [Position]. The zero value has seen
// nothing. Of two numbers at one position the smaller counts, so that the
// result never depends on order. A First may be copied by value; it is not
// safe for concurrent use.
type First struct {
	position Position
	number   Number
	seen     bool
}

// Add takes in the number n at p.
func (f *First) Add(p Position, n Number) {
	if f.seen {
		if c := p.Compare(f.position); c > 0 || c == 0 && n.Cmp(f.number) >= 0 {
			return
		}
	}
	f.position, f.number, f.seen = p, n, true
}

// Merge takes in what o has seen. o is unchanged; nil has seen nothing.
func (f *First) Merge(o *First) {
	if o != nil && o.seen {
		f.Add(o.position, o.number)
	}
}

// Get returns the number and where it stood, and false if nothing was seen.
func (f *First) Get() (Position, Number, bool) { return f.position, f.number, f.seen }

// Last keeps the number with the greatest [Position]. The zero value has seen
// nothing. Of two numbers at one position the greater counts, so that the
// result never depends on order. A Last may be copied by value; it is not safe
// for concurrent use.
type Last struct {
	position Position
	number   Number
	seen     bool
}

// Add takes in the number n at p.
func (l *Last) Add(p Position, n Number) {
	if l.seen {
		if c := p.Compare(l.position); c < 0 || c == 0 && n.Cmp(l.number) <= 0 {
			return
		}
	}
	l.position, l.number, l.seen = p, n, true
}

// Merge takes in what o has seen. o is unchanged; nil has seen nothing.
func (l *Last) Merge(o *Last) {
	if o != nil && o.seen {
		l.Add(o.position, o.number)
	}
}

// Get returns the number and where it stood, and false if nothing was seen.
func (l *Last) Get() (Position, Number, bool) { return l.position, l.number, l.seen }
