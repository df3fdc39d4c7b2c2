package filter

import "slices"

// aggregate compiles path/aggregate(value with method). Nulls do not count; of no
// values the sum, least, greatest and average are null.
func (c *compiler) aggregate(e *Aggregate) valueFunc {
	c.frames = true
	a := e.Aggs[0]
	over, value := c.value(e.Over), c.value(a.Expr)
	site := c.site(e)
	fold := folding(a)
	return func(r Row, f *frame) Value {
		v := over(r, f)
		if v.typ == typeFault {
			return v
		}
		items := v.Collection()
		if items == nil {
			return fold(f, Value{}, Value{}, 0, 0, site)
		}
		level := len(f.items)
		f.items = append(f.items, item{of: items})
		from := len(f.values)
		var result Value
		count := int64(0)
		for i := range items.Len() {
			f.items[level].index = i
			v := value(r, f)
			if v.typ == TypeNull {
				continue
			}
			if v.typ == typeFault {
				result = v
				break
			}
			count++
			if result = fold(f, result, v, count, from, site); result.typ == typeFault {
				break
			}
		}
		f.items = f.items[:level]
		if result.typ != typeFault {
			result = fold(f, result, Value{}, count, from, site)
		}
		f.values = f.values[:from]
		return result
	}
}

// foldFunc takes the next value into a result, the n-th that is not null, or, when
// the value is null, finishes the result of n values.
type foldFunc func(f *frame, result, v Value, n int64, from int, site tri) Value

func folding(a AggregateExpr) foldFunc {
	switch a.Method {
	case "min", "max":
		sign := 1
		if a.Method == "max" {
			sign = -1
		}
		return func(_ *frame, result, v Value, n int64, _ int, _ tri) Value {
			if v.typ != TypeNull && (n == 1 || Compare(v, result)*sign < 0) {
				return v
			}
			return result
		}
	case "countdistinct":
		return func(f *frame, _, v Value, _ int64, from int, _ tri) Value {
			if v.typ != TypeNull {
				f.values = append(f.values, v)
				return v
			}
			seen := f.values[min(from, len(f.values)):]
			slices.SortFunc(seen, Compare)
			return Number(int64(len(slices.CompactFunc(seen, Equal))), 0)
		}
	}
	average := a.Method == "average"
	duration := a.Expr.Type() == TypeDuration
	return func(f *frame, result, v Value, n int64, _ int, site tri) Value {
		fault := noFault
		switch {
		case v.typ == TypeNull && (n == 0 || !average):
			return result
		case v.typ == TypeNull && duration:
			result, fault = scaleDuration(&f.calc, result, Number(n, 0), true)
		case v.typ == TypeNull:
			result, fault = f.quotient(result, Number(n, 0))
		case n == 1:
			return v
		case duration:
			result, fault = addDurations(&f.calc, result, v)
		case !computable(v):
			fault = faultRange
		default:
			result, fault = f.add(result, v)
		}
		if fault >= 0 {
			return faultValue(site + fault)
		}
		return result
	}
}
