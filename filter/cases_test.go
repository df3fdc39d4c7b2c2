package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// shared reads a file of the acceptance data, which is not in the repository. The
// test is skipped where the variable is not set; where it is, a missing file
// fails.
func shared(t *testing.T, name string, into any) {
	t.Helper()
	dir := os.Getenv("USAGEBOOK_SHARED")
	if dir == "" {
		t.Skip("USAGEBOOK_SHARED is not set: the acceptance data are not in the repository")
	}
	text, err := os.ReadFile(filepath.Join(dir, "odata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

// grammarCase is a case of the official ABNF suite.
type grammarCase struct {
	Rule    string
	Group   string
	Input   string
	FailAt  *int
	Flat    bool
	Encoded *bool
}

// errOutside marks a case of a rule that is no expression, order, computation or
// pipeline: paths, payload forms, other query options.
var errOutside = errors.New("outside this language")

var errPayload = errors.New("the payload form is not read")

// payloadForms are the rules of values as they stand in payloads, without quotes
// and encoding: what cast reads from a string.
var payloadForms = map[string]string{
	"booleanValue": "Edm.Boolean", "dateValue": "Edm.Date", "dateTimeOffsetValue": "Edm.DateTimeOffset",
	"decimalValue": "Edm.Decimal", "doubleValue": "Edm.Double", "singleValue": "Edm.Single", "durationValue": "Edm.Duration",
	"timeOfDayValue": "Edm.TimeOfDay", "byteValue": "Edm.Byte", "sbyteValue": "Edm.SByte", "int16Value": "Edm.Int16",
	"int32Value": "Edm.Int32", "int64Value": "Edm.Int64",
}

// literalForms are the rules of literals of an expression, with the type of a
// literal where the rule asks for one.
var literalForms = map[string]filter.Type{
	"binaryLiteral": filter.TypeNull, "boolean": filter.TypeBool, "date": filter.TypeDate, "dateTimeOffsetLiteral": filter.TypeTime,
	"dateTimeOffsetValueInUrl": filter.TypeTime, "decimalLiteral": filter.TypeDecimal, "doubleLiteral": filter.TypeDecimal,
	"durationLiteral": filter.TypeNull, "enumLiteral": filter.TypeNull, "guid": filter.TypeGuid, "null": filter.TypeNull,
	"primitiveLiteral": filter.TypeNull, "singleLiteral": filter.TypeDecimal, "sbyteLiteral": filter.TypeDecimal,
	"int16Literal": filter.TypeDecimal, "int32Literal": filter.TypeDecimal, "int64Literal": filter.TypeDecimal,
	"stringLiteral": filter.TypeString, "timeOfDayLiteral": filter.TypeTimeOfDay,
}

// read gives the case to the parser it is for: the value of the query option,
// decoded once.
func (c grammarCase) read(schema filter.Schema) error {
	if to, ok := payloadForms[c.Rule]; ok {
		quoted := filter.String(c.Input).Literal()
		v, err := constant("cast(" + quoted + "," + to + ")")
		if err == nil && v.IsNull() {
			err = errPayload
		}
		return err
	}
	input := c.Input
	if c.Encoded == nil || *c.Encoded {
		var err error
		if input, err = url.PathUnescape(input); err != nil {
			return err
		}
	}
	if want, ok := literalForms[c.Rule]; ok {
		e, err := filter.Parse(input, nil)
		if l, ok := e.(*filter.Literal); ok && want != filter.TypeNull && l.Value.Type() != want {
			return fmt.Errorf("the literal is a %s", l.Value.Type())
		} else if err == nil && !ok {
			return fmt.Errorf("no literal")
		}
		return err
	}
	option := func(names ...string) string {
		for _, n := range names {
			if len(input) > len(n) && strings.EqualFold(input[:len(n)], n) {
				return input[len(n):]
			}
		}
		return input
	}
	condition := func(text string) error {
		_, err := filter.Parse(text, nil)
		return err
	}
	switch c.Rule {
	case "filter":
		return condition(option("$filter=", "filter="))
	case "commonExpr", "boolCommonExpr", "boolcommonExpr", "filterValue", "firstMemberExpr", "notExpr", "isofExpr", "propertyPathExpr":
		return condition(input)
	case "anyExpr":
		return condition("x/" + input)
	case "orderby", "orderBy":
		_, err := filter.ParseOrderBy(option("$orderby=", "orderby="), nil)
		return err
	case "orderbyValue":
		_, err := filter.ParseOrderBy(input, nil)
		return err
	case "compute":
		_, err := filter.ParseCompute(option("$compute="), nil)
		return err
	case "applyValue":
		_, err := filter.ParseApply(input, nil)
		return err
	case "queryOptions":
		input, _, _ = strings.Cut(input, "&") // the other options are other texts
		switch {
		case strings.HasPrefix(input, "$apply="):
			a, err := filter.ParseApply(option("$apply="), nil)
			if err == nil && c.FailAt != nil {
				// These cases fail by a rule on names, which is the checker's.
				_, err = filter.CheckApply(a, schema)
			}
			return err
		case strings.HasPrefix(input, "$filter="):
			return condition(option("$filter="))
		case strings.HasPrefix(input, "$orderby="):
			_, err := filter.ParseOrderBy(option("$orderby="), nil)
			return err
		case strings.HasPrefix(input, "$compute="):
			_, err := filter.ParseCompute(option("$compute="), nil)
			return err
		}
	}
	return errOutside
}

// constant evaluates a text without fields.
func constant(text string) (filter.Value, error) {
	e, err := filter.Parse(text, nil)
	if err != nil {
		return filter.Null(), err
	}
	schema, err := filter.NewSchema()
	if err != nil {
		return filter.Null(), err
	}
	c, err := filter.CheckValue(e, schema)
	if err != nil {
		return filter.Null(), err
	}
	return c.Compile().Eval(nil)
}

// beyondLimits are the valid cases that the limits of numbers and of the calendar
// exclude: more than 100 digits, infinities, leap seconds, years of five digits.
var beyondLimits = []string{
	"decimalValue 1e-101", "decimalValue -INF", "decimalValue INF", "decimalValue NaN", "doubleValue -INF", "doubleValue INF",
	"doubleValue NaN", "dateTimeOffsetValue 1972-06-30T23:59:60Z", "dateTimeOffsetValue -10000-04-01T00:00Z",
}

// grammarCount says how the cases of a rule end.
type grammarCount struct{ cases, flat, read, refused, notSupported, limits, outside int }

// TestGrammarCases holds that every case marked flat is read, that every other case
// is read, refused as its entry says, or refused as not supported, and that the
// table of counts in doc.go is right.
func TestGrammarCases(t *testing.T) {
	t.Parallel()
	var cases []grammarCase
	shared(t, "cases.json", &cases)
	schema, err := filter.NewSchema(
		filter.Field{Name: "Amount", Type: filter.TypeDecimal},
		filter.Field{Name: "Name", Type: filter.TypeString},
		filter.Field{Name: "Country", Type: filter.TypeString},
	)
	require.NoError(t, err)
	counts := map[string]*grammarCount{}
	var rules []string
	for _, c := range cases {
		n := counts[c.Rule]
		if n == nil {
			n = &grammarCount{}
			counts[c.Rule] = n
			rules = append(rules, c.Rule)
		}
		n.cases++
		if c.Flat {
			n.flat++
		}
		err := c.read(schema)
		var fault *filter.Error
		switch {
		case errors.Is(err, errOutside):
			n.outside++
			require.False(t, c.Flat, "%s: %s", c.Rule, c.Input)
		case err == nil:
			n.read++
			require.Nil(t, c.FailAt, "%s: read, must fail: %s", c.Rule, c.Input)
		case c.FailAt != nil:
			n.refused++
		case slices.Contains(beyondLimits, c.Rule+" "+c.Input):
			n.limits++
		default:
			n.notSupported++
			require.ErrorAs(t, err, &fault, "%s: %s", c.Rule, c.Input)
			require.Equal(t, filter.CodeNotSupported, fault.Code, "%s: %s\n%s", c.Rule, c.Input, fault.Render())
			require.False(t, c.Flat, "%s: flat and not supported: %s\n%s", c.Rule, c.Input, fault.Render())
		}
	}
	slices.Sort(rules)
	var table strings.Builder
	line := func(name string, n grammarCount) {
		fmt.Fprintf(&table, "//\t%-26s %5d %5d %5d %5d %5d %5d\n", name, n.cases, n.flat, n.read, n.refused, n.notSupported, n.limits)
	}
	var total, outside grammarCount
	for _, r := range rules {
		n := *counts[r]
		total.cases, total.flat, total.read = total.cases+n.cases, total.flat+n.flat, total.read+n.read
		total.refused, total.notSupported, total.limits = total.refused+n.refused, total.notSupported+n.notSupported, total.limits+n.limits
		total.outside += n.outside
		if n.outside == n.cases {
			outside.cases += n.cases
			outside.outside += n.outside
			continue
		}
		line(r, n)
	}
	line("other rules", outside)
	line("all", total)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	require.Contains(t, string(doc), table.String())
}
