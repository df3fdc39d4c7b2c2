package filter_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// rulesRow is what the cases of TestRules look at; what it does not name is null.
func rulesRow(t testing.TB) row {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, "2024-02-29T23:59:59.123456Z")
	require.NoError(t, err)
	return row{
		"name":     filter.String("Ünï%_'x"),
		"region":   filter.String("EU-West"),
		"quantity": filter.Decimal(decimal.RequireFromString("2.5")),
		"n":        filter.Number(7, 0),
		"billable": filter.Bool(true),
		"start":    filter.Time(at),
		"day1":     filter.Date(19_782), // 2024-02-29
		"clock":    filter.TimeOfDay(11*time.Hour + 22*time.Minute + 33*time.Second + 500*time.Millisecond),
		"took":     filter.Duration(90 * time.Minute),
		"tags":     filter.Items(objects{{filter.String("a")}, {filter.Null()}, {filter.String("Z")}}),
		"lines": filter.Items(objects{
			{filter.Number(15, 1), filter.String("a")}, {filter.Number(25, 1), filter.String("b")}, {filter.Null(), filter.String("a")},
		}),
	}
}

// rulesNulls has no value at all.
var rulesNulls = row{"lines": filter.Items(objects{})}

// TestRules holds one case or more for each rule, under the section of OData 4.01
// part 2 (URL conventions) that has it. The value is that of the expression for
// rulesRow, and after the bar for rulesNulls.
func TestRules(t *testing.T) {
	t.Parallel()
	schema := errorSchema(t)
	for _, c := range []struct{ section, text, value, nulls string }{
		{"5.1.1.1.1 equals", "quantity eq 2.50", "true", "false"},
		{"5.1.1.1.1 null equals null alone", "name eq null", "false", "true"},
		{"5.1.1.1.1 null equals null", "null eq null", "true", "true"},
		{"5.1.1.1.2 not equals keeps null", "name ne 'x'", "true", "true"},
		{"5.1.1.1.2 not equals null", "name ne null", "true", "false"},
		{"5.1.1.1.3 greater with null is false", "quantity gt 1", "true", "false"},
		{"5.1.1.1.3 and its negation true", "not (quantity gt 1)", "false", "true"},
		{"5.1.1.1.3 null gt null is false", "null gt null", "false", "false"},
		{"5.1.1.1.4 null ge null follows eq", "null ge null", "true", "true"},
		{"5.1.1.1.4 field ge null", "n ge null", "false", "true"},
		{"5.1.1.1.4 two null fields", "n ge quantity", "true", "true"},
		{"5.1.1.1.5 less", "n lt 7.0001", "true", "false"},
		{"5.1.1.1.5 two null fields", "n lt quantity", "false", "false"},
		{"5.1.1.1.6 less or equal", "n le 7", "true", "false"},
		{"5.1.1.1 booleans order false before true", "billable gt false", "true", "false"},
		{"5.1.1.1 literal first", "5 lt n", "true", "false"},
		{"5.1.1.1 numbers across scale", "10 eq 10.0 and 10 eq 1e1 and 10m eq 10", "true", "true"},
		{"5.1.1.1 big integers are exact", "9007199254740993 eq 9007199254740992", "false", "false"},
		{"5.1.1.1 decimals are exact", "0.1 add 0.2 eq 0.3", "true", "true"},
		{"5.1.1.1 strings by bytes", "'Z' lt 'a' and 'a' lt 'ä' and 'ｚ' lt '😀'", "true", "true"},
		{"5.1.1.1 strings are case-sensitive", "name eq 'ünï%_''x'", "false", "false"},
		{"5.1.1.1 a field with FoldCase is not", "region eq 'eu-WEST'", "true", "false"},
		{"5.1.1.1 FoldCase in order", "region lt 'EU-X'", "true", "false"},
		{"5.1.1.1 FoldCase in in", "region in ('x','Eu-west')", "true", "false"},
		{"5.1.1.1 FoldCase in functions", "contains(region,'WES') and startswith(region,'eu') and endswith(region,'WEST') and indexof(region,'w') eq 3", "true", "false"},
		{"5.1.1.1 FoldCase through functions", "trim(region) eq 'eu-west' and concat(region,'X') eq 'EU-WESTx'", "true", "false"},
		{"5.1.1.1 FoldCase in a collection", "region in tags or 'z' in tags", "false", "false"},
		{"5.1.1.1 instants in any offset", "start eq 2024-03-01T01:59:59.123456+02:00", "true", "false"},
		{"5.1.1.1 instants below the microsecond", "start lt 2024-02-29T23:59:59.123456000001Z", "true", "false"},
		{"5.1.1.1 a date against an instant is its midnight", "start gt 2024-02-29 and start lt 2024-03-01", "true", "false"},
		{"5.1.1.1 dates", "day1 eq 2024-02-29 and day1 lt 2024-03-01", "true", "false"},
		{"5.1.1.1 times of day", "clock gt 11:22 and clock lt 11:22:33.6", "true", "false"},
		{"5.1.1.1 durations", "took eq duration'PT1H30M' and took lt duration'P1D'", "true", "false"},
		{"5.1.1.1.7 and", "billable and n eq 7", "true", "false"},
		{"5.1.1.1.7 null and false is false", "null and false", "false", "false"},
		{"5.1.1.1.7 null and true is null", "null and true", "null", "null"},
		{"5.1.1.1.7 three of them", "true and null and true", "null", "null"},
		{"5.1.1.1.8 or", "billable or n eq 8", "true", "null"},
		{"5.1.1.1.8 null or true is true", "null or true", "true", "true"},
		{"5.1.1.1.8 null or false is null", "null or false or false", "null", "null"},
		{"5.1.1.1.9 not", "not billable", "false", "null"},
		{"5.1.1.1.9 not null is null", "not null", "null", "null"},
		{"5.1.1.1.9 not binds tighter than eq", "not billable eq false", "true", "false"},
		{"5.1.1.1.9 not without space", "not(n eq 8)", "true", "true"},
		{"5.1.1.1.11 in", "n in (1,7.0,9)", "true", "false"},
		{"5.1.1.1.11 null in a list", "n in (1,null)", "false", "true"},
		{"5.1.1.1.11 not in keeps null", "not n in (1,2)", "true", "true"},
		{"5.1.1.1.11 many strings", "name in ('1','2','3','4','5','6','7','8','Ünï%_''x')", "true", "false"},
		{"5.1.1.1.11 an empty list", "n in ()", "false", "false"},
		{"5.1.1.1.11 dates in a list", "start in (2024-02-29,2024-02-29T23:59:59.123456Z)", "true", "false"},
		{"5.1.1.1.11 a collection", "'Z' in tags", "true", "false"},
		{"5.1.1.1.11 null in a collection", "null in tags", "true", "false"},
		{"5.1.1.1.11 a condition", "(n eq 7) in (true)", "true", "false"},
		{"5.1.1.1.11 binds tighter than minus", "-n in (1)", "error", "error"},
		{"5.1.1.2.1 add", "quantity add 2.45", "4.95", "null"},
		{"5.1.1.2.1 beyond 64 bits", "9223372036854775807 add n", "9223372036854775814", "null"},
		{"5.1.1.2.1 instant and duration", "start add duration'P1DT0.876544S'", "2024-03-02T00:00:00Z", "null"},
		{"5.1.1.2.1 duration and instant", "took add start", "2024-03-01T01:29:59.123456Z", "null"},
		{"5.1.1.2.1 date and duration, whole days", "day1 add duration'P1DT23H'", "2024-03-01", "null"},
		{"5.1.1.2.1 durations", "took add duration'PT30M'", "PT2H", "null"},
		{"5.1.1.2.2 sub", "quantity sub 0.55", "1.95", "null"},
		{"5.1.1.2.2 instants", "start sub 2024-02-29T00:00:00Z", "PT23H59M59.123456S", "null"},
		{"5.1.1.2.2 dates", "day1 sub 2024-01-01", "P59D", "null"},
		{"5.1.1.2.2 date and duration towards zero", "day1 sub duration'PT12H'", "2024-02-29", "null"},
		{"5.1.1.2.3 negate", "-quantity", "-2.5", "null"},
		{"5.1.1.2.3 negate a duration", "-took", "-PT1H30M", "null"},
		{"5.1.1.2.3 minus binds tighter than mul", "-n mul 2", "-14", "null"},
		{"5.1.1.2.4 mul", "quantity mul 2.0", "5", "null"},
		{"5.1.1.2.4 mul of a duration", "took mul 2 add 0.5 mul took", "PT3H45M", "null"},
		{"5.1.1.2.5 div of whole numbers truncates", "n div 2", "3", "null"},
		{"5.1.1.2.5 div of negative whole numbers", "-7 div 2", "-3", "-3"},
		{"5.1.1.2.5 div with a decimal", "n div 2.0", "3.5", "null"},
		{"5.1.1.2.5 divby", "n divby 2", "3.5", "null"},
		{"5.1.1.2.5 a quotient that does not end", "2.0 div 3", "0.6666666666666666666666666666666667", "0.6666666666666666666666666666666667"},
		{"5.1.1.2.5 division by zero", "n div 0", "error", "null"},
		{"5.1.1.2.5 division by decimal zero", "quantity divby 0.00", "error", "null"},
		{"5.1.1.2.5 duration by number", "took div 4", "PT22M30S", "null"},
		{"5.1.1.2.6 mod", "n mod 4", "3", "null"},
		{"5.1.1.2.6 mod has the sign of the left", "-7 mod 4", "-3", "-3"},
		{"5.1.1.2.6 mod of decimals", "5.5 mod 2", "1.5", "1.5"},
		{"5.1.1.2.6 mod by zero", "n mod 0", "error", "null"},
		{"5.1.1.2 null", "n add null", "null", "null"},
		{"5.1.1.2 results beyond 100 digits", "1e99 mul n mul 10", "error", "null"},
		{"5.1.1.3 parentheses", "(4 add 5) mod (4 sub 1)", "0", "0"},
		{"5.1.1.5.1 concat", "concat(concat(name,'-'),region)", "Ünï%_'x-EU-West", "null"},
		{"5.1.1.5.2 contains, % is plain", "contains(name,'%_')", "true", "null"},
		{"5.1.1.5.2 contains with null", "contains(null,'x')", "null", "null"},
		{"5.1.1.5.3 endswith", "endswith(name,'''x')", "true", "null"},
		{"5.1.1.5.4 indexof counts characters", "indexof(name,'%')", "3", "null"},
		{"5.1.1.5.4 indexof of nothing", "indexof(name,'zz')", "-1", "null"},
		{"5.1.1.5.4 indexof of the empty string", "indexof(name,'')", "0", "null"},
		{"5.1.1.5.5 length counts characters", "length(name)", "7", "null"},
		{"5.1.1.5.6 startswith", "startswith(name,'Ün')", "true", "null"},
		{"5.1.1.5.7 substring", "substring(name,1)", "nï%_'x", "null"},
		{"5.1.1.5.7 substring with length", "substring(name,1,2)", "nï", "null"},
		{"5.1.1.5.7 a start past the end", "substring(name,99,2)", "", "null"},
		{"5.1.1.5.7 a length past the end", "substring(name,6,1e30)", "x", "null"},
		{"5.1.1.5.7 a negative start", "substring(name,-1)", "error", "null"},
		{"5.1.1.5.7 a negative length", "substring(name,0,-1)", "error", "null"},
		{"5.1.1.7.1 matchesPattern finds anywhere", "matchesPattern(name,'n.%')", "true", "null"},
		{"5.1.1.7.1 anchored", "matchesPattern(name,'^Ü.*x$')", "true", "null"},
		{"5.1.1.7.1 null pattern", "matchesPattern(name,null)", "null", "null"},
		{"5.1.1.7.2 tolower", "tolower(name)", "ünï%_'x", "null"},
		{"5.1.1.7.2 rune by rune", "tolower('İ') eq 'i'", "true", "true"},
		{"5.1.1.7.3 toupper", "toupper(name)", "ÜNÏ%_'X", "null"},
		{"5.1.1.7.3 ß stays", "toupper('straße')", "STRAßE", "STRAßE"},
		{"5.1.1.7.4 trim removes spaces", "trim('  a b\u00a0 ')", "a b\u00a0", "a b\u00a0"},
		{"5.1.1.8.1 date", "date(start)", "2024-02-29", "null"},
		{"5.1.1.8.2 day", "day(start) add day(day1)", "58", "null"},
		{"5.1.1.8.3 fractionalseconds", "fractionalseconds(start)", "0.123456", "null"},
		{"5.1.1.8.3 of a time of day", "fractionalseconds(clock)", "0.5", "null"},
		{"5.1.1.8.4 hour", "hour(start) add hour(clock)", "34", "null"},
		{"5.1.1.8.5 maxdatetime", "maxdatetime()", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
		{"5.1.1.8.6 mindatetime", "mindatetime()", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
		{"5.1.1.8.7 minute", "minute(start) sub minute(clock)", "37", "null"},
		{"5.1.1.8.8 month", "month(start) mul month(day1)", "4", "null"},
		{"5.1.1.8.9 now", "now() gt 2020-01-01 and now() lt maxdatetime()", "true", "true"},
		{"5.1.1.8.10 second", "second(start) sub second(clock)", "26", "null"},
		{"5.1.1.8.11 time", "time(start)", "23:59:59.123456", "null"},
		{"5.1.1.8.12 totaloffsetminutes", "totaloffsetminutes(start)", "0", "null"},
		{"5.1.1.8.13 totalseconds", "totalseconds(took)", "5400", "null"},
		{"5.1.1.8.14 year", "year(start) add year(day1)", "4048", "null"},
		{"5.1.1.8.14 year before 1970", "year(1969-12-31T23:59:59.9Z)", "1969", "1969"},
		{"5.1.1.9.1 ceiling", "ceiling(quantity)", "3", "null"},
		{"5.1.1.9.1 ceiling of a negative", "ceiling(-2.5)", "-2", "-2"},
		{"5.1.1.9.2 floor", "floor(quantity)", "2", "null"},
		{"5.1.1.9.2 floor of a negative", "floor(-2.5)", "-3", "-3"},
		{"5.1.1.9.3 round away from zero", "round(quantity)", "3", "null"},
		{"5.1.1.9.3 round a negative half", "round(-0.5)", "-1", "-1"},
		{"5.1.1.9.3 round below a half", "round(0.49999999999999999999999999999999)", "0", "0"},
		{"5.1.1.9.3 round very small", "round(-0.0000000000000000000000000001)", "0", "0"},
		{"5.1.1.10.1 cast to a string", "cast(quantity,Edm.String)", "2.5", "null"},
		{"5.1.1.10.1 cast from a string", "cast('2.50',Edm.Decimal)", "2.5", "2.5"},
		{"5.1.1.10.1 a failing cast is null", "cast(name,Edm.Decimal)", "null", "null"},
		{"5.1.1.10.1 out of range is null", "cast(300,Edm.Byte)", "null", "null"},
		{"5.1.1.10.1 to a whole number", "cast(quantity,Edm.Int32) div 2", "1", "null"},
		{"5.1.1.10.1 the quoted style", "cast('2018-01-01','Edm.DateTimeOffset')", "2018-01-01T00:00:00Z", "2018-01-01T00:00:00Z"},
		{"5.1.1.10.1 a date alone", "start ge cast('2018-01-01',Edm.DateTimeOffset)", "true", "false"},
		{"5.1.1.10.1 a string without offset is UTC", "cast('2018-01-01T10:00:00',Edm.DateTimeOffset)", "2018-01-01T10:00:00Z", "2018-01-01T10:00:00Z"},
		{"5.1.1.10.1 an instant to its parts", "cast(start,Edm.Date) eq day1 and cast(start,Edm.TimeOfDay) gt clock", "true", "false"},
		{"5.1.1.10.1 booleans", "cast('true',Edm.Boolean)", "true", "true"},
		{"5.1.1.10.1 guids", "cast('0AAAAAAA-0000-0000-0000-000000000000',Edm.Guid)", "0aaaaaaa-0000-0000-0000-000000000000", "0aaaaaaa-0000-0000-0000-000000000000"},
		{"5.1.1.10.1 durations", "cast('PT90M',Edm.Duration) eq took", "true", "false"},
		{"5.1.1.12 case", "case(n gt 9:'big',n gt 5:'middle',true:'small')", "middle", "small"},
		{"5.1.1.12 null is not true", "case(billable:1)", "1", "null"},
		{"5.1.1.12 later arms are not computed", "case(n eq 7:1,true:1 div 0)", "1", "error"},
		{"5.1.1.13.1 any", "lines/any(l:l/price gt 2)", "true", "false"},
		{"5.1.1.13.1 any with and", "lines/any(l:l/price gt 2 and l/sku eq 'a')", "false", "false"},
		{"5.1.1.13.1 any of primitive values", "tags/any(t:t eq 'a')", "true", "false"},
		{"5.1.1.13.1 any with a field of the row", "lines/any(l:l/price eq quantity)", "true", "false"},
		{"5.1.1.13.1 any without condition", "lines/any()", "true", "false"},
		{"5.1.1.13.2 all", "lines/all(l:l/price gt 1)", "false", "true"},
		{"5.1.1.13.2 null is not true", "tags/all(t:contains(t,''))", "false", "true"},
		{"5.1.1.13 nested", "lines/any(l:tags/any(t:t eq l/sku))", "true", "false"},
		{"5.1.1.13 errors inside", "lines/any(l:1 div (n sub 7) gt 0)", "error", "false"},
		{"5.1.1.14.1 quotes are written twice", "'O''Neil'", "O'Neil", "O'Neil"},
		{"5.1.1.14.1 older literals", "start eq datetime'2024-02-29T23:59:59.123456' and took eq time'PT90M'", "true", "false"},
		{"5.1.1.14.1 datetimeoffset", "start lt datetimeoffset'2024-03-01T02:00:00+02:00'", "true", "false"},
		{"5.1.1.14.1 guids in any case", "guid'0AAAAAAA-0000-0000-0000-000000000000' eq 0aaaaaaa-0000-0000-0000-000000000000", "true", "true"},
		{"5.1.1.15 $count", "lines/$count", "3", "0"},
		{"5.1.1.17 precedence", "1 add 2 mul 3 eq 7 and 2 gt 1 eq true or false", "true", "true"},
		{"5.1.1 names of operators in any case", "Name EQ 'x' OR nOt (n Eq 8)", "error", "error"},
		{"5.1.1 operators in any case", "name EQ 'x' OR nOt (n Eq 8)", "true", "true"},
		{"5.1.1 functions in any case", "ToLower(name) eq TOLOWER(name)", "true", "true"},
		{"aggregation 3.1 sum", "lines/aggregate(price with sum)", "4", "null"},
		{"aggregation 3.1 average leaves nulls out", "lines/aggregate(price with average)", "2", "null"},
		{"aggregation 3.1 max of an expression", "lines/aggregate(price mul 2 with max)", "5", "null"},
		{"aggregation 3.1 min", "lines/aggregate(price with min)", "1.5", "null"},
		{"aggregation 3.1 countdistinct", "lines/aggregate(sku with countdistinct)", "2", "0"},
		{"aggregation 3.1 $count", "lines/aggregate($count)", "3", "0"},
		{"aggregation 3.1 in a lambda", "tags/any(t:lines/aggregate(price with sum) gt 3)", "true", "false"},
		{"aggregation 6.3 isdefined", "isdefined(name)", "true", "false"},
	} {
		t.Run(c.section+": "+c.text, func(t *testing.T) {
			t.Parallel()
			value := func(r row) string {
				e, err := filter.Parse(c.text, nil)
				require.NoError(t, err)
				again, err := filter.Parse(e.String(), nil)
				require.NoError(t, err, e.String())
				require.Equal(t, e.String(), again.String())
				checked, err := filter.CheckValue(e, schema)
				if err != nil {
					return "error"
				}
				p := checked.Compile()
				v, err := p.Eval(bound{r, p.Fields()})
				switch {
				case err != nil:
					return "error"
				case v.IsNull():
					return "null"
				}
				require.Equal(t, checked.Type(), v.Type())
				return v.String()
			}
			require.Equal(t, c.value, value(rulesRow(t)), "of a row")
			require.Equal(t, c.nulls, value(rulesNulls), "of nulls")
		})
	}
}
