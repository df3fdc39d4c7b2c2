package main

import (
	"fmt"
	"slices"
	"time"
)

// turns are the times of the turns of one side.
type turns []time.Duration

func (t turns) median() time.Duration { return median(t) }

// spread is how far the turns are from their median.
func (t turns) spread() string {
	m := t.median().Seconds()
	return fmt.Sprintf("-%.0f%% +%.0f%%", 100*(1-slices.Min(t).Seconds()/m), 100*(slices.Max(t).Seconds()/m-1))
}

// ratios divide the times of one side by those that the other side had in the same
// turns. What slows the machine down, or a database that grows, meets both sides of
// a turn, so the ratios vary less than the times do.
type ratios []float64

func over(a, b turns) ratios {
	r := make(ratios, len(a))
	for i := range a {
		r[i] = a[i].Seconds() / b[i].Seconds()
	}
	return r
}

func (r ratios) String() string { return fmt.Sprintf("%.2f", median(r)) }

func (r ratios) spread() string { return fmt.Sprintf("%.2f to %.2f", slices.Min(r), slices.Max(r)) }

func median[T float64 | time.Duration](list []T) T {
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// perSecond is a rate for reading: of so many records in a turn.
func perSecond(records int, d time.Duration) string {
	return fmt.Sprintf("%.0f records/s", float64(records)/d.Seconds())
}

// short is a time for reading: to three or four digits.
func short(d time.Duration) string {
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 1000).String()
		}
	}
	return d.String()
}

// count is a number of records for reading: 5,000,000.
func count(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
