package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// entrant is one of those that are compared with each other.
type entrant struct {
	name, about string
	// memory: it keeps nothing on disk that would have to be waited for, and begins
	// anew in each turn.
	memory bool
	// batch is the size of batches that suits it; 0 for those that take what they are
	// given.
	batch int
	// cores: how it books on one core and on two is told apart.
	cores bool
	open  func(context.Context, *field, purpose) (contender, error)
}

// purpose is what a contender is opened for.
type purpose struct {
	workload
	// booking is all it is for, so that nothing need be ready for questions.
	booking bool
}

// entrants are all there are; ours come last.
var entrants = []entrant{
	{name: "naive", about: "Go over a slice of structs with decimal.Decimal, a map of identities", memory: true,
		open: func(context.Context, *field, purpose) (contender, error) { return openNaive(), nil }},
	{name: "duckdb", about: "DuckDB in process, DECIMAL(18, 6); texts; its identity as primary key for booking, no key and a packed file for questions", memory: true, batch: duckDBBatch,
		open: func(ctx context.Context, _ *field, p purpose) (contender, error) {
			return openDuckDB(ctx, duckDBOptions{workload: p.workload, keyed: p.booking})
		}},
	{name: "duckdb-enum", about: "the same with enumerations for texts, as can be done where all names are known beforehand", memory: true, batch: duckDBBatch,
		open: func(ctx context.Context, _ *field, p purpose) (contender, error) {
			return openDuckDB(ctx, duckDBOptions{workload: p.workload, keyed: p.booking, enums: true})
		}},
	{name: "memstore", about: "ours, in memory, rolled up", memory: true, cores: true,
		open: func(context.Context, *field, purpose) (contender, error) { return openBookMemory(false) }},
	{name: "memstore-raw", about: "ours, in memory, without rollups", memory: true, cores: true,
		open: func(context.Context, *field, purpose) (contender, error) { return openBookMemory(true) }},
}

// memoryContenders are compared where nothing else is asked for.
const memoryContenders = "naive,duckdb,duckdb-enum,memstore"

// field is who takes part, and what they need.
type field struct {
	entrants []entrant
	closers  []func() error
}

func newField(names []string) (*field, error) {
	f := &field{}
	for _, name := range names {
		i := slices.IndexFunc(entrants, func(e entrant) bool { return e.name == name })
		if i < 0 {
			var all []string
			for _, e := range entrants {
				all = append(all, e.name)
			}
			return nil, fmt.Errorf("there is no contender %q: %s are allowed", name, strings.Join(all, ", "))
		}
		f.entrants = append(f.entrants, entrants[i])
	}
	return f, nil
}

// notes say who takes part.
func (f *field) notes() (notes []string) {
	for _, e := range f.entrants {
		notes = append(notes, e.name+": "+e.about)
	}
	return notes
}

// turn returns the field in the order of a turn: somebody else begins.
func (f *field) turn(i int) []entrant {
	i %= len(f.entrants)
	return slices.Concat(f.entrants[i:], f.entrants[:i])
}

func (f *field) close() error {
	var faults []error
	for _, c := range slices.Backward(f.closers) {
		faults = append(faults, c())
	}
	return errors.Join(faults...)
}

// rival is a pair that ratios are made of.
type rival struct{ ours, theirs string }

var rivals = []rival{
	{"memstore", "duckdb"}, {"memstore", "duckdb-enum"}, {"memstore", "naive"}, {"memstore-raw", "duckdb"},
	{"sqlitestore", "sqlite"}, {"postgresstore", "postgres"},
}

// rivals are those of the field.
func (f *field) rivals() []rival {
	has := func(name string) bool {
		return slices.ContainsFunc(f.entrants, func(e entrant) bool { return e.name == name })
	}
	return slices.DeleteFunc(slices.Clone(rivals), func(r rival) bool { return !has(r.ours) || !has(r.theirs) })
}
