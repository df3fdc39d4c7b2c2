package aggregate

// A Locator finds windows like [Window.Locate] and remembers the last one and
// what it learned about the zone, so that a scan in event time pays for a zone
// only where windows and offsets change. It is not safe for concurrent use:
// take one per goroutine. The zero value is that of the zero Window.
type Locator struct {
	window   Window
	from, to int64 // the last window, in microseconds; empty at first
	near     span  // around the last window
}

// Locator returns a new Locator of w.
func (w Window) Locator() Locator { return Locator{window: w} }

// Window returns what the Locator was made from.
func (l *Locator) Window() Window { return l.window }

// Locate returns the bounds of the window that contains the instant us. All
// three are Unix microseconds.
func (l *Locator) Locate(us int64) (from, to int64) {
	// Both differences wrap alike, so one comparison decides both bounds.
	if uint64(us-l.from) >= uint64(l.to-l.from) {
		l.move(us)
	}
	return l.from, l.to
}

// move makes the window that contains us the last one.
func (l *Locator) move(us int64) {
	w := &l.window
	if w.single() || w.utc() {
		l.from, l.to = w.Locate(us)
		return
	}
	sec := floorDiv(us, microsPerSecond)
	if l.near.from <= sec && sec < l.near.to {
		open, shut := w.period(sec + l.near.offset)
		open, shut = open-l.near.offset, shut-l.near.offset
		if open-settled >= l.near.from && shut < l.near.to {
			l.from, l.to = micros(open), micros(shut)
			return
		}
	}
	open, shut, near := w.locate(sec)
	if near.to > near.from {
		l.near = near
	}
	l.from, l.to = micros(open), micros(shut)
}
