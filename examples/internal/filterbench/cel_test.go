package filterbench_test

import (
	"fmt"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"github.com/stretchr/testify/require"
)

// celRow is a row with its values converted already.
type celRow [columns]ref.Val

var _ cel.Activation = (*celRow)(nil)

// ResolveName is faster as a switch than as any map.
func (r *celRow) ResolveName(name string) (any, bool) {
	switch name {
	case "meterCategory":
		return r[category], true
	case "resourceLocation":
		return r[location], true
	case "customerName":
		return r[customer], true
	case "quantity":
		return r[quantity], true
	case "usageDate":
		return r[used], true
	}
	return nil, false
}

func (r *celRow) Parent() cel.Activation { return nil }

func celRows(rows []charge) []celRow {
	list := make([]celRow, len(rows))
	for i, c := range rows {
		list[i] = celRow{
			category: types.String(c.category),
			location: types.String(c.location),
			customer: types.String(c.customer),
			quantity: types.Double(float64(c.thousandths) / 1000),
			used:     types.Timestamp{Time: c.used},
		}
	}
	return list
}

// celEvaluator runs a program of cel.
type celEvaluator struct {
	program cel.Program
	rows    []celRow
}

func newCELEvaluator(t testing.TB, c condition, rows []celRow) *celEvaluator {
	t.Helper()
	env, err := cel.NewEnv(
		ext.Strings(),
		cel.Variable("meterCategory", cel.StringType),
		cel.Variable("resourceLocation", cel.StringType),
		cel.Variable("customerName", cel.StringType),
		cel.Variable("quantity", cel.DoubleType),
		cel.Variable("usageDate", cel.TimestampType),
	)
	require.NoError(t, err)
	ast, issues := env.Compile(c.cel)
	require.NoError(t, issues.Err())
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	require.NoError(t, err)
	return &celEvaluator{program: program, rows: rows}
}

func (e *celEvaluator) evaluate(answers []bool) error {
	for i := range e.rows {
		v, _, err := e.program.Eval(&e.rows[i])
		if err != nil {
			return err
		}
		ok, is := v.(types.Bool)
		if !is {
			return fmt.Errorf("row %d: cel answers %v", i, v)
		}
		answers[i] = bool(ok)
	}
	return nil
}
