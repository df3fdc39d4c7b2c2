package sqlfilter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Dialect is what the writer must know of a database. A dialect of another
// database is a Dialect filled in by whoever runs that database; SQLite and
// PostgreSQL return ours, each call a new one.
//
// Templates are SQL in which {x}, and {y} where there are two operands, stand for
// the operands. An operand may be a placeholder and may be used twice; it needs no
// parentheses as an argument, as an operand of COLLATE or on a side of a
// comparison. An empty template leaves the operation to Go. New takes the result
// of each to be that of package filter, exactly, null for a null operand.
type Dialect struct {
	// Name is for messages.
	Name string
	// Placeholder returns the n-th placeholder of a statement, from 1.
	Placeholder func(n int) string
	// MaxArgs is the most arguments of a statement.
	MaxArgs int
	// MaxDepth is the deepest expression that may be written. A condition that
	// would be deeper stays in Go.
	MaxDepth int
	// Args has a template for the argument of each kind that the database can
	// compare. Arguments are given as string (KindText, KindNumeric as plain
	// digits), int64 (KindInteger, KindMicros) or time.Time in UTC
	// (KindTimestamp). A column of a kind that is missing is treated as
	// KindOpaque; KindBoolean and KindBoolInt need no arguments.
	Args map[Kind]string
	// Numeric makes an exact decimal of an integer. Where it is empty numbers are
	// compared but not added, subtracted or multiplied.
	Numeric string
	// Collate follows a text that is compared or sorted, so that its bytes decide.
	Collate string
	// Same and Differs compare with null equal to null.
	Same, Differs string
	// The functions on strings: Contains is position by bytes or characters
	// without pattern, Length and the cases are asked of ASCII text only.
	Contains, StartsWith, EndsWith string
	Length, Lower, Upper           string
}

// SQLite returns the dialect of SQLite 3.30 or later with a UTF-8 database.
func SQLite() Dialect {
	return Dialect{
		Name:        "SQLite",
		Placeholder: func(int) string { return "?" },
		MaxArgs:     32_766, // SQLITE_MAX_VARIABLE_NUMBER
		MaxDepth:    900,    // SQLITE_MAX_EXPR_DEPTH is 1,000, and the host adds some of its own
		Args: map[Kind]string{
			KindText: "{x}", KindInteger: "{x}", KindMicros: "{x}",
		},
		Collate: "COLLATE BINARY",
		Same:    "IS",
		Differs: "IS NOT",
		// LIKE and GLOB have wildcards, and LIKE folds the case of ASCII letters.
		Contains:   "instr({x}, {y}) > 0",
		StartsWith: "substr({x}, 1, length({y})) = {y} COLLATE BINARY",
		// A negative start would do, were it not that 0 is the first character and
		// not the end.
		EndsWith: "substr({x}, length({x}) - length({y}) + 1) = {y} COLLATE BINARY",
		Length:   "length({x})",
		Lower:    "lower({x})",
		Upper:    "upper({x})",
	}
}

// PostgreSQL returns the dialect of PostgreSQL 12 or later with a UTF-8 database.
func PostgreSQL() Dialect {
	return Dialect{
		Name:        "PostgreSQL",
		Placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
		MaxArgs:     65_535, // the protocol counts them in 16 bits
		MaxDepth:    900,    // max_stack_depth at its default of 2 MB stands several times as much
		// The types are written out, because the server would guess them from what
		// is around and a statement must not mean something else for it.
		Args: map[Kind]string{
			KindText: "{x}::text", KindNumeric: "{x}::numeric", KindInteger: "{x}::bigint",
			KindMicros: "{x}::bigint", KindTimestamp: "{x}::timestamptz",
		},
		Numeric: "{x}::numeric",
		Collate: `COLLATE "C"`,
		Same:    "IS NOT DISTINCT FROM",
		Differs: "IS DISTINCT FROM",
		// The collation is named in each, because a nondeterministic one of the
		// column has other ideas of equality, or refuses.
		Contains:   `strpos({x} COLLATE "C", {y}) > 0`,
		StartsWith: `starts_with({x} COLLATE "C", {y})`,
		EndsWith:   `right({x}, char_length({y})) = {y} COLLATE "C"`,
		Length:     "char_length({x})",
		// The case of i is the locale's, even among ASCII letters.
		Lower: `lower({x} COLLATE "C")`,
		Upper: `upper({x} COLLATE "C")`,
	}
}

func (d Dialect) validate() error {
	var errs []error
	if d.Placeholder == nil {
		errs = append(errs, errors.New("no Placeholder"))
	}
	if d.MaxArgs <= 0 || d.MaxDepth <= 0 {
		errs = append(errs, errors.New("MaxArgs and MaxDepth must be positive"))
	}
	if d.Same == "" || d.Differs == "" {
		errs = append(errs, errors.New("no Same or no Differs"))
	}
	check := func(name, template string, operands ...string) {
		for _, o := range operands {
			if template != "" && !strings.Contains(template, o) {
				errs = append(errs, fmt.Errorf("%s has no %s", name, o))
			}
		}
	}
	for kind, template := range d.Args {
		if template == "" {
			errs = append(errs, fmt.Errorf("empty template for the arguments of kind %d", kind))
		}
		check("Args", template, "{x}")
	}
	check("Numeric", d.Numeric, "{x}")
	if d.Numeric != "" && d.Args[KindNumeric] == "" {
		errs = append(errs, errors.New("template Numeric without Args of KindNumeric"))
	}
	check("Contains", d.Contains, "{x}", "{y}")
	check("StartsWith", d.StartsWith, "{x}", "{y}")
	check("EndsWith", d.EndsWith, "{x}", "{y}")
	check("Length", d.Length, "{x}")
	check("Lower", d.Lower, "{x}")
	check("Upper", d.Upper, "{x}")
	return errors.Join(errs...)
}
