package rules

import (
	"cmp"
	"strconv"
	"strings"
)

// SetError lists every fault of the rules given to New or Parse, or of the KPIs
// given to NewKPIs or ParseKPIs.
type SetError struct {
	Faults []Fault
}

// Fault is one thing that is wrong with a rule or a KPI, or with the options of
// a Set.
type Fault struct {
	// Index is the place of the rule in the list, from 0; -1 for a fault of the
	// options, the version or the list itself, and in the error of a single
	// Rule's UnmarshalJSON.
	Index int
	// Rule is the name of the rule or KPI, as far as it is known.
	Rule string
	// Field is the JSON key at fault, such as "max" or "values.cost.min"; empty
	// where the rule as a whole is.
	Field string
	// Message says what is wrong and what is allowed.
	Message string
	// Err is the cause where there is one, such as a *filter.Error.
	Err error

	noun string // "KPI"; empty or "rule" for a rule
}

// String returns the fault in one line.
func (f Fault) String() string {
	var b strings.Builder
	if f.Index >= 0 {
		b.WriteString(cmp.Or(f.noun, "rule") + " ")
		b.WriteString(strconv.Itoa(f.Index))
		if f.Rule != "" {
			b.WriteString(" (" + f.Rule + ")")
		}
		b.WriteString(": ")
	}
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Error lists all faults, the first ones in full.
func (e *SetError) Error() string {
	const shown = 20
	var b strings.Builder
	b.WriteString("rules: ")
	for i, f := range e.Faults {
		if i == shown {
			b.WriteString("; and " + strconv.Itoa(len(e.Faults)-shown) + " more")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// Unwrap returns the causes of the faults that have one.
func (e *SetError) Unwrap() []error {
	var causes []error
	for _, f := range e.Faults {
		if f.Err != nil {
			causes = append(causes, f.Err)
		}
	}
	return causes
}

// faults collects what is wrong with one rule.
type faults struct {
	index int
	noun  string // as in Fault
	rule  string
	list  []Fault
}

func (f *faults) add(field, message string) {
	f.list = append(f.list, Fault{Index: f.index, Rule: f.rule, Field: field, Message: message, noun: f.noun})
}

func (f *faults) addCause(field string, err error) {
	f.list = append(f.list, Fault{Index: f.index, Rule: f.rule, Field: field, Message: err.Error(), Err: err, noun: f.noun})
}

// addFilter adds a fault of the expression, whose own text begins with the
// package's name and would say "filter" twice.
func (f *faults) addFilter(err error) {
	f.addCause("filter", err)
	last := &f.list[len(f.list)-1]
	last.Message = strings.TrimPrefix(last.Message, "filter: ")
}

func setError(list []Fault) error {
	if len(list) == 0 {
		return nil
	}
	return &SetError{Faults: list}
}
