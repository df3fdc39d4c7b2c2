package usage

import (
	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// numberValue is a record's number as a cell or an operand of a filter.
func numberValue(n aggregate.Number) filter.Value {
	if coef, scale, ok := n.Small(); ok {
		return filter.Number(coef, int32(scale))
	}
	return filter.Decimal(n.Decimal())
}
