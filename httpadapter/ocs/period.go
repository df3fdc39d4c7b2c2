package ocs

import (
	"fmt"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
)

// maxDays is the longest range of days, both ends counted: a leap year.
const maxDays = 366

// maxCycles is the number of completed billing cycles that are shown.
const maxCycles = 12

// period is a day or a billing cycle, half-open.
type period struct{ start, end time.Time }

// days reads the range of the request: nil when it asks for billing cycles.
func days(c *httpadapter.Call) ([]period, error) {
	first, last := c.Param("start"), c.Param("end")
	if first == "" {
		if last != "" {
			return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Field: "start", Message: "'end' is given without 'start'.",
				Allowed: "Give 'start' too, or neither to read billing cycles."}
		}
		return nil, nil
	}
	from, err := day("start", first)
	if err != nil {
		return nil, err
	}
	to := from
	if last != "" {
		if to, err = day("end", last); err != nil {
			return nil, err
		}
	}
	if to.Before(from) {
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Field: "end", Message: "'end' is before 'start'.", Allowed: "Give an 'end' that is on the day of 'start' or later."}
	}
	if n := int(to.Sub(from)/(24*time.Hour)) + 1; n > maxDays {
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Field: "end", Message: fmt.Sprintf("The range has %d days.", n),
			Allowed: fmt.Sprintf("At most %d days are allowed; ask for the range in parts.", maxDays)}
	}
	var out []period
	for d := from; !d.After(to); d = d.AddDate(0, 0, 1) {
		out = append(out, period{d, d.AddDate(0, 0, 1)})
	}
	return out, nil
}

// layouts of the instants that are understood; fractions of a second are
// understood everywhere.
var layouts = []string{time.RFC3339, "2006-01-02", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05"}

// day returns the UTC day of an instant.
func day(name, text string) (time.Time, error) {
	bad := &httpadapter.Problem{Kind: httpadapter.Invalid, Field: name, Message: fmt.Sprintf("'%s' is not a date: %q.", name, clip(text)),
		Allowed: "Give a date such as 2020-03-25, or an instant such as 2020-03-25T12:06:05-07:00."}
	if len(text) > 64 {
		return time.Time{}, bad
	}
	// A plus that was not escaped arrives as a blank.
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, ' '); i > len("2006-01-02") {
		text = text[:i] + "+" + text[i+1:]
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		t = t.UTC()
		if t.Year() < 1 || t.Year() > 9998 {
			return time.Time{}, bad
		}
		return t.Truncate(24 * time.Hour), nil
	}
	return time.Time{}, bad
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

// cycles returns the billing cycles of a tenant: from the one that holds its
// start to the one that holds now, at most twelve completed and that one. The
// last is the running one.
func cycles(anchor int, since, now time.Time) []period {
	w := aggregate.Window{Unit: aggregate.BillingCycle, AnchorDay: anchor}
	var out []period
	for from, to := w.Bounds(now); len(out) <= maxCycles && since.Before(to); from, to = w.Bounds(from.Add(-time.Microsecond)) {
		out = append(out, period{from, to})
		if from.Year() <= 1 {
			break
		}
	}
	for i, k := 0, len(out)-1; i < k; i, k = i+1, k-1 {
		out[i], out[k] = out[k], out[i]
	}
	return out
}
