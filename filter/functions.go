package filter

import "slices"

// function is a function of the standard.
type function struct {
	name     string // as the standard writes it
	min, max int    // number of arguments
	params   []typeSet
	result   Type
	whole    bool // the result is a whole number
}

// typeSet is a set of types that a parameter takes.
type typeSet uint16

func oneOf(types ...Type) (s typeSet) {
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

func (s typeSet) has(t Type) bool { return t == TypeNull || s&(1<<t) != 0 }

func (s typeSet) String() string {
	text := ""
	for t := TypeNull; t <= TypeCollection; t++ {
		if s&(1<<t) != 0 {
			if text != "" {
				text += " or "
			}
			text += t.String()
		}
	}
	return text
}

var (
	strings1 = []typeSet{oneOf(TypeString)}
	strings2 = []typeSet{oneOf(TypeString), oneOf(TypeString)}
	anyDate  = []typeSet{oneOf(TypeTime, TypeDate)}
	anyClock = []typeSet{oneOf(TypeTime, TypeTimeOfDay)}
	times1   = []typeSet{oneOf(TypeTime)}
	numbers1 = []typeSet{oneOf(TypeDecimal)}
	anything = []typeSet{oneOf(TypeBool, TypeString, TypeDecimal, TypeTime, TypeDate, TypeTimeOfDay, TypeDuration, TypeGuid, TypeCollection)}
)

// functions holds the functions by their name in lower case. It is never written.
var functions = func() map[string]*function {
	list := []*function{
		// 5.1.1.5 string and collection functions, of which those on strings
		{"concat", 2, 2, strings2, TypeString, false},
		{"contains", 2, 2, strings2, TypeBool, false},
		{"endswith", 2, 2, strings2, TypeBool, false},
		{"indexof", 2, 2, strings2, TypeDecimal, true},
		{"length", 1, 1, strings1, TypeDecimal, true},
		{"startswith", 2, 2, strings2, TypeBool, false},
		{"substring", 2, 3, []typeSet{oneOf(TypeString), oneOf(TypeDecimal), oneOf(TypeDecimal)}, TypeString, false},
		// 5.1.1.7 string functions
		{"matchesPattern", 2, 2, strings2, TypeBool, false},
		{"tolower", 1, 1, strings1, TypeString, false},
		{"toupper", 1, 1, strings1, TypeString, false},
		{"trim", 1, 1, strings1, TypeString, false},
		// 5.1.1.8 date and time functions
		{"date", 1, 1, times1, TypeDate, false},
		{"day", 1, 1, anyDate, TypeDecimal, true},
		{"fractionalseconds", 1, 1, anyClock, TypeDecimal, false},
		{"hour", 1, 1, anyClock, TypeDecimal, true},
		{"maxdatetime", 0, 0, nil, TypeTime, false},
		{"mindatetime", 0, 0, nil, TypeTime, false},
		{"minute", 1, 1, anyClock, TypeDecimal, true},
		{"month", 1, 1, anyDate, TypeDecimal, true},
		{"now", 0, 0, nil, TypeTime, false},
		{"second", 1, 1, anyClock, TypeDecimal, true},
		{"time", 1, 1, times1, TypeTimeOfDay, false},
		{"totaloffsetminutes", 1, 1, times1, TypeDecimal, true},
		{"totalseconds", 1, 1, []typeSet{oneOf(TypeDuration)}, TypeDecimal, false},
		{"year", 1, 1, anyDate, TypeDecimal, true},
		// 5.1.1.9 arithmetic functions
		{"ceiling", 1, 1, numbers1, TypeDecimal, false},
		{"floor", 1, 1, numbers1, TypeDecimal, false},
		{"round", 1, 1, numbers1, TypeDecimal, false},
		// Aggregation extension 6.3
		{"isdefined", 1, 1, anything, TypeBool, false},
	}
	m := make(map[string]*function, len(list))
	for _, f := range list {
		m[lowerASCII(f.name)] = f
	}
	return m
}()

// functionNames is for suggestions, in a fixed order.
var functionNames = func() []string {
	names := []string{"cast", "case"}
	for _, f := range functions {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}()

// otherNames are names of functions in older versions and other languages that are
// not near in spelling.
var otherNames = map[string]string{
	"substringof": "contains", "lower": "tolower", "upper": "toupper", "ceil": "ceiling", "len": "length", "like": "contains",
	"substr": "substring", "matches": "matchesPattern", "regex": "matchesPattern", "if": "case", "iif": "case", "hours": "hour",
}

func (f *function) arity() string {
	switch {
	case f.max == 0:
		return "no arguments"
	case f.min != f.max:
		return itoa(f.min) + " or " + itoa(f.max) + " arguments"
	case f.max == 1:
		return "1 argument"
	}
	return itoa(f.max) + " arguments"
}
