package aggregate

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

const benchValues = 4096

// benchCoefs are coefficients at six places, as a column would store them.
func benchCoefs() []int64 {
	rnd := rand.New(rand.NewPCG(1, 1))
	coefs := make([]int64, benchValues)
	for i := range coefs {
		coefs[i] = rnd.Int64N(2e12) - 1e11
	}
	return coefs
}

func benchNumbers() []Number {
	numbers := make([]Number, benchValues)
	for i, c := range benchCoefs() {
		numbers[i] = Fixed(c, 6)
	}
	return numbers
}

// perValue reports the time of one of the values that every loop adds.
func perValue(b *testing.B, values int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(values), "ns/value")
}

func BenchmarkSum4096(b *testing.B) {
	coefs, numbers := benchCoefs(), benchNumbers()
	decimals := make([]decimal.Decimal, len(numbers))
	want := new(big.Int)
	for i, n := range numbers {
		decimals[i] = n.Decimal()
		want.Add(want, big.NewInt(coefs[i]))
	}
	text := decimal.NewFromBigInt(want, -6).String()
	b.Run("AddFixed", func(b *testing.B) {
		b.ReportAllocs()
		var s Sum
		for b.Loop() {
			s = Sum{}
			for _, c := range coefs {
				s.AddFixed(c, 6)
			}
		}
		perValue(b, benchValues)
		require.Equal(b, text, s.String())
	})
	b.Run("AddFixed/narrower", func(b *testing.B) {
		b.ReportAllocs()
		var s Sum
		for b.Loop() {
			s = Sum{scale: 15}
			for _, c := range coefs {
				s.AddFixed(c, 6)
			}
		}
		perValue(b, benchValues)
		require.Equal(b, text, s.String())
	})
	b.Run("AddFixed/beyond128bits", func(b *testing.B) {
		b.ReportAllocs()
		var s Sum
		for b.Loop() {
			s, _ = ParseSum("1e60")
			for _, c := range coefs {
				s.AddFixed(c, 6)
			}
			s.Sub(mustParse(b, "1e30"))
		}
		perValue(b, benchValues)
		require.Positive(b, s.Sign())
	})
	b.Run("AddBlock", func(b *testing.B) {
		b.ReportAllocs()
		var s Sum
		for b.Loop() {
			s = Sum{}
			s.AddBlock(coefs, 6)
		}
		perValue(b, benchValues)
		require.Equal(b, text, s.String())
	})
	b.Run("AddNumber", func(b *testing.B) {
		b.ReportAllocs()
		var s Sum
		for b.Loop() {
			s = Sum{}
			for _, n := range numbers {
				s.Add(n)
			}
		}
		perValue(b, benchValues)
		require.Equal(b, text, s.String())
	})
	b.Run("AddNumber/wide", func(b *testing.B) {
		wide := make([]Number, benchValues)
		for i := range wide {
			wide[i] = mustParse(b, fmt.Sprintf("%d.1234567890123456789", i+1000))
		}
		b.ReportAllocs()
		var s Sum
		for b.Loop() {
			s = Sum{}
			for _, n := range wide {
				s.Add(n)
			}
		}
		perValue(b, benchValues)
		require.Positive(b, s.Sign())
	})
	b.Run("Merge", func(b *testing.B) {
		sums := make([]Sum, benchValues)
		for i, n := range numbers {
			sums[i].Add(n)
		}
		b.ReportAllocs()
		var s Sum
		for b.Loop() {
			s = Sum{}
			for i := range sums {
				s.Merge(&sums[i])
			}
		}
		perValue(b, benchValues)
		require.Equal(b, text, s.String())
	})
	b.Run("naive/decimal", func(b *testing.B) {
		b.ReportAllocs()
		var s decimal.Decimal
		for b.Loop() {
			s = decimal.Decimal{}
			for _, d := range decimals {
				s = s.Add(d)
			}
		}
		perValue(b, benchValues)
		require.Equal(b, text, s.String())
	})
}

func BenchmarkSummary4096(b *testing.B) {
	coefs, numbers := benchCoefs(), benchNumbers()
	var s Summary
	b.Run("AddFixed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s = Summary{}
			for _, c := range coefs {
				s.AddFixed(c, 6)
			}
		}
		perValue(b, benchValues)
		require.Equal(b, int64(benchValues), s.Count)
	})
	want := s
	b.Run("AddBlock", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s = Summary{}
			s.AddBlock(coefs, 6)
		}
		perValue(b, benchValues)
		require.True(b, s.Equal(&want))
	})
	b.Run("Add", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s = Summary{}
			for _, n := range numbers {
				s.Add(n)
			}
		}
		perValue(b, benchValues)
		require.True(b, s.Equal(&want))
	})
	b.Run("Merge", func(b *testing.B) {
		parts := make([]Summary, benchValues)
		for i, n := range numbers {
			parts[i].Add(n)
		}
		b.ReportAllocs()
		for b.Loop() {
			s = Summary{}
			for i := range parts {
				s.Merge(&parts[i])
			}
		}
		perValue(b, benchValues)
		require.True(b, s.Equal(&want))
	})
}

func BenchmarkNumber(b *testing.B) {
	n := mustParse(b, "12345.678901")
	d := n.Decimal()
	var buf [80]byte
	for _, c := range []struct{ name, text string }{
		{"short", "1.5"}, {"usual", "12345.678901"}, {"wide", "123456789012345678901.123456789012345"},
		{"bomb", "1e999999999"},
	} {
		b.Run("Parse/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseNumber(c.text)
			}
		})
	}
	b.Run("Parse/naive", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = decimal.NewFromString("12345.678901")
		}
	})
	b.Run("NumberOf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = NumberOf(d)
		}
	})
	b.Run("Decimal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = n.Decimal()
		}
	})
	b.Run("AppendText", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = n.AppendText(buf[:0])
		}
	})
	b.Run("Cmp", func(b *testing.B) {
		o := Int(7)
		b.ReportAllocs()
		for b.Loop() {
			_ = n.Cmp(o)
		}
	})
}

// BenchmarkLocate finds the windows of instants of 90 days, in event time (as
// a scan does) and at random.
func BenchmarkLocate4096(b *testing.B) {
	const start, days = int64(1_767_225_600_000_000), 90 // 2026-01-01
	rnd := rand.New(rand.NewPCG(2, 2))
	ordered, random := make([]int64, benchValues), make([]int64, benchValues)
	for i := range ordered {
		ordered[i] = start + int64(i)*days*86400e6/benchValues
		random[i] = start + rnd.Int64N(days*86400e6)
	}
	for _, zone := range []string{"UTC", "Europe/Zurich", "Asia/Kolkata"} {
		for _, unit := range []Unit{Hour, Day, Month, BillingCycle} {
			w := Window{Unit: unit, Location: loadZone(b, zone)}
			for _, order := range []struct {
				name     string
				instants []int64
			}{{"ordered", ordered}, {"random", random}} {
				name := zone + "/" + unit.String() + "/" + order.name
				b.Run(name+"/Window", func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						for _, us := range order.instants {
							if from, to := w.Locate(us); us < from || us >= to {
								b.Fatal("not in its window")
							}
						}
					}
					perValue(b, benchValues)
				})
				b.Run(name+"/Locator", func(b *testing.B) {
					b.ReportAllocs()
					l := w.Locator()
					for b.Loop() {
						for _, us := range order.instants {
							if from, to := l.Locate(us); us < from || us >= to {
								b.Fatal("not in its window")
							}
						}
					}
					perValue(b, benchValues)
				})
			}
		}
	}
}

func BenchmarkFloor(b *testing.B) {
	const us = int64(1_767_225_612_345_678)
	for _, unit := range []Unit{Hour, Day, Month} {
		b.Run(unit.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if Floor(unit, us) > us || Next(unit, us) <= us {
					b.Fatal("not in its unit")
				}
			}
		})
	}
}

func BenchmarkAligned(b *testing.B) {
	w := Window{Unit: Hour, Location: loadZone(b, "Europe/Zurich")}
	b.ReportAllocs()
	for b.Loop() {
		if !w.Aligned(Hour, 1_767_225_600_000_000, 1_767_225_600_000_000+365*86400e6) {
			b.Fatal("not aligned")
		}
	}
}

func BenchmarkFolder4096(b *testing.B) {
	coefs := benchCoefs()
	w := Window{Unit: Day, Location: loadZone(b, "Europe/Zurich")}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		f := NewFolder[int32](w)
		for i, c := range coefs {
			f.AddFixed(int32(i&7), 1_767_225_600_000_000+int64(i)*600e6, c, 6)
		}
		n = f.Len()
	}
	perValue(b, benchValues)
	require.Equal(b, 8*29, n)
}
