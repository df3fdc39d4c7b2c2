package usage

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
)

// What is kept of a job with very many errors is bounded, and every failed
// record has an error all the same.
func TestRoomForErrors(t *testing.T) {
	t.Parallel()
	w := &jobWork{errors: map[int]jobError{}}
	for i := range 100 {
		w.records = append(w.records, Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: "m", Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			Values: Values{}.WithNumber(QuantityName, aggregate.Int(1))})
		w.notes = append(w.notes, fmt.Appendf(nil, "note %d", i))
		if i%2 == 0 {
			w.errors[i] = jobError{Index: i, State: ItemFailed, Violations: storedViolations(make([]Violation, 40))}
		}
	}
	head, err := marshal(&jobHead{Form: taskForm, Count: 100})
	require.NoError(t, err)
	read := func(room int) []JobError {
		body, err := w.marshalErrors(room)
		require.NoError(t, err)
		list, err := jobErrorsOf(&Task{Head: head, Body: body})
		require.NoError(t, err)
		require.Len(t, list, 50)
		for k, e := range list {
			require.Equal(t, 2*k, e.Index)
			require.Equal(t, fmt.Sprintf("note %d", 2*k), string(e.Note))
		}
		return list
	}
	for _, e := range read(1 << 20) {
		require.Equal(t, fmt.Sprint(e.Index), e.Record.ID)
		require.Len(t, e.Violations, maxJobViolations)
	}
	list := read(5000)
	require.Equal(t, "0", list[0].Record.ID)
	require.Len(t, list[0].Violations, maxJobViolations)
	require.Empty(t, list[49].Record.ID)
	require.Len(t, list[49].Violations, 1)
}
