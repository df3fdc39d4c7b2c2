package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
)

// BenchmarkBooking reads and books the 1,000 lines of the sample into an empty
// book; reading alone is the part that this program adds to the book's.
func BenchmarkBooking(b *testing.B) {
	for _, name := range []string{"read", "book"} {
		b.Run(name+"/lines=1000", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(sampleCSV)))
			for b.Loop() {
				m := &mapping{tenant: "t", source: "s", meter: "m", targets: append([]target(nil), focusTargets...), times: parseTime, digits: 8}
				lines, file, err := embedded("sample.csv", sampleCSV).lines(m, parseNull(`NULL,\N,empty`), ',', func(int) {})
				require.NoError(b, err)
				n := 0
				if name == "read" {
					for l, err := lines.next(); err == nil; l, err = lines.next() {
						_, bad := m.record(l)
						require.Nil(b, bad)
						n++
					}
				} else {
					book, err := usage.New(newStore(b), &usage.Options{Meters: m.catalogue()})
					require.NoError(b, err)
					t, err := (&booking{book: book, mapping: m, batch: 1000, refused: func(refusal) error { return nil }}).run(b.Context(), lines)
					require.NoError(b, err)
					n = t.booked
				}
				require.Equal(b, 1000, n)
				require.NoError(b, file.Close())
			}
		})
	}
}
