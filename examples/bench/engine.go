package main

import (
	"context"
	"fmt"
)

// engine is a database that both ours and the hand-written contender keep their
// records in.
type engine interface {
	name() string
	// settings say how it is set, for the reader of a report.
	settings(ctx context.Context) (string, error)
	// openOurs and openHand return the contenders, with nothing in them, for records of
	// the workload.
	openOurs(ctx context.Context) (contender, error)
	openHand(ctx context.Context, w workload) (contender, error)
	close() error
}

// openEngine starts an engine.
func openEngine(ctx context.Context, name string) (engine, error) {
	switch name {
	case "sqlite":
		return openSQLite()
	case "postgres":
		return openPostgres(ctx)
	}
	return nil, fmt.Errorf("there is no engine %q: sqlite and postgres are allowed", name)
}
