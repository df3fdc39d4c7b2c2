package uts

import (
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
)

// parseInstant reads an instant: 2026-01-06T00:30:00, with or without a
// fraction, and then Z, +01:00, +0100 or nothing, which is UTC. It is cut to the
// microsecond towards the past. Only the years 1 to 9999 of UTC are.
func parseInstant(s string) (time.Time, bool) {
	const layout = "0000-00-00T00:00:00"
	if len(s) < len(layout) || len(s) > 64 {
		return time.Time{}, false
	}
	for i := range len(layout) {
		if layout[i] == '0' && !isDigit(s[i]) || layout[i] != '0' && s[i] != layout[i] {
			return time.Time{}, false
		}
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	rest := s[len(layout):]
	micros := 0
	if fraction, ok := strings.CutPrefix(rest, "."); ok {
		n := 0
		for n < len(fraction) && isDigit(fraction[n]) {
			n++
		}
		if n == 0 {
			return time.Time{}, false
		}
		for i := range 6 {
			micros *= 10
			if i < n {
				micros += int(fraction[i] - '0')
			}
		}
		rest = fraction[n:]
	}
	offset, ok := parseZone(rest)
	if !ok || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, time.UTC)
	if t.Day() != day {
		return time.Time{}, false
	}
	t = t.Add(-offset)
	if t.Year() < 1 || t.Year() > 9999 || t.IsZero() {
		return time.Time{}, false
	}
	return t, true
}

func parseZone(s string) (offset time.Duration, ok bool) {
	switch {
	case s == "" || s == "Z":
		return 0, true
	case len(s) == 6 && s[3] == ':':
		s = s[:3] + s[4:]
	}
	if len(s) != 5 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	for i := 1; i < 5; i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
	}
	hours, minutes := digits(s[1:3]), digits(s[3:5])
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	offset = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// digits is the number that a few digits are.
func digits(s string) (n int) {
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// day reads the parameter date: a day, or an instant, of which the UTC day
// counts. Without it, it is the day of now.
func day(c *httpadapter.Call) (time.Time, error) {
	text := c.Param("date")
	if text == "" {
		return c.Now().Truncate(24 * time.Hour), nil
	}
	const dayOnly = len("2026-01-20")
	at := text
	if len(at) == dayOnly {
		at += "T00:00:00"
	} else if i := strings.LastIndexByte(at, ' '); i > dayOnly {
		// A plus that was not escaped arrives as a blank.
		at = at[:i] + "+" + at[i+1:]
	}
	t, ok := parseInstant(at)
	if !ok || t.Year() > 9998 {
		return time.Time{}, invalid("date", text, "Give a day such as 2026-01-20, or an instant such as 2026-01-20T08:00:00Z.")
	}
	return t.Truncate(24 * time.Hour), nil
}
