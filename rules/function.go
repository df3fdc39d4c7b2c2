package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Function is how a KPI adds up. In JSON it is SUM, MAX, MIN, AVG, LAST or COUNT.
type Function uint8

// The functions. What each means for a day and for a month is told at KPI.Daily
// and KPI.Monthly.
const (
	Sum Function = iota // the zero value
	Max
	Min
	Avg
	Last
	Count
)

var functionNames = []string{"SUM", "MAX", "MIN", "AVG", "LAST", "COUNT"}

// String returns the name as it is written in JSON.
func (f Function) String() string { return nameOf(functionNames, int(f), "Function") }

// PreFill says what a day without usage counts in a KPI. In JSON it is ZERO or
// PREVIOUS.
type PreFill uint8

const (
	// FillZero: a day without usage is 0. The zero value.
	FillZero PreFill = iota
	// FillPrevious: it is what the day before was; 0 before the month's first
	// day with usage.
	FillPrevious
)

var preFillNames = []string{"ZERO", "PREVIOUS"}

// String returns the name as it is written in JSON.
func (p PreFill) String() string { return nameOf(preFillNames, int(p), "PreFill") }

func nameOf(names []string, i int, typ string) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", typ, i)
}

// named is a property with one of a list of names, the first of which is the
// default and left out.
func named[T any, E ~uint8](key, what string, names []string, at func(*T) *E) property[T] {
	return property[T]{
		key,
		func(t *T, raw json.RawMessage) error {
			s, err := readText(raw)
			if err != nil {
				return err
			}
			i := slices.Index(names, s)
			if i < 0 {
				return fmt.Errorf("unknown %s %q, allowed are %s", what, shorten(s), strings.Join(names, ", "))
			}
			*at(t) = E(i)
			return nil
		},
		func(t *T) any {
			if *at(t) == 0 || int(*at(t)) >= len(names) {
				return nil
			}
			return names[*at(t)]
		},
	}
}
