package memstore_test

import (
	"testing"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(testing.TB) usage.Store { return memstore.New(nil) }, &storetest.Options{NotDurable: true})
}

// Segments of a few rows bring every case to sealed segments, to the rows that
// wait to be sealed and to the switch between.
func TestContractOfSegments(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(testing.TB) usage.Store { return memstore.NewSegments(3) }, &storetest.Options{NotDurable: true})
}
