package aggregate

import (
	"fmt"
	"strings"
)

// A Unit is the kind of a [Window]. The zero value is None.
type Unit uint8

// The units of windows.
const (
	None         Unit = iota // one window over all time
	Hour                     // from minute 00 to the next minute 00 of the zone's clock
	Day                      // a local date
	Week                     // an ISO week, from Monday
	Month                    // a calendar month
	Quarter                  // three months from January, April, July or October
	Year                     // a calendar year
	BillingCycle             // a month from an anchor day and hour
)

var unitNames = [...]string{"none", "hour", "day", "week", "month", "quarter", "year", "billingcycle"}

// unitAdverbs are the other spellings that requests use.
var unitAdverbs = map[string]Unit{
	"hourly": Hour, "daily": Day, "weekly": Week, "monthly": Month, "quarterly": Quarter,
	"yearly": Year, "annual": Year, "annually": Year,
	"billing_cycle": BillingCycle, "billing-cycle": BillingCycle,
}

// String returns the unit's name in lower case, as [ParseUnit] reads it.
func (u Unit) String() string {
	if int(u) < len(unitNames) {
		return unitNames[u]
	}
	return fmt.Sprintf("unit(%d)", uint8(u))
}

// ParseUnit reads the name of a unit, in any case: none, hour or hourly, day
// or daily, week or weekly, month or monthly, quarter or quarterly, year,
// yearly or annual, billingcycle. The error wraps [ErrUnit].
func ParseUnit(text string) (Unit, error) {
	if len(text) <= 16 {
		name := strings.ToLower(text)
		for u, n := range unitNames {
			if n == name {
				return Unit(u), nil
			}
		}
		if u, ok := unitAdverbs[name]; ok {
			return u, nil
		}
	}
	if len(text) > 40 {
		text = text[:40] + "..."
	}
	return None, fmt.Errorf("%w: %q: allowed are %s", ErrUnit, text, strings.Join(unitNames[:], ", "))
}

// MarshalText returns the unit's name. The error wraps [ErrUnit].
func (u Unit) MarshalText() ([]byte, error) {
	if int(u) >= len(unitNames) {
		return nil, fmt.Errorf("%w: %d", ErrUnit, uint8(u))
	}
	return []byte(unitNames[u]), nil
}

// UnmarshalText reads text as [ParseUnit] does.
func (u *Unit) UnmarshalText(text []byte) error {
	v, err := ParseUnit(string(text))
	if err != nil {
		return err
	}
	*u = v
	return nil
}
