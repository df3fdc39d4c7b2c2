//go:build !cgo || noduckdb

package main

import (
	"context"
	"errors"
)

// errNoDuckDB: the program was built without it.
var errNoDuckDB = errors.New("DuckDB is not in this program: it needs cgo with a C++ linker (CGO_ENABLED=1, g++) and no tag noduckdb; -contenders without duckdb and duckdb-enum leaves it out")

const hasDuckDB = false

type duckDBOptions struct {
	workload
	keyed, enums bool
}

const duckDBBatch = 100_000

func openDuckDB(context.Context, duckDBOptions) (contender, error) { return nil, errNoDuckDB }

func duckDBVersion() (string, error) { return "", errNoDuckDB }
