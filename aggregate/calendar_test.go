package aggregate

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
)

// trickyZones are zones whose clocks were changed at midnight, by less or more
// than an hour, by seconds, across a date, or twice a year in opposite ways.
var trickyZones = []string{
	"Europe/Zurich", "Europe/London", "Europe/Dublin", "Europe/Amsterdam", "Europe/Moscow", "Europe/Lisbon",
	"America/New_York", "America/St_Johns", "America/Sao_Paulo", "America/Havana", "America/Juneau",
	"America/Caracas", "America/Nuuk", "America/Scoresbysund", "America/Asuncion",
	"Africa/Cairo", "Africa/Casablanca", "Africa/Monrovia", "Africa/El_Aaiun",
	"Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran", "Asia/Beirut", "Asia/Gaza", "Asia/Pyongyang",
	"Asia/Manila", "Asia/Amman", "Antarctica/Troll", "Antarctica/Casey",
	"Australia/Lord_Howe", "Australia/Eucla", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Chatham",
	"Pacific/Kiritimati", "Atlantic/Azores",
}

func loadZone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(tb, err)
	return loc
}

// A change is an instant at which the offset of a zone changes, found by
// looking at offsets alone.
type change struct {
	at            int64 // Unix seconds
	before, after int
}

func offsetAt(loc *time.Location, sec int64) int {
	_, offset := time.Unix(sec, 0).In(loc).Zone()
	return offset
}

// changesOf finds the changes of a zone in a range of years by probing every
// two days and halving.
func changesOf(loc *time.Location, fromYear, toYear int) []change {
	const step = 48 * 3600
	var found []change
	end := time.Date(toYear, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	sec := time.Date(fromYear, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for o := offsetAt(loc, sec); sec < end; sec += step {
		p := offsetAt(loc, sec+step)
		if p == o {
			continue
		}
		lo, hi := sec, sec+step
		for hi-lo > 1 {
			if m := lo + (hi-lo)/2; offsetAt(loc, m) == o {
				lo = m
			} else {
				hi = m
			}
		}
		found = append(found, change{at: hi, before: o, after: p})
		o = p
	}
	return found
}

// A reading is what a zone's clock and calendar show, by package time.
type reading struct {
	sec                            int64
	year, month, day, hour, minute int
	week                           int   // grows with the ISO week
	text                           int64 // grows with the minute shown
	lastDay                        int   // of the month
}

// readings walks the clock of a zone from one instant to another.
func readings(loc *time.Location, from, to, step int64) []reading {
	all := make([]reading, 0, (to-from)/step+1)
	for sec := from; sec <= to; sec += step {
		wall := sec + int64(offsetAt(loc, sec))
		r := reading{sec: sec, text: floorDiv(wall, 60)}
		if n := len(all); n > 0 && all[n-1].text == r.text {
			r = all[n-1]
			r.sec = sec
			all = append(all, r)
			continue
		}
		t := time.Unix(wall, 0).UTC() // shows what the clock of loc shows
		year, month, day := t.Date()
		r.year, r.month, r.day, r.hour, r.minute = year, int(month), day, t.Hour(), t.Minute()
		r.lastDay = time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
		y, w := t.ISOWeek()
		r.week = y*54 + w
		all = append(all, r)
	}
	return all
}

// label returns a number that grows with the period a clock shows. Hours have
// none.
func (r *reading) label(w Window) int {
	switch w.Unit {
	case Day:
		return (r.year*12+r.month)*31 + r.day
	case Week:
		return r.week
	case Month:
		return r.year*12 + r.month
	case Quarter:
		return r.year*4 + (r.month-1)/3
	case Year:
		return r.year
	}
	anchor := min(max(w.AnchorDay, 1), r.lastDay)
	cycle := r.year*12 + r.month
	if r.day < anchor || r.day == anchor && r.hour < w.AnchorHour {
		cycle--
	}
	return cycle
}

// opensIn notes where the windows of w open in a walk. The walk must begin
// more than a day after any change before it.
func opensIn(w Window, walk []reading) []int64 {
	var bounds []int64
	highest := walk[0].label(w)
	for i := 1; i < len(walk); i++ {
		r := &walk[i]
		if w.Unit == Hour {
			if r.minute == 0 && r.text != walk[i-1].text {
				bounds = append(bounds, r.sec)
			}
		} else if r.text == walk[i-1].text {
			continue
		} else if l := r.label(w); l > highest {
			highest = l
			bounds = append(bounds, r.sec)
		}
	}
	return bounds
}

// TestCalendarAgainstClock compares every kind of window with a clock that is
// read minute by minute (second by second where offsets have seconds) around
// the changes of tricky zones.
func TestCalendarAgainstClock(t *testing.T) {
	t.Parallel()
	// Changes of one kind (from, to, time of day) differ by their date only.
	const perKind = 1
	for _, name := range trickyZones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := loadZone(t, name)
			changes := changesOf(loc, 1844, 2045)
			type kind struct{ before, after, second int }
			seen := map[kind]int{}
			tested := 0
			for i, c := range changes {
				k := kind{c.before, c.after, int(floorMod(c.at+int64(c.before), 86400))}
				if seen[k]++; seen[k] > perKind {
					continue
				}
				tested++
				// Begin where no earlier change can be felt.
				from := c.at - 26*3600
				for j := i - 1; j >= 0 && changes[j].at > from-50*3600; j-- {
					from = changes[j].at - 26*3600
				}
				to, step := c.at+27*3600, int64(60)
				if c.before%60 != 0 || c.after%60 != 0 || c.at%60 != 0 {
					step = 1
					from, to = max(from, c.at-2*3600), c.at+2*3600
					if i > 0 && changes[i-1].at > from-50*3600 {
						continue
					}
				}
				from -= floorMod(from, 60)
				compareWithClock(t, loc, c, from, to, step)
			}
			t.Logf("%d of %d changes", tested, len(changes))
		})
	}
}

// TestCalendarAtYearEnds does the same around the ends of years that only a
// zone's rule covers: package time cuts those after 365 days, leap or not.
func TestCalendarAtYearEnds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Zurich", "America/New_York", "Pacific/Auckland", "Australia/Lord_Howe", "Africa/Casablanca", "America/Nuuk"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := loadZone(t, name)
			for _, year := range []int{2027, 2028, 2044, 2096, 2100, 9996} {
				end := time.Date(year, 12, 31, 13, 0, 0, 0, time.UTC).Unix()
				compareWithClock(t, loc, change{at: end}, end-40*3600, end+40*3600, 60)
			}
		})
	}
}

func compareWithClock(t *testing.T, loc *time.Location, c change, from, to, step int64) {
	t.Helper()
	windows := []Window{{Unit: Hour}, {Unit: Day}, {Unit: Week}, {Unit: Month}, {Unit: Quarter}, {Unit: Year},
		{Unit: BillingCycle, AnchorDay: 31, AnchorHour: 2}}
	// Billing cycles that open in the middle of the change.
	for _, sec := range []int64{c.at - 1, c.at, c.at + 3600} {
		at := time.Unix(sec, 0).In(loc)
		windows = append(windows, Window{Unit: BillingCycle, AnchorDay: at.Day(), AnchorHour: at.Hour()})
		windows = append(windows, Window{Unit: BillingCycle, AnchorDay: at.Day(), AnchorHour: (at.Hour() + 1) % 24})
	}
	walk := readings(loc, from, to, step)
	for _, w := range windows {
		w.Location = loc
		where := fmt.Sprintf("%s by %s (%d, %d) around %s", loc, w.Unit, w.AnchorDay, w.AnchorHour, time.Unix(c.at, 0).UTC())
		bounds := opensIn(w, walk)
		for i, b := range bounds {
			f, n := w.Locate(b * 1e6)
			require.Equal(t, b*1e6, f, "%s: opening %s", where, time.Unix(b, 0).UTC())
			_, n0 := w.Locate(b*1e6 - 1)
			require.Equal(t, b*1e6, n0, "%s: closing %s", where, time.Unix(b, 0).UTC())
			if i+1 < len(bounds) {
				require.Equal(t, bounds[i+1]*1e6, n, "%s: next of %s", where, time.Unix(b, 0).UTC())
			}
		}
		// Every instant between lies in the window that the clock opened last,
		// so nothing opens anywhere else.
		l := w.Locator()
		next := 0
		stride := 7 * 60 * int64(1e6)
		if step == 1 {
			stride = 61 * 1e6
		}
		for us := from*1e6 + 1; us < to*1e6; us += stride {
			for next < len(bounds) && bounds[next]*1e6 <= us {
				next++
			}
			f, n := l.Locate(us)
			f2, n2 := w.Locate(us)
			wantFrom, wantTo := f, n // where the walk has not seen a bound
			if next > 0 {
				wantFrom = bounds[next-1] * 1e6
			} else {
				wantFrom = min(f, from*1e6)
			}
			if next < len(bounds) {
				wantTo = bounds[next] * 1e6
			} else {
				wantTo = max(n, to*1e6+1)
			}
			if f != wantFrom || n != wantTo || f2 != f || n2 != n || us < f || us >= n {
				t.Fatalf("%s: %s is in %s to %s, by Locator %s to %s, want %s to %s", where, utcText(us),
					utcText(f2), utcText(n2), utcText(f), utcText(n), utcText(wantFrom), utcText(wantTo))
			}
		}
	}
}

func utcText(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }
