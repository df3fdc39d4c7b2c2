package main

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// chartWidth is the length of the longest bar.
const chartWidth = 32

// chart draws a bar for each row from the numbers of a column. Lengths are
// whole quotients of exact decimals. What is below zero is drawn with another
// mark, and what is too small for one mark with a dot.
func chart(s *section, name string) []string {
	at := slices.IndexFunc(s.columns, func(c column) bool { return c.name == name })
	bars := make([]string, len(s.rows))
	numbers := make([]decimal.Decimal, len(s.rows))
	var most decimal.Decimal
	for i, row := range s.rows {
		d, err := decimal.NewFromString(row[at].text)
		if err != nil {
			continue // null has no bar
		}
		numbers[i] = d
		if d.Abs().GreaterThan(most) {
			most = d.Abs()
		}
	}
	if most.IsZero() {
		return bars
	}
	for i, d := range numbers {
		n, _ := d.Abs().Mul(decimal.NewFromInt(chartWidth)).QuoRem(most, 0)
		mark := "█"
		switch {
		case d.IsZero():
			continue
		case n.IsZero():
			bars[i] = "·"
			continue
		case d.IsNegative():
			mark = "░"
		}
		bars[i] = strings.Repeat(mark, int(n.IntPart()))
	}
	return bars
}
