package storetest_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage/storetest/internal/model"
)

// The model's calendar walks, the library's calculates. They share no code, so
// where they agree over the changes of many clocks both are right.
func TestModelCalendarAgreesWithAggregate(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Zurich", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu",
		"Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "America/St_Johns", "Pacific/Chatham", "Asia/Beirut"}
	units := map[model.Unit]aggregate.Unit{
		model.Hour: aggregate.Hour, model.Day: aggregate.Day, model.Week: aggregate.Week, model.Month: aggregate.Month,
		model.Quarter: aggregate.Quarter, model.Year: aggregate.Year, model.Cycle: aggregate.BillingCycle,
	}
	for _, zone := range zones {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			location, err := time.LoadLocation(zone)
			require.NoError(t, err)
			rng := rand.New(rand.NewPCG(7, uint64(len(zone))))
			// Instants around the changes of the clock, and others. Offsets are
			// multiples of 15 minutes from 2012 on in all of them.
			var instants []time.Time
			for day := time.Date(2011, 11, 7, 0, 0, 0, 0, time.UTC); day.Year() < 2027; day = day.AddDate(0, 0, 1) {
				_, before := day.In(location).Zone()
				_, after := day.AddDate(0, 0, 1).In(location).Zone()
				if before != after || rng.IntN(40) == 0 {
					for range 6 {
						instants = append(instants, day.Add(time.Duration(rng.Int64N(int64(30*time.Hour)))).Truncate(time.Microsecond))
					}
				}
			}
			for unit, other := range units {
				m, a := model.Window{Unit: unit, Location: location}, aggregate.Window{Unit: other, Location: location}
				for _, at := range instants {
					if unit == model.Cycle {
						m.Day, m.Hour = 1+rng.IntN(31), rng.IntN(24)
						a.AnchorDay, a.AnchorHour = m.Day, m.Hour
					}
					start, end := m.Bounds(at)
					from, to := a.Bounds(at)
					require.Truef(t, start.Equal(from) && end.Equal(to), "%v %v of %v: model %v to %v, library %v to %v",
						zone, a, at, start.UTC(), end.UTC(), from, to)
				}
			}
		})
	}
}
