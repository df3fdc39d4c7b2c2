package filter_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// slots is a row by slot.
type slots []filter.Value

func (s slots) Value(slot int) filter.Value { return s[slot] }

func bind(r row, p *filter.Program) filter.Row {
	s := make(slots, len(p.Fields()))
	for i, f := range p.Fields() {
		s[i] = r[f.Name]
	}
	return s
}

func sampleRow() row {
	return row{
		"name":     filter.String("Amazon Élastic Compute Cloud"),
		"region":   filter.String("EU-West-1"),
		"quantity": filter.Decimal(decimal.RequireFromString("123456789012345678901234567890.123456789012345")),
		"n":        filter.Number(9_000_000_000_000_000_000, 0),
		"billable": filter.Bool(true),
		"start":    filter.Micros(1_700_000_000_123_456),
		"day1":     filter.Date(19_000),
		"took":     filter.Duration(90_000_000_000),
		"tags":     filter.Items(objects{{filter.String("Alpha")}, {filter.String("Beta")}}),
		"lines": filter.Items(objects{
			{filter.Number(1999, 2), filter.String("a")},
			{filter.Decimal(decimal.RequireFromString("99999999999999999999.99")), filter.String("b")},
		}),
	}
}

// TestMatchAllocatesNothing covers each way in which an evaluation makes values:
// built strings, numbers beyond 64 bits, lambdas, casts, patterns.
func TestMatchAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	schema := errorSchema(t)
	for _, text := range []string{
		"name eq 'a' or region eq 'eu-west-1'",
		"name in ('a','b','c','d','e','f','g','h') or n in (1,2,3)",
		"quantity gt 5 and n lt 1e20 and start ge 2018-01-01",
		"quantity add n mul 3 sub 0.000000000000000001 gt quantity",
		"quantity div 7 lt quantity and quantity mod 7 lt 7 and -quantity lt 0",
		"n mul n gt n and n add n gt n and round(quantity) ge floor(quantity) and ceiling(quantity) gt 1",
		"tolower(name) eq 'x' or contains(toupper(name),'CLOUD')",
		"concat(name,concat('-',region)) eq 'x' or substring(name,8,7) eq 'Élastic' or indexof(name,'C') eq 15",
		"length(trim(name)) gt 3 and matchesPattern(name,'^A.*d$')",
		"tags/any(t:tolower(t) eq 'beta') and lines/all(l:l/price mul 1000000000000000000 gt 5) and tags/$count eq 2",
		"lines/aggregate(price with sum) gt 5 and lines/aggregate(price mul price with average) gt 5",
		"year(start) eq 2023 and hour(start) lt 24 and date(start) gt 2018-01-01 and fractionalseconds(start) lt 1",
		"start add took gt start and start sub start lt took and took mul 2.5 gt took and day1 add took eq day1",
		"cast(n,Edm.String) eq 'x' or cast(name,Edm.Decimal) eq null or cast(quantity,Edm.Int32) eq null",
		"case(n gt 5:'high',true:'low') eq 'high' and isdefined(name)",
		"quantity in (1,2,3.5,123456789012345678901234567890.123456789012345)",
	} {
		t.Run(text, func(t *testing.T) {
			p := program(t, text, schema)
			r := bind(sampleRow(), p)
			_, err := p.Match(r)
			require.NoError(t, err)
			require.Zero(t, testing.AllocsPerRun(200, func() { _, _ = p.Match(r) }))
		})
	}
}

func program(t testing.TB, text string, schema filter.Schema) *filter.Program {
	t.Helper()
	e, err := filter.Parse(text, nil)
	require.NoError(t, err, text)
	c, err := filter.Check(e, schema)
	require.NoError(t, err, text)
	return c.Compile()
}
