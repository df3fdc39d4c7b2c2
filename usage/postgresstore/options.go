package postgresstore

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// DefaultSchema is the schema that a book is kept in where Options names none.
const DefaultSchema = "usagebook"

// Options are the settings of a Store. The zero value, and nil, work.
type Options struct {
	// Schema is the schema of the database that the book's tables are in, at
	// most 63 bytes. Books in different schemas know nothing of each other.
	// Defaults to DefaultSchema.
	Schema string

	// NoMigrate leaves the schema as it is: Open then fails with a *SchemaError
	// unless its tables are of the version that this package works with. It is
	// for teams that run Migrations themselves, and for roles that may not
	// create tables. Defaults to false.
	NoMigrate bool

	// Series is about how many series the store remembers: tenant, meter and
	// dimensions, some 500 bytes each. Those that it does not remember it looks
	// up again. Defaults to 200,000.
	Series int
}

func (o *Options) check() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Schema == "" {
		out.Schema = DefaultSchema
	}
	if len(out.Schema) > 63 || !utf8.ValidString(out.Schema) || strings.ContainsRune(out.Schema, 0) {
		return out, fmt.Errorf("option Schema is %.80q, allowed are 63 bytes of UTF-8", out.Schema)
	}
	if out.Series < 0 {
		return out, fmt.Errorf("option Series is %d, at least 0 is allowed", out.Series)
	}
	if out.Series == 0 {
		out.Series = 200_000
	}
	return out, nil
}
