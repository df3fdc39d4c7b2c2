package aggregate

// The calendar in plain arithmetic: proleptic Gregorian, days counted from
// 1970-01-01, wall clock readings as seconds since 1970-01-01 00:00 on that
// clock. The era arithmetic is Howard Hinnant's (chrono-compatible low-level
// date algorithms), exact for every year an int64 of microseconds can reach.

const (
	secondsPerMinute = 60
	secondsPerHour   = 3600
	secondsPerDay    = 86400
	microsPerSecond  = 1_000_000
)

// floorDiv divides towards the past; b is positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 {
	if r := a % b; r < 0 {
		return r + b
	} else {
		return r
	}
}

// daysOf returns the day number of a date; month counts from 1 and may be
// beyond 12 or below 1, the day from 1.
func daysOf(year, month, day int64) int64 {
	year += floorDiv(month-1, 12)
	month = floorMod(month-1, 12) + 1
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// dateOf returns the date of a day number.
func dateOf(days int64) (year, month, day int64) {
	days += 719468
	era := floorDiv(days, 146097)
	doe := days - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	year = yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// daysIn returns the length of a month; month counts from 1 and may be beyond 12.
func daysIn(year, month int64) int64 {
	year += floorDiv(month-1, 12)
	switch month = floorMod(month-1, 12) + 1; month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// anchorDay and anchorHour bring the fields of a window that was never
// validated into their ranges: bounds have no error to return.
func (w Window) anchorDay() int64  { return int64(max(1, min(w.AnchorDay, 31))) }
func (w Window) anchorHour() int64 { return int64(max(0, min(w.AnchorHour, 23))) }

// cycle returns the wall clock reading that opens the billing cycle of a month.
func (w Window) cycle(year, month int64) int64 {
	day := min(w.anchorDay(), daysIn(year, month))
	return daysOf(year, month, day)*secondsPerDay + w.anchorHour()*secondsPerHour
}

// period returns the wall clock readings that open and close the period of
// the wall clock reading wall.
func (w Window) period(wall int64) (open, shut int64) {
	switch w.Unit {
	case Hour:
		open = wall - floorMod(wall, secondsPerHour)
		return open, open + secondsPerHour
	case Day:
		open = wall - floorMod(wall, secondsPerDay)
		return open, open + secondsPerDay
	case Week:
		// 1970-01-01 was a Thursday, the day 3 of a week from Monday.
		open = wall - floorMod(wall+3*secondsPerDay, 7*secondsPerDay)
		return open, open + 7*secondsPerDay
	}
	year, month, day := dateOf(floorDiv(wall, secondsPerDay))
	switch w.Unit {
	case Quarter:
		first := month - (month-1)%3
		return daysOf(year, first, 1) * secondsPerDay, daysOf(year, first+3, 1) * secondsPerDay
	case Year:
		return daysOf(year, 1, 1) * secondsPerDay, daysOf(year+1, 1, 1) * secondsPerDay
	case BillingCycle:
		open = w.cycle(year, month)
		if wall < open {
			return w.cycle(year, month-1), open
		}
		return open, w.cycle(year, month+1)
	}
	open = (floorDiv(wall, secondsPerDay) - day + 1) * secondsPerDay
	return open, open + daysIn(year, month)*secondsPerDay
}
