package filterbench_test

import (
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/stretchr/testify/require"
)

// exprRow is a row as a struct.
type exprRow struct {
	MeterCategory    string    `expr:"meterCategory"`
	ResourceLocation string    `expr:"resourceLocation"`
	CustomerName     string    `expr:"customerName"`
	Quantity         float64   `expr:"quantity"`
	UsageDate        time.Time `expr:"usageDate"`
}

// Day makes constants of dates when a condition is compiled.
func (exprRow) Day(text string) (time.Time, error) { return time.Parse(time.DateOnly, text) }

func exprStructs(rows []charge) []*exprRow {
	list := make([]*exprRow, len(rows))
	for i, c := range rows {
		list[i] = &exprRow{c.category, c.location, c.customer, float64(c.thousandths) / 1000, c.used}
	}
	return list
}

// exprMaps are the rows as maps, whose values expr need not box.
func exprMaps(rows []charge) []map[string]any {
	list := make([]map[string]any, len(rows))
	for i, row := range exprStructs(rows) {
		list[i] = map[string]any{
			"meterCategory":    row.MeterCategory,
			"resourceLocation": row.ResourceLocation,
			"customerName":     row.CustomerName,
			"quantity":         row.Quantity,
			"usageDate":        row.UsageDate,
		}
	}
	return list
}

// exprEvaluator runs a program of expr over rows of one of the two forms.
type exprEvaluator[Row any] struct {
	program *vm.Program
	machine vm.VM // keeps its stack from row to row
	rows    []Row
}

func newExprStructs(t testing.TB, c condition, rows []*exprRow) *exprEvaluator[*exprRow] {
	t.Helper()
	program, err := expr.Compile(c.expr, expr.Env(exprRow{}), expr.AsBool(), expr.ConstExpr("Day"))
	require.NoError(t, err)
	return &exprEvaluator[*exprRow]{program: program, rows: rows}
}

func newExprMaps(t testing.TB, c condition, rows []map[string]any) *exprEvaluator[map[string]any] {
	t.Helper()
	env := map[string]any{"Day": exprRow{}.Day}
	for name, value := range exprMaps(make([]charge, 1))[0] {
		env[name] = value
	}
	program, err := expr.Compile(c.expr, expr.Env(env), expr.AsBool(), expr.ConstExpr("Day"))
	require.NoError(t, err)
	return &exprEvaluator[map[string]any]{program: program, rows: rows}
}

func (e *exprEvaluator[Row]) evaluate(answers []bool) error {
	for i := range e.rows {
		v, err := e.machine.Run(e.program, e.rows[i])
		if err != nil {
			return err
		}
		answers[i] = v.(bool) // AsBool has it checked
	}
	return nil
}
