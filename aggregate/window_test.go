package aggregate

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return v
}

func TestWindowBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		window   Window
		zone     string
		at       string
		from, to string
	}{
		{"utc hour", Window{Unit: Hour}, "", "2026-03-01T12:59:59Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"},
		{"utc day", Window{Unit: Day}, "", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"},
		{"iso week over the year", Window{Unit: Week}, "", "2027-01-03T23:59:59Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"},
		{"leap february", Window{Unit: Month}, "", "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"no leap in 1900", Window{Unit: Month}, "", "1900-02-28T23:00:00Z", "1900-02-01T00:00:00Z", "1900-03-01T00:00:00Z"},
		{"quarter", Window{Unit: Quarter}, "", "2026-12-31T23:59:59Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"year", Window{Unit: Year}, "", "2026-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"before 1970", Window{Unit: Month}, "", "1969-12-31T23:59:59Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"year 1", Window{Unit: Day}, "", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"},
		{"23 hours", Window{Unit: Day}, "Europe/Zurich", "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"25 hours", Window{Unit: Day}, "Europe/Zurich", "2026-10-25T10:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		{"the hour shown twice, once", Window{Unit: Hour}, "Europe/Zurich", "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"},
		{"the hour shown twice, again", Window{Unit: Hour}, "Europe/Zurich", "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
		{"local month", Window{Unit: Month}, "Europe/Zurich", "2026-03-31T22:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"},
		{"month with a change", Window{Unit: Month}, "Europe/Zurich", "2026-03-31T21:59:59Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},
		{"local year", Window{Unit: Year}, "America/New_York", "2026-07-01T00:00:00Z", "2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z"},
		{"no midnight", Window{Unit: Day}, "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		{"no midnight in Beirut", Window{Unit: Day}, "Asia/Beirut", "2022-03-27T12:00:00Z", "2022-03-26T22:00:00Z", "2022-03-27T21:00:00Z"},
		{"midnight shown twice", Window{Unit: Day}, "America/St_Johns", "2007-11-04T03:00:00Z", "2007-11-04T02:30:00Z", "2007-11-05T03:30:00Z"},
		{"a date that never was", Window{Unit: Day}, "Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		{"the date after it", Window{Unit: Day}, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		{"half past in Kolkata", Window{Unit: Hour}, "Asia/Kolkata", "2026-03-01T12:29:59Z", "2026-03-01T11:30:00Z", "2026-03-01T12:30:00Z"},
		{"a quarter in Kathmandu", Window{Unit: Day}, "Asia/Kathmandu", "2026-03-01T12:00:00Z", "2026-02-28T18:15:00Z", "2026-03-01T18:15:00Z"},
		{"90 minutes, half an hour forward", Window{Unit: Hour}, "Australia/Lord_Howe", "2026-10-03T15:45:00Z", "2026-10-03T14:30:00Z", "2026-10-03T16:00:00Z"},
		{"90 minutes, half an hour back", Window{Unit: Hour}, "Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-04T14:00:00Z", "2026-04-04T15:30:00Z"},
		{"23.5 hours", Window{Unit: Day}, "Australia/Lord_Howe", "2026-10-03T15:45:00Z", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"},
		{"30 minutes", Window{Unit: Hour}, "Asia/Pyongyang", "2018-05-04T14:45:00Z", "2018-05-04T14:30:00Z", "2018-05-04T15:00:00Z"},
		{"offset with seconds", Window{Unit: Day}, "Africa/Monrovia", "1960-06-01T12:00:00Z", "1960-06-01T00:44:30Z", "1960-06-02T00:44:30Z"},
		{"cycle on the 31st in April", Window{Unit: BillingCycle, AnchorDay: 31}, "", "2026-04-30T00:00:00Z", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"},
		{"cycle on the 31st in February", Window{Unit: BillingCycle, AnchorDay: 31}, "", "2026-02-27T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"cycle comes back", Window{Unit: BillingCycle, AnchorDay: 31}, "", "2026-03-30T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"cycle on the 30th, leap", Window{Unit: BillingCycle, AnchorDay: 30}, "", "2028-02-29T12:00:00Z", "2028-02-29T00:00:00Z", "2028-03-30T00:00:00Z"},
		{"cycle at an hour", Window{Unit: BillingCycle, AnchorDay: 15, AnchorHour: 9}, "", "2026-01-15T08:59:59Z", "2025-12-15T09:00:00Z", "2026-01-15T09:00:00Z"},
		{"cycle at an hour that is skipped", Window{Unit: BillingCycle, AnchorDay: 29, AnchorHour: 2}, "Europe/Zurich", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z", "2026-04-29T00:00:00Z"},
		{"cycle at an hour shown twice", Window{Unit: BillingCycle, AnchorDay: 25, AnchorHour: 2}, "Europe/Zurich", "2026-10-25T01:30:00Z", "2026-10-25T00:00:00Z", "2026-11-25T01:00:00Z"},
		{"anchor 0 is 1", Window{Unit: BillingCycle}, "Europe/Zurich", "2026-01-15T00:00:00Z", "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z"},
		{"none", Window{}, "Europe/Zurich", "2026-01-15T00:00:00Z", "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.zone != "" {
				c.window.Location = loadZone(t, c.zone)
			}
			require.NoError(t, c.window.Validate())
			from, to := c.window.Bounds(at(t, c.at))
			require.Equal(t, c.from, from.Format("2006-01-02T15:04:05Z07:00"))
			require.Equal(t, c.to, to.Format("2006-01-02T15:04:05Z07:00"))
			require.Equal(t, time.UTC, from.Location())
		})
	}
}

func TestWindowIgnoresLocationOfInstant(t *testing.T) {
	t.Parallel()
	zurich, tokyo := loadZone(t, "Europe/Zurich"), loadZone(t, "Asia/Tokyo")
	instant := time.Date(2026, 5, 1, 23, 30, 0, 0, time.UTC)
	w := Window{Unit: Day, Location: zurich}
	f1, t1 := w.Bounds(instant)
	f2, t2 := w.Bounds(instant.In(tokyo))
	require.Equal(t, f1, f2)
	require.Equal(t, t1, t2)
	f3, _ := Window{Unit: Day}.Bounds(instant.In(tokyo))
	require.Equal(t, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), f3)
}

func TestWindowValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		window Window
		field  string
		err    error
	}{
		"unit":               {Window{Unit: 99}, "Unit", ErrUnit},
		"day too large":      {Window{Unit: BillingCycle, AnchorDay: 32}, "AnchorDay", ErrWindow},
		"day negative":       {Window{Unit: BillingCycle, AnchorDay: -1}, "AnchorDay", ErrWindow},
		"hour too large":     {Window{Unit: BillingCycle, AnchorHour: 24}, "AnchorHour", ErrWindow},
		"hour negative":      {Window{Unit: BillingCycle, AnchorHour: -1}, "AnchorHour", ErrWindow},
		"month with anchor":  {Window{Unit: Month, AnchorDay: 3}, "AnchorDay", ErrWindow},
		"day with an hour":   {Window{Unit: Day, AnchorHour: 3}, "AnchorHour", ErrWindow},
		"none with an hour":  {Window{AnchorHour: 3}, "AnchorHour", ErrWindow},
		"anchor 31 is valid": {Window{Unit: BillingCycle, AnchorDay: 31, AnchorHour: 23}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.window.Validate()
			if c.err == nil {
				require.NoError(t, err)
				return
			}
			var fault *WindowError
			require.ErrorAs(t, err, &fault)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.field, fault.Field)
			require.Contains(t, err.Error(), c.field)
			// Bounds have no error to return: the window must still be one.
			checkWindow(t, c.window, 1_750_000_000_000_000)
		})
	}
}

// checkWindow holds the window of an instant to what every window promises.
func checkWindow(t *testing.T, w Window, us int64) (from, to int64) {
	t.Helper()
	from, to = w.Locate(us)
	if from > us || us >= to {
		t.Fatalf("%+v: %s is not in %s to %s", w, utcText(us), utcText(from), utcText(to))
	}
	for name, probe := range map[string]int64{"first": from, "last": to - 1} {
		if f, u := w.Locate(probe); f != from || u != to {
			t.Fatalf("%+v: the %s instant of %s to %s is in %s to %s", w, name, utcText(from), utcText(to), utcText(f), utcText(u))
		}
	}
	if w.single() {
		return from, to
	}
	if f, _ := w.Locate(to); f != to {
		t.Fatalf("%+v: the window after %s to %s begins at %s", w, utcText(from), utcText(to), utcText(f))
	}
	if _, u := w.Locate(from - 1); u != from {
		t.Fatalf("%+v: the window before %s to %s ends at %s", w, utcText(from), utcText(to), utcText(u))
	}
	bf, bt := w.Bounds(time.UnixMicro(us))
	if bf.UnixMicro() != from || bt.UnixMicro() != to {
		t.Fatalf("%+v: Bounds and Locate differ at %s", w, utcText(us))
	}
	// The lengths that the wildest changes of a clock allow, in hours.
	limits := [...][2]int64{Hour: {0, 3}, Day: {0, 49}, Week: {5 * 24, 8*24 + 1}, Month: {26 * 24, 33 * 24},
		Quarter: {88 * 24, 94 * 24}, Year: {363 * 24, 368 * 24}, BillingCycle: {26 * 24, 33 * 24}}
	const hour = int64(secondsPerHour * microsPerSecond)
	if least, most := limits[w.Unit][0], limits[w.Unit][1]; to-from <= least*hour || to-from > most*hour {
		t.Fatalf("%+v: %s to %s is too short or too long", w, utcText(from), utcText(to))
	}
	return from, to
}

var allUnits = []Unit{None, Hour, Day, Week, Month, Quarter, Year, BillingCycle}

// TestWindowsAreContiguous holds random instants of all years to the promises
// of every kind of window.
func TestWindowsAreContiguous(t *testing.T) {
	t.Parallel()
	for i, name := range append([]string{"UTC", "Etc/GMT+12", "Local"}, trickyZones...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := loadZone(t, name)
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			for _, unit := range allUnits {
				w := Window{Unit: unit, Location: loc}
				l := w.Locator()
				for n := range 60 {
					us := minMicros + rnd.Int64N(maxMicros-minMicros)
					if n%2 == 0 { // where zones change
						us = rnd.Int64N(4e15) - 2e15
					}
					if unit == BillingCycle {
						w.AnchorDay, w.AnchorHour = 1+rnd.IntN(31), rnd.IntN(24)
						l = w.Locator()
					}
					from, to := checkWindow(t, w, us)
					f, u := l.Locate(us)
					require.Equal(t, [2]int64{from, to}, [2]int64{f, u})
				}
			}
		})
	}
}

// TestLocatorAgrees walks forward, backward and at random over years of
// changes and compares with Locate, which remembers nothing.
func TestLocatorAgrees(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"UTC", "Europe/Zurich", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata"} {
		for _, unit := range allUnits {
			t.Run(name+"/"+unit.String(), func(t *testing.T) {
				t.Parallel()
				w := Window{Unit: unit, Location: loadZone(t, name)}
				if unit == BillingCycle {
					w.AnchorDay, w.AnchorHour = 31, 1
				}
				rnd := rand.New(rand.NewPCG(2, uint64(i)))
				l := w.Locator()
				require.Equal(t, w, l.Window())
				us := int64(1.3e15)
				for range 3000 {
					switch rnd.IntN(4) {
					case 0:
						us = 1.2e15 + rnd.Int64N(8e14)
					case 1:
						us -= rnd.Int64N(3 * 3600 * 1e6)
					default:
						us += rnd.Int64N(9 * 3600 * 1e6)
					}
					f, u := l.Locate(us)
					f2, u2 := w.Locate(us)
					if f != f2 || u != u2 {
						t.Fatalf("at %s: locator %s to %s, want %s to %s", utcText(us), utcText(f), utcText(u), utcText(f2), utcText(u2))
					}
				}
			})
		}
	}
}

// TestWindowOutsideOfYears holds instants that are not exact to the little
// that is left: an answer, and no panic.
func TestWindowOutsideOfYears(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "Europe/Zurich", "Asia/Kolkata"} {
		for _, unit := range allUnits {
			w := Window{Unit: unit, Location: loadZone(t, zone)}
			for _, us := range []int64{math.MinInt64, math.MinInt64 + 1, -1e18, 1e18, math.MaxInt64 - 1, math.MaxInt64} {
				from, to := w.Locate(us)
				require.Less(t, from, to)
				require.LessOrEqual(t, w.Count(time.UnixMicro(math.MaxInt64-10), time.UnixMicro(math.MaxInt64), 10), 11)
			}
		}
	}
}

// TestWindowMadeUpZones uses offsets that no real zone has.
func TestWindowMadeUpZones(t *testing.T) {
	t.Parallel()
	for _, offset := range []int{0, 1, -1, 59, 1800, -86399, 86400, 100 * 3600, -100 * 3600, 1 << 30, -1 << 30} {
		for _, unit := range allUnits[1:] {
			w := Window{Unit: unit, Location: time.FixedZone("made up", offset)}
			from, to := checkWindow(t, w, 1_750_000_000_123_456)
			wantFrom, wantTo := Window{Unit: unit}.Locate(1_750_000_000_123_456 + int64(offset)*1e6)
			require.Equal(t, wantFrom, from+int64(offset)*1e6)
			require.Equal(t, wantTo, to+int64(offset)*1e6)
		}
	}
}

func TestWindowAllAndCount(t *testing.T) {
	t.Parallel()
	zurich := loadZone(t, "Europe/Zurich")
	from, to := at(t, "2026-03-28T12:00:00Z"), at(t, "2026-03-30T12:00:00Z")
	for _, c := range []struct {
		name   string
		window Window
		want   int
	}{
		{"none", Window{}, 1},
		{"hours", Window{Unit: Hour, Location: zurich}, 48},
		{"days", Window{Unit: Day, Location: zurich}, 3},
		{"months", Window{Unit: Month}, 1},
		{"cycles", Window{Unit: BillingCycle, AnchorDay: 29, AnchorHour: 2, Location: zurich}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			var last time.Time
			for f, u := range c.window.All(from, to) {
				require.True(t, f.Before(to) && u.After(from), "intersects")
				if n == 0 {
					require.False(t, f.After(from))
				} else {
					require.Equal(t, last, f)
				}
				bf, bu := c.window.Bounds(f)
				require.Equal(t, [2]time.Time{bf, bu}, [2]time.Time{f, u})
				last = u
				n++
			}
			require.False(t, last.Before(to))
			require.Equal(t, c.want, n)
			require.Equal(t, c.want, c.window.Count(from, to, 1000))
			require.Equal(t, c.want, c.window.Count(from, to, c.want))
			require.Equal(t, c.want, c.window.Count(from, to, c.want-1), "one past the bound")
			require.Equal(t, min(c.want, 1), c.window.Count(from, to, 0))
			for range c.window.All(from, to) {
				break // leaving early is allowed
			}
			require.Zero(t, c.window.Count(to, from, 10))
			require.Zero(t, c.window.Count(from, from, 10))
			for range c.window.All(to, from) {
				t.Fatal("an empty range has no windows")
			}
		})
	}
	// The end is exclusive to the nanosecond.
	midnight := at(t, "2026-01-02T00:00:00Z")
	day := Window{Unit: Day}
	require.Equal(t, 1, day.Count(midnight.Add(-time.Hour), midnight, 10))
	require.Equal(t, 2, day.Count(midnight.Add(-time.Hour), midnight.Add(1), 10))
	require.Equal(t, 1, day.Count(midnight.Add(-1), midnight, 10))
	// A range that asks for far too much is refused soon.
	require.Equal(t, 100_001, Window{Unit: Hour}.Count(time.UnixMicro(minMicros), time.UnixMicro(maxMicros), 100_000))
}

func TestAligned(t *testing.T) {
	t.Parallel()
	year := func(y int) int64 { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() }
	for _, c := range []struct {
		name     string
		window   Window
		zone     string
		unit     Unit
		from, to int64
		want     bool
	}{
		{"hours of UTC by hour", Window{Unit: Hour}, "", Hour, minMicros, maxMicros, true},
		{"hours of UTC by day", Window{Unit: Hour}, "", Day, year(2026), year(2027), false},
		{"weeks of UTC by day", Window{Unit: Week}, "", Day, minMicros, maxMicros, true},
		{"weeks of UTC by month", Window{Unit: Week}, "", Month, year(2026), year(2027), false},
		{"years of UTC by month", Window{Unit: Year}, "", Month, minMicros, maxMicros, true},
		{"cycles on the 1st by month", Window{Unit: BillingCycle}, "", Month, year(2000), year(2100), true},
		{"cycles on the 1st at 5 by month", Window{Unit: BillingCycle, AnchorHour: 5}, "", Month, year(2000), year(2100), false},
		{"cycles at 5 by day", Window{Unit: BillingCycle, AnchorHour: 5}, "", Day, year(2000), year(2100), false},
		{"cycles at 5 by hour", Window{Unit: BillingCycle, AnchorHour: 5}, "", Hour, year(2000), year(2100), true},
		{"cycles at 1 of Etc/GMT-1 by month", Window{Unit: BillingCycle, AnchorHour: 1}, "Etc/GMT-1", Month, year(2000), year(2100), true},
		{"days of Zurich by hour", Window{Unit: Day}, "Europe/Zurich", Hour, year(1900), maxMicros, true},
		{"days of Zurich in 1800 by hour", Window{Unit: Day}, "Europe/Zurich", Hour, year(1800), year(1801), false},
		{"days of Zurich by day", Window{Unit: Day}, "Europe/Zurich", Day, year(2026), year(2027), false},
		{"days of London in winter by day", Window{Unit: Day}, "Europe/London", Day, year(2026), year(2026) + 80*86400e6, true},
		{"days of London by day", Window{Unit: Day}, "Europe/London", Day, year(2026), year(2027), false},
		{"days of Abidjan by day", Window{Unit: Day}, "Africa/Abidjan", Day, year(1950), maxMicros, true},
		{"months of Abidjan by month", Window{Unit: Month}, "Africa/Abidjan", Month, year(1950), year(2100), true},
		{"days of Kolkata by hour", Window{Unit: Day}, "Asia/Kolkata", Hour, year(2026), year(2027), false},
		{"hours of Kolkata by hour", Window{Unit: Hour}, "Asia/Kolkata", Hour, year(2026), year(2027), false},
		{"days of Lord Howe in summer by hour", Window{Unit: Day}, "Australia/Lord_Howe", Hour, year(2026), year(2026) + 60*86400e6, true},
		{"days of Lord Howe by hour", Window{Unit: Day}, "Australia/Lord_Howe", Hour, year(2026), year(2027), false},
		{"months of Kolkata, between two bounds", Window{Unit: Month}, "Asia/Kolkata", Hour, year(2026), year(2026) + 86400e6, true},
		{"none", Window{}, "Asia/Kolkata", Hour, year(2026), year(2027), true},
		{"by none", Window{Unit: Day}, "", None, year(2026), year(2027), false},
		{"by an unknown unit", Window{Unit: Day}, "", 99, year(2026), year(2027), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.zone != "" {
				c.window.Location = loadZone(t, c.zone)
			}
			require.Equal(t, c.want, c.window.Aligned(c.unit, c.from, c.to))
		})
	}
}

// TestAlignedAgainstWindows compares with looking at every bound.
func TestAlignedAgainstWindows(t *testing.T) {
	t.Parallel()
	for i, name := range append([]string{"UTC", "Africa/Abidjan"}, trickyZones...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := loadZone(t, name)
			rnd := rand.New(rand.NewPCG(3, uint64(i)))
			for range 150 {
				w := Window{Unit: allUnits[1+rnd.IntN(7)], Location: loc}
				if w.Unit == BillingCycle {
					w.AnchorDay, w.AnchorHour = 1+rnd.IntN(31), rnd.IntN(24)
				}
				unit := []Unit{Hour, Day, Month}[rnd.IntN(3)]
				from := rnd.Int64N(4e15) - 2e15
				to := from + rnd.Int64N([]int64{1e11, 1e13, 5e13}[rnd.IntN(3)])
				if rnd.IntN(2) == 0 {
					from, _ = w.Locate(from)
					_, to = w.Locate(to)
				}
				want := true
				for us := from; us <= to && want; {
					f, u := w.Locate(us)
					want = (f != us || Floor(unit, f) == f) && (u > to || Floor(unit, u) == u)
					us = u
				}
				require.Equal(t, want, w.Aligned(unit, from, to), "%+v by %s from %s to %s", w, unit, utcText(from), utcText(to))
			}
		})
	}
}

func TestUnitText(t *testing.T) {
	t.Parallel()
	for _, u := range allUnits {
		text, err := u.MarshalText()
		require.NoError(t, err)
		require.Equal(t, u.String(), string(text))
		var v Unit
		require.NoError(t, v.UnmarshalText(text))
		require.Equal(t, u, v)
	}
	for text, want := range map[string]Unit{"Hourly": Hour, "DAILY": Day, "weekly": Week, "monthly": Month, "quarterly": Quarter,
		"yearly": Year, "annual": Year, "BillingCycle": BillingCycle, "billing_cycle": BillingCycle} {
		got, err := ParseUnit(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "days", "hour ", "minute", string(make([]byte, 1000))} {
		_, err := ParseUnit(text)
		require.ErrorIs(t, err, ErrUnit)
		require.Less(t, len(err.Error()), 400)
		require.True(t, errors.Is(new(Unit).UnmarshalText([]byte(text)), ErrUnit))
	}
	require.Equal(t, "unit(99)", Unit(99).String())
	_, err := Unit(99).MarshalText()
	require.ErrorIs(t, err, ErrUnit)
}

func FuzzWindow(f *testing.F) {
	for i := range trickyZones {
		f.Add(uint8(i), uint8(i), uint8(31), uint8(2), int64(1.3e15)+int64(i)*1e13)
	}
	f.Add(uint8(255), uint8(2), uint8(0), uint8(0), int64(minMicros))
	zones := make([]*time.Location, 0, len(trickyZones)+1)
	for _, name := range append([]string{"UTC"}, trickyZones...) {
		zones = append(zones, loadZone(f, name))
	}
	f.Fuzz(func(t *testing.T, zone, unit, day, hour uint8, us int64) {
		if us < minMicros || us >= maxMicros {
			us = minMicros + floorMod(us, maxMicros-minMicros)
		}
		w := Window{Unit: Unit(unit % 8), Location: zones[int(zone)%len(zones)]}
		if w.Unit == BillingCycle {
			w.AnchorDay, w.AnchorHour = int(day%32), int(hour%24)
		}
		require.NoError(t, w.Validate())
		from, to := checkWindow(t, w, us)
		l := w.Locator()
		for _, probe := range []int64{us - 1e10, us, us + 1e10, us} {
			pf, pt := w.Locate(probe)
			lf, lt := l.Locate(probe)
			require.Equal(t, [2]int64{pf, pt}, [2]int64{lf, lt})
		}
		if w.Unit == None || w.Unit == Hour {
			return
		}
		// A period opens where the clock first shows its opening reading.
		for _, bound := range []int64{from, to} {
			o, _ := w.period(floorDiv(bound, 1e6) + int64(offsetAt(w.Location, floorDiv(bound, 1e6))))
			p, _ := w.period(floorDiv(bound-1, 1e6) + int64(offsetAt(w.Location, floorDiv(bound-1, 1e6))))
			if p >= o {
				t.Fatalf("%+v: nothing opens at %s", w, utcText(bound))
			}
		}
	})
}
