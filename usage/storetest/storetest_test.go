package storetest_test

import (
	"testing"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/storetest"
)

func TestRunOverAList(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(testing.TB) usage.Store { return newList() }, &storetest.Options{NotDurable: true})
}

func TestRunOverMemstore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openMemstore, &storetest.Options{NotDurable: true})
}

func openMemstore(testing.TB) usage.Store { return memstore.New(nil) }

func BenchmarkMemstore(b *testing.B) { storetest.Bench(b, openMemstore) }
