package paginate_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/paginate"
)

func benchToken() paginate.Token {
	return paginate.Token{Binding: binding, Mark: 1_000_000, Seen: 5000, Keys: []paginate.Value{
		paginate.Time(noon),
		paginate.Decimal(decimal.RequireFromString("13438.712904456820057")),
		paginate.String("compute"),
		paginate.String("00000000-0000-4000-8000-0000000000a1"),
	}}
}

func BenchmarkSeal(b *testing.B) {
	s := newSealer(b, paginate.Options{Lifetime: time.Hour})
	token := benchToken()
	b.ReportAllocs()
	for b.Loop() {
		if text, err := s.Seal(token); err != nil || text == "" {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := newSealer(b, paginate.Options{Lifetime: time.Hour})
	text, err := s.Seal(benchToken())
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if out, err := s.Open(text, binding); err != nil || out.Mark != 1_000_000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompareKeys(b *testing.B) {
	x, y := benchToken().Keys, benchToken().Keys
	y[3] = paginate.String("00000000-0000-4000-8000-0000000000a2")
	b.ReportAllocs()
	for b.Loop() {
		if paginate.CompareKeys(x, y, paginate.Ascending, paginate.Descending) != -1 {
			b.Fatal("wrong order")
		}
	}
}
