package aggregate

import "time"

// widestOffset is more than any zone's clock is ahead of or behind UTC (the
// tz database has less than 16 hours; its file format allows 26).
const widestOffset = 26 * secondsPerHour

// settled is how long after a change of a zone's clock no wall clock reading
// can have been shown before: the change itself is at most 2 × widestOffset.
const settled = 2 * widestOffset

// forever stands for the end of a zone's last offset.
const forever = int64(1) << 60

// A span is a time, in Unix seconds, in which a zone's offset does not change.
type span struct {
	from, to int64
	offset   int64 // seconds east of UTC
}

// spanAt returns the offset of loc at sec and a time up to which it stays; the
// span begins at sec, whatever was before.
//
// Only the end that package time reports is used. Its start is not reliable
// beyond the last listed change of a zone: there it is the previous change that
// the zone's rule would have made, even where the rule was not yet in force.
func spanAt(loc *time.Location, sec int64) span {
	t := time.Unix(sec, 0).In(loc)
	_, offset := t.Zone()
	s := span{from: sec, to: forever, offset: int64(offset)}
	if _, end := t.ZoneBounds(); !end.IsZero() {
		s.to = end.Unix()
		if s.to <= sec {
			// Package time ends every year of a rule after 365 days. On the
			// 366th the offset stays until the year is really over.
			s.to = sec - floorMod(sec, secondsPerDay) + secondsPerDay
		}
	}
	return s
}

// firstShown returns the first instant at which the clock of loc shows wall or
// later: the opening of a period whose first reading may be skipped or shown
// twice.
func firstShown(loc *time.Location, wall, guess int64) int64 {
	// No offset change near: the ordinary case.
	if s := spanAt(loc, wall-guess-settled); s.offset == guess && wall-guess < s.to {
		return wall - guess
	}
	s := spanAt(loc, wall-widestOffset)
	for range 3 {
		if s.from+s.offset < wall {
			break
		}
		// A made-up zone further ahead of UTC than any real one.
		s = spanAt(loc, wall-s.offset-widestOffset)
	}
	for {
		if t := max(s.from, wall-s.offset); t < s.to {
			return t
		}
		s = spanAt(loc, s.to)
	}
}
