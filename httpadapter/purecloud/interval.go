package purecloud

import (
	"strings"
	"time"
)

// instants are the forms of either end of an interval. A fraction of a second
// may follow the seconds of each.
var instants = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateOnly}

// end is the end of time: the years 1 to 9999 are all there is, and the last
// instant that a client can write is rounded up to it.
var end = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

const intervalForm = "start/end in ISO-8601, such as 2026-03-01T00:00:00/2026-04-01T00:00:00"

// readInterval reads start/end: half-open, UTC where no offset is given.
func readInterval(text string) (from, to time.Time, err error) {
	bad := badForm(invalidDate, "interval", text, intervalForm)
	if len(text) > 128 {
		return from, to, bad
	}
	first, second, ok := strings.Cut(text, "/")
	if !ok {
		return from, to, bad
	}
	var ok2 bool
	from, ok = readInstant(first)
	to, ok2 = readInstant(second)
	if !ok || !ok2 {
		return from, to, bad
	}
	if !from.Before(to) {
		return from, to, refuse(constraint, "interval", "The interval ["+clip(text)+"] does not end after it starts.")
	}
	return from, to, nil
}

func readInstant(text string) (time.Time, bool) {
	if len(text) > len(time.DateOnly) && (len(text) < len("2006-01-02T15:04") || text[len("2006-01-02T15")] != ':') {
		return time.Time{}, false // package time would take an hour of one digit
	}
	for _, layout := range instants {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		t = t.UTC()
		// Instants of records are whole microseconds: of what follows one, the
		// next is the first that counts.
		if cut := t.Truncate(time.Microsecond); cut.Before(t) {
			t = cut.Add(time.Microsecond)
		}
		return t, t.Year() >= 1 && !t.After(end)
	}
	return time.Time{}, false
}
