package model

import "strings"

// Truth is the three-valued truth of a condition: Unknown is null.
type Truth int8

// The truths.
const (
	False   Truth = -1
	Unknown Truth = 0
	True    Truth = 1
)

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Condition is an expression of the filter language that the model can decide
// by itself. Its text is what the book under test is given.
type Condition interface {
	Holds(r *Booked) Truth
	String() string
}

// Compare-like conditions of one field.
type (
	// Comparison compares a field with a literal by eq ne gt ge lt or le.
	// Lower folds the field with tolower first.
	Comparison struct {
		Field string
		Op    string
		With  Value
		Lower bool
	}
	// Member is Field in (List).
	Member struct {
		Field string
		List  []Value
	}
	// Part is contains, startswith or endswith of a field and a text.
	Part struct{ Func, Field, Text string }
	// Not, All and Any are not, and, or.
	Not struct{ X Condition }
	All []Condition
	Any []Condition
)

// Holds implements Condition.
func (c Comparison) Holds(r *Booked) Truth {
	v := r.Field(c.Field)
	if c.Lower && v.Kind == Text {
		v = OfText(strings.ToLower(v.S))
	}
	if v.Kind == Null || c.With.Kind == Null {
		both := v.Kind == c.With.Kind
		switch c.Op {
		case "eq", "ge", "le": // null ge null follows eq
			return truth(both)
		case "ne":
			return truth(!both)
		}
		return False
	}
	d := Compare(v, c.With)
	switch c.Op {
	case "eq":
		return truth(d == 0)
	case "ne":
		return truth(d != 0)
	case "gt":
		return truth(d > 0)
	case "ge":
		return truth(d >= 0)
	case "lt":
		return truth(d < 0)
	}
	return truth(d <= 0)
}

func (c Comparison) String() string {
	f := c.Field
	if c.Lower {
		f = "tolower(" + f + ")"
	}
	return f + " " + c.Op + " " + c.With.literal()
}

// Holds implements Condition.
func (c Member) Holds(r *Booked) Truth {
	v := r.Field(c.Field)
	for _, w := range c.List {
		if v.Kind == w.Kind && Compare(v, w) == 0 {
			return True
		}
	}
	return False
}

func (c Member) String() string {
	list := make([]string, len(c.List))
	for i, v := range c.List {
		list[i] = v.literal()
	}
	return c.Field + " in (" + strings.Join(list, ",") + ")"
}

// Holds implements Condition.
func (c Part) Holds(r *Booked) Truth {
	v := r.Field(c.Field)
	if v.Kind == Null {
		return Unknown
	}
	switch c.Func {
	case "contains":
		return truth(strings.Contains(v.S, c.Text))
	case "startswith":
		return truth(strings.HasPrefix(v.S, c.Text))
	}
	return truth(strings.HasSuffix(v.S, c.Text))
}

func (c Part) String() string {
	return c.Func + "(" + c.Field + "," + OfText(c.Text).literal() + ")"
}

// Holds implements Condition.
func (c Not) Holds(r *Booked) Truth { return -c.X.Holds(r) }

func (c Not) String() string { return "not (" + c.X.String() + ")" }

// Holds implements Condition: the least truth of all.
func (c All) Holds(r *Booked) Truth {
	out := True
	for _, x := range c {
		out = min(out, x.Holds(r))
	}
	return out
}

func (c All) String() string { return join(c, " and ") }

// Holds implements Condition: the greatest truth of any.
func (c Any) Holds(r *Booked) Truth {
	out := False
	for _, x := range c {
		out = max(out, x.Holds(r))
	}
	return out
}

func (c Any) String() string { return join(c, " or ") }

func join(list []Condition, with string) string {
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = "(" + x.String() + ")"
	}
	return strings.Join(parts, with)
}
