package memstore_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// conditionSchema names fields as the Book does.
type conditionSchema struct{}

func (conditionSchema) Field(name string) (filter.Field, bool) {
	f := filter.Field{Name: name, Type: filter.TypeString}
	switch {
	case name == "start" || name == "end" || name == "recorded":
		f.Type = filter.TypeTime
	case name == "verified" || name == "billable":
		f.Type = filter.TypeBool
	case name == "sequence" || strings.HasPrefix(name, "values/"):
		f.Type = filter.TypeDecimal
	}
	return f, true
}

func (conditionSchema) Names() []string { return nil }

// conditionRow reads a record without the help of a store.
type conditionRow struct {
	fields []filter.Field
	record *usage.Stored
}

func (r conditionRow) Value(slot int) filter.Value {
	s := r.record
	switch name := r.fields[slot].Name; name {
	case "id":
		return filter.String(s.ID)
	case "source":
		return filter.String(s.Source)
	case "tenant":
		return filter.String(s.Tenant)
	case "meter":
		return filter.String(s.Meter)
	case "start":
		return filter.Time(s.Start)
	case "end":
		if s.End.IsZero() {
			return filter.Null()
		}
		return filter.Time(s.End)
	case "recorded":
		return filter.Time(s.Recorded)
	case "sequence":
		return filter.Number(int64(s.Sequence), 0)
	case "billable":
		return filter.Bool(s.Verdict.Billable)
	case "verified":
		if s.Verdict.State == rules.NoRule {
			return filter.Null()
		}
		return filter.Bool(s.Verdict.State == rules.Verified)
	default:
		if value, ok := strings.CutPrefix(name, "values/"); ok {
			if n, ok := s.Values.Number(value); ok {
				return filter.Decimal(n.Decimal())
			}
			return filter.Null()
		}
		if v, ok := s.Dimensions.Get(strings.TrimPrefix(name, "dimensions/")); ok {
			return filter.String(v)
		}
	}
	return filter.Null()
}

func checked(t testing.TB, text string) *filter.Checked {
	t.Helper()
	e, err := filter.Parse(text, nil)
	require.NoError(t, err, text)
	c, err := filter.Check(e, conditionSchema{})
	require.NoError(t, err, text)
	return c
}

// term returns a random condition: mostly those that are decided by block, and some
// that are not, or that fail.
func (w *workload) term(depth int) string {
	number := func() string {
		return pick(w, "0", "1", "12.5", "-3.14", "0.000000000000000000000000000001", "9223372036854775807", "-9223372036854775808", "9223372036854775807.5", "1e30", "-1e30",
			w.number().String())
	}
	value := func() string { return "values/" + pick(w, "quantity", "quantity", "cost", "weight", "absent") }
	op := func() string { return pick(w, "gt", "ge", "lt", "le", "eq", "ne") }
	if depth > 0 && w.IntN(2) == 0 {
		terms := []string{w.term(depth - 1), w.term(depth - 1), w.term(depth - 1)}[:2+w.IntN(2)]
		return pick(w, "", "not ") + "(" + strings.Join(terms, pick(w, " and ", " or ")) + ")"
	}
	switch w.IntN(14) {
	case 0:
		return fmt.Sprintf("%s in (%s,%s%s)", value(), number(), number(), pick(w, "", ",null"))
	case 1:
		return fmt.Sprintf("%s %s null", value(), pick(w, "eq", "ne"))
	case 2:
		return fmt.Sprintf("start %s %s", op(), w.start().Format("2006-01-02T15:04:05.999999Z"))
	case 3:
		return fmt.Sprintf("start %s %s0000001Z", op(), w.start().Format("2006-01-02T15:04:05."))
	case 4:
		return pick(w, "verified", "not verified", "billable eq false", "end ne null", "dimensions/host eq 'x'", "meter ne 'cpu'", "tenant eq 'acme'", "source eq 'a'",
			"id gt '5'", "sequence gt 9", "recorded gt 2026-03-28T12:20:00Z", "dimensions/region eq null")
	case 5:
		return pick(w, "10 div values/quantity gt 1", "values/cost add values/quantity gt 3", "values/weight lt values/quantity", "1 div (sequence sub 7) ne 0")
	}
	return fmt.Sprintf("%s %s %s", value(), op(), number())
}

func (w *workload) condition(t testing.TB) *filter.Checked {
	text := w.term(2)
	for range w.IntN(3) {
		text += " and " + w.term(2)
	}
	return checked(t, text)
}

// Comparisons are exact at both ends of what a column holds, and where the constant
// has more places than the column or none of its numbers is near.
func TestWhereAtTheEnds(t *testing.T) {
	t.Parallel()
	numbers := []decimal.Decimal{decimal.NewFromInt(math.MinInt64), decimal.NewFromInt(math.MinInt64 + 1), decimal.NewFromInt(-1), decimal.Zero,
		decimal.NewFromInt(1), decimal.NewFromInt(math.MaxInt64 - 1), decimal.NewFromInt(math.MaxInt64)}
	for _, exponent := range []int32{0, -6} {
		s := memstore.NewSegments(3)
		book, err := usage.New(s, nil)
		require.NoError(t, err)
		var records []usage.Record
		for i, n := range numbers {
			records = append(records, usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: "m", Start: clockStart, Values: usage.Quantity(n.Shift(exponent))})
		}
		records = append(records, usage.Record{Tenant: "acme", Source: "s", ID: "none", Meter: "m", Start: clockStart, Values: usage.Values{}.With("cost", decimal.Zero)})
		_, err = book.Append(t.Context(), records...)
		require.NoError(t, err)
		for _, n := range numbers {
			for _, off := range []decimal.Decimal{decimal.Zero, decimal.New(5, -9), decimal.New(-5, -9), decimal.NewFromInt(1), decimal.NewFromInt(-1)} {
				constant := n.Shift(exponent).Add(off)
				for op, holds := range map[string]func(c int) bool{
					"gt": func(c int) bool { return c > 0 }, "ge": func(c int) bool { return c >= 0 }, "lt": func(c int) bool { return c < 0 },
					"le": func(c int) bool { return c <= 0 }, "eq": func(c int) bool { return c == 0 }, "ne": func(c int) bool { return c != 0 },
				} {
					want := int64(0)
					for _, x := range numbers {
						if holds(x.Shift(exponent).Cmp(constant)) {
							want++
						}
					}
					if op == "ne" {
						want++ // the one without a quantity
					}
					text := fmt.Sprintf("values/quantity %s %s", op, constant)
					got := int64(0)
					read := usage.GroupRead{Where: checked(t, text), Group: func(*usage.Series, usage.VerdictClass) int { return 0 },
						Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 8}, Class: usage.Plain}}
					for row, err := range s.Group(t.Context(), read) {
						require.NoError(t, err)
						got += row.Records
					}
					require.Equal(t, want, got, text)
				}
			}
		}
	}
}

// A condition on a value costs a block, and not a record, its allocations.
func BenchmarkGroupWhere_1M(b *testing.B) {
	d := benchData()
	for name, text := range map[string]string{
		"none": "", "one": "values/quantity gt 12.5", "either": "values/quantity gt 990 or values/quantity lt 12.5",
		"computed": "values/quantity mul 2 gt 25", "mixed": "values/quantity gt 12.5 and (id gt '8' or values/quantity gt 500)",
	} {
		b.Run(name, func(b *testing.B) {
			read := usage.GroupRead{Values: []string{usage.QuantityName}, Figures: []usage.Figures{usage.FigureSum},
				Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: benchRecords}, Class: usage.Plain},
				Group: func(s *usage.Series, _ usage.VerdictClass) int {
					v, _ := s.Dimensions.Get("region")
					return len(v)
				}}
			if text != "" {
				read.Where = checked(b, text)
			}
			b.ReportAllocs()
			for b.Loop() {
				var sum aggregate.Sum
				for row, err := range d.store.Group(b.Context(), read) {
					if err != nil {
						b.Fatal(err)
					}
					sum.Merge(&row.Values[0].Sum)
				}
				if sum.IsZero() {
					b.Fatal("nothing adds up to nothing")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
		})
	}
}
