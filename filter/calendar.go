package filter

import "strconv"

// The proleptic Gregorian calendar, by counting days: the functions of the time
// package need a Location and allocate nothing either, but they carry years that
// the language does not have.

const (
	minYear = 0 // Edm.Date begins with year 0000 in the four-digit form
	maxYear = 9999

	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
	picosPerMicro   = 1_000_000
	picosPerSecond  = picosPerMicro * microsPerSecond
)

var (
	minDays   = daysFromCivil(minYear, 1, 1)
	maxDays   = daysFromCivil(maxYear, 12, 31)
	minMicros = minDays * microsPerDay
	maxMicros = (maxDays+1)*microsPerDay - 1
)

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// daysFromCivil returns the days from 1970-01-01 to a date. It counts from March,
// so that the leap day is the last of its year.
func daysFromCivil(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

func civilFromDays(days int64) (y, m, d int64) {
	days += 719468
	era := floorDiv(days, 146097)
	doe := days - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = mp + 3
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

func isLeap(y int64) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

func daysInMonth(y, m int64) int64 {
	switch m {
	case 2:
		if isLeap(y) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// The scan functions read from the front of s and return how many bytes they
// read. They return n = 0 when s does not begin with the form at all; a form
// whose numbers are out of range sets the bad message, n then ends the form.

func scanDigits(s string, i, n int) (v int64, ok bool) {
	if len(s) < i+n {
		return 0, false
	}
	for _, c := range []byte(s[i : i+n]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}

func isDigitAt(s string, i int) bool { return i < len(s) && s[i] >= '0' && s[i] <= '9' }

// scanDate reads YYYY-MM-DD.
func scanDate(s string) (days int64, n int, bad string) {
	y, ok1 := scanDigits(s, 0, 4)
	if !ok1 || len(s) < 5 || s[4] != '-' {
		return 0, 0, ""
	}
	m, ok2 := scanDigits(s, 5, 2)
	if !ok2 || len(s) < 8 || s[7] != '-' {
		return 0, 0, ""
	}
	d, ok3 := scanDigits(s, 8, 2)
	if !ok3 || isDigitAt(s, 10) {
		return 0, 0, ""
	}
	if m < 1 || m > 12 {
		return 0, 10, "the month must be 01 to 12"
	}
	if d < 1 || d > daysInMonth(y, m) {
		return 0, 10, "the month has no such day"
	}
	return daysFromCivil(y, m, d), 10, ""
}

// scanClock reads HH:MM[:SS[.fraction]] with 1 to 12 digits of fraction and
// returns microseconds and the picoseconds beyond them.
func scanClock(s string) (micros int64, picos int32, n int, bad string) {
	h, ok1 := scanDigits(s, 0, 2)
	if !ok1 || len(s) < 3 || s[2] != ':' {
		return 0, 0, 0, ""
	}
	m, ok2 := scanDigits(s, 3, 2)
	if !ok2 || isDigitAt(s, 5) {
		return 0, 0, 0, ""
	}
	n = 5
	sec := int64(0)
	fraction := int64(0) // picoseconds
	if n < len(s) && s[n] == ':' {
		v, ok := scanDigits(s, n+1, 2)
		if !ok || isDigitAt(s, n+3) {
			return 0, 0, 0, ""
		}
		sec, n = v, n+3
		if n < len(s) && s[n] == '.' {
			from := n + 1
			end := from
			for isDigitAt(s, end) {
				end++
			}
			if end == from {
				return 0, 0, 0, ""
			}
			if end-from > 12 {
				return 0, 0, end, "a fraction of a second has at most 12 digits"
			}
			for i := from; i < from+12; i++ {
				fraction *= 10
				if i < end {
					fraction += int64(s[i] - '0')
				}
			}
			n = end
		}
	}
	switch {
	case h > 23:
		return 0, 0, n, "the hour must be 00 to 23"
	case m > 59:
		return 0, 0, n, "the minute must be 00 to 59"
	case sec == 60:
		return 0, 0, n, "leap seconds are not supported"
	case sec > 59:
		return 0, 0, n, "the second must be 00 to 59"
	}
	micros = (h*3600+m*60+sec)*microsPerSecond + fraction/picosPerMicro
	return micros, int32(fraction % picosPerMicro), n, ""
}

// scanZone reads Z or a signed offset HH:MM, in minutes.
func scanZone(s string) (offset int64, n int, bad string) {
	if s == "" {
		return 0, 0, ""
	}
	switch s[0] {
	case 'Z', 'z':
		return 0, 1, ""
	case '+', '-':
		h, ok1 := scanDigits(s, 1, 2)
		if !ok1 || len(s) < 4 || s[3] != ':' {
			return 0, 0, ""
		}
		m, ok2 := scanDigits(s, 4, 2)
		if !ok2 || isDigitAt(s, 6) {
			return 0, 0, ""
		}
		if h > 14 || m > 59 || h == 14 && m > 0 {
			return 0, 6, "an offset is at most 14:00" // XML Schema part 2, 3.2.7.3
		}
		if s[0] == '-' {
			return -(h*60 + m), 6, ""
		}
		return h*60 + m, 6, ""
	}
	return 0, 0, ""
}

// scanTime reads a date, T, a clock and a zone, which may be missing where
// zoneless allows it (then UTC).
func scanTime(s string, zoneless bool) (v Value, offset int64, n int, bad string) {
	days, n, bad := scanDate(s)
	if n == 0 || n >= len(s) || s[n] != 'T' && s[n] != 't' {
		return Value{}, 0, 0, bad
	}
	micros, picos, m, badClock := scanClock(s[n+1:])
	if m == 0 {
		return Value{}, 0, 0, bad
	}
	n += 1 + m
	offset, z, badZone := scanZone(s[n:])
	if z == 0 && !zoneless {
		return Value{}, 0, 0, bad
	}
	n += z
	for _, b := range []string{bad, badClock, badZone} {
		if b != "" {
			return Value{}, 0, n, b
		}
	}
	us := days*microsPerDay + micros - offset*60*microsPerSecond
	if us < minMicros || us > maxMicros {
		return Value{}, 0, n, "the instant is outside the years 0000 to 9999 in UTC"
	}
	return Value{typ: TypeTime, num: us, scale: picos}, offset, n, ""
}

// scanDuration reads [-]P[nD][T[nH][nM][n[.f]S]] of Edm.Duration; years and months
// are not part of it.
func scanDuration(s string) (v Value, n int, bad string) {
	neg := false
	i := 0
	if i < len(s) && s[i] == '-' {
		neg = true
		i++
	}
	if i >= len(s) || s[i] != 'P' && s[i] != 'p' {
		return Value{}, 0, ""
	}
	i++
	const limit = 1_000_000_000_000 // seconds: no result with instants of four-digit years is longer
	var secs, picos int64
	parts, inTime := 0, false
	order := "DHMS"
	for i < len(s) {
		if (s[i] == 'T' || s[i] == 't') && !inTime {
			inTime = true
			order = order[max(0, indexByte(order, 'H')):]
			i++
			if !isDigitAt(s, i) {
				return Value{}, 0, ""
			}
			continue
		}
		from := i
		num := int64(0)
		for isDigitAt(s, i) {
			if num < limit {
				num = num*10 + int64(s[i]-'0')
			}
			i++
		}
		if i == from {
			break
		}
		frac := int64(0)
		fraction := false
		if i < len(s) && s[i] == '.' {
			fraction = true
			j := i + 1
			for isDigitAt(s, j) {
				j++
			}
			if j == i+1 {
				return Value{}, 0, ""
			}
			if j-i-1 > 12 {
				return Value{}, j, "a fraction of a second has at most 12 digits"
			}
			for k := i + 1; k < i+13; k++ {
				frac *= 10
				if k < j {
					frac += int64(s[k] - '0')
				}
			}
			i = j
		}
		if i >= len(s) {
			return Value{}, 0, ""
		}
		unit := s[i] &^ 0x20
		if (unit == 'Y' || unit == 'M' || unit == 'W') && !inTime {
			return Value{}, i + 1, "a duration has days and shorter units only" // Edm.Duration is dayTimeDuration
		}
		at := indexByte(order, unit)
		if at < 0 || unit == 'D' && inTime || unit != 'D' && !inTime || fraction && unit != 'S' {
			return Value{}, 0, ""
		}
		order = order[at+1:]
		mul := int64(1)
		switch unit {
		case 'D':
			mul = 86400
		case 'H':
			mul = 3600
		case 'M':
			mul = 60
		}
		if num >= limit/mul {
			return Value{}, i + 1, "the duration is too long"
		}
		secs += num * mul
		picos = frac
		parts++
		i++
	}
	if parts == 0 {
		return Value{}, 0, ""
	}
	if secs > limit {
		return Value{}, i, "the duration is too long"
	}
	return durationValue(secs, picos, neg), i, ""
}

func durationValue(secs, picos int64, neg bool) Value {
	us, rest := secs*microsPerSecond+picos/picosPerMicro, picos%picosPerMicro
	if neg {
		us = -us
		if rest > 0 {
			us--
			rest = picosPerMicro - rest
		}
	}
	return Value{typ: TypeDuration, num: us, scale: int32(rest)}
}

func indexByte(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return i
		}
	}
	return -1
}

const guidLen = 36

// isGuid reports whether s begins with the 36 characters of a guid.
func isGuid(s string) bool {
	if len(s) < guidLen {
		return false
	}
	for i := 0; i < guidLen; i++ {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !isHex(s[i]) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func appendPadded(b []byte, n int64, width int) []byte {
	var buf [20]byte
	t := strconv.AppendInt(buf[:0], n, 10)
	for i := len(t); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, t...)
}

func appendDate(b []byte, days int64) []byte {
	y, m, d := civilFromDays(days)
	if y < 0 {
		b = append(b, '-')
		y = -y
	}
	b = appendPadded(b, y, 4)
	b = append(b, '-')
	b = appendPadded(b, m, 2)
	b = append(b, '-')
	return appendPadded(b, d, 2)
}

// appendFraction writes a point and the significant digits of a fraction of a
// second in picoseconds, and nothing for zero.
func appendFraction(b []byte, picos int64) []byte {
	if picos == 0 {
		return b
	}
	b = append(b, '.')
	b = appendPadded(b, picos, 12)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

func appendClock(b []byte, micros int64, picos int32) []byte {
	secs := micros / microsPerSecond
	b = appendPadded(b, secs/3600, 2)
	b = append(b, ':')
	b = appendPadded(b, secs/60%60, 2)
	b = append(b, ':')
	b = appendPadded(b, secs%60, 2)
	return appendFraction(b, micros%microsPerSecond*picosPerMicro+int64(picos))
}

// appendTime writes an instant in the offset of so many minutes.
func appendTime(b []byte, us int64, picos int32, offset int64) []byte {
	us += offset * 60 * microsPerSecond
	days := floorDiv(us, microsPerDay)
	b = appendDate(b, days)
	b = append(b, 'T')
	b = appendClock(b, us-days*microsPerDay, picos)
	if offset == 0 {
		return append(b, 'Z')
	}
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	b = append(b, sign)
	b = appendPadded(b, offset/60, 2)
	b = append(b, ':')
	return appendPadded(b, offset%60, 2)
}

func appendTimeOfDay(b []byte, picos int64) []byte {
	return appendClock(b, picos/picosPerMicro, int32(picos%picosPerMicro))
}

// appendDuration writes PnDTnHnMnS, leaving out what is zero.
func appendDuration(b []byte, v Value) []byte {
	us, picos := v.num, int64(v.scale)
	if us < 0 {
		b = append(b, '-')
		us = -us
		if picos > 0 {
			us--
			picos = picosPerMicro - picos
		}
	}
	b = append(b, 'P')
	secs := us / microsPerSecond
	fraction := us%microsPerSecond*picosPerMicro + picos
	if secs >= 86400 {
		b = strconv.AppendInt(b, secs/86400, 10)
		b = append(b, 'D')
		secs %= 86400
		if secs == 0 && fraction == 0 {
			return b
		}
	}
	b = append(b, 'T')
	if secs >= 3600 {
		b = strconv.AppendInt(b, secs/3600, 10)
		b = append(b, 'H')
		secs %= 3600
	}
	if secs >= 60 {
		b = strconv.AppendInt(b, secs/60, 10)
		b = append(b, 'M')
		secs %= 60
	}
	if secs > 0 || fraction > 0 || b[len(b)-1] == 'T' {
		b = strconv.AppendInt(b, secs, 10)
		b = appendFraction(b, fraction)
		b = append(b, 'S')
	}
	return b
}
