package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// entrant is one of those that are compared with each other.
type entrant struct {
	name, about string
	ours        bool
	// memory: it keeps nothing on disk that would have to be waited for, and begins
	// anew in each turn.
	memory bool
	// batch is the size of batches that suits it; 0 for those that take what they are
	// given.
	batch int
	// cores: how it books on one core and on two is told apart.
	cores bool
	// runs: how it books with its work in the background is told apart.
	runs bool
	open func(context.Context, *field, purpose) (contender, error)
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
	{name: "memstore", ours: true, about: "ours, in memory, rolled up", memory: true, cores: true,
		open: func(context.Context, *field, purpose) (contender, error) { return openBookMemory(false) }},
	{name: "memstore-raw", ours: true, about: "ours, in memory, without rollups", memory: true, cores: true,
		open: func(context.Context, *field, purpose) (contender, error) { return openBookMemory(true) }},
	{name: "sqlite", about: "by hand on SQLite: a table of texts and integers, the identity as primary key, an index by tenant, meter and time; WAL, synchronous=FULL",
		open: func(ctx context.Context, f *field, p purpose) (contender, error) {
			return f.openIn(ctx, "sqlite", func(e engine) (contender, error) { return e.openHand(ctx, p.workload) })
		}},
	{name: "sqlitestore", ours: true, about: "ours on SQLite, rolled up", runs: true,
		open: func(ctx context.Context, f *field, p purpose) (contender, error) {
			return f.openIn(ctx, "sqlite", func(e engine) (contender, error) { return e.openOurs(ctx) })
		}},
	{name: "postgres", about: "by hand on PostgreSQL: a table of texts and numeric, the identity as primary key, an index by tenant, meter and time, extended statistics; fsync on",
		open: func(ctx context.Context, f *field, p purpose) (contender, error) {
			return f.openIn(ctx, "postgres", func(e engine) (contender, error) { return e.openHand(ctx, p.workload) })
		}},
	{name: "postgresstore", ours: true, about: "ours on PostgreSQL, rolled up", runs: true,
		open: func(ctx context.Context, f *field, p purpose) (contender, error) {
			return f.openIn(ctx, "postgres", func(e engine) (contender, error) { return e.openOurs(ctx) })
		}},
}

// usual are compared where nobody else is asked for: all but memstore-raw.
func usual() string {
	var names []string
	for _, e := range entrants {
		if e.name != "memstore-raw" && (hasDuckDB || !strings.HasPrefix(e.name, "duckdb")) {
			names = append(names, e.name)
		}
	}
	return strings.Join(names, ",")
}

// field is who takes part, and what they need.
type field struct {
	entrants []entrant
	engines  map[string]engine // those that are running
}

func newField(names []string) (*field, error) {
	f := &field{engines: map[string]engine{}}
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

// notes say who takes part, and how engines are set.
func (f *field) notes(ctx context.Context) (notes []string, err error) {
	for _, e := range f.entrants {
		notes = append(notes, e.name+": "+e.about)
	}
	for _, name := range slices.Sorted(maps.Keys(f.engines)) {
		settings, err := f.engines[name].settings(ctx)
		if err != nil {
			return nil, err
		}
		notes = append(notes, settings)
	}
	return notes, nil
}

// turn returns the field in the order of a turn: somebody else begins.
func (f *field) turn(i int) []entrant {
	i %= len(f.entrants)
	return slices.Concat(f.entrants[i:], f.entrants[:i])
}

// openIn opens a contender in an engine, which is started where it is not running.
func (f *field) openIn(ctx context.Context, name string, open func(engine) (contender, error)) (contender, error) {
	e, err := f.engine(ctx, name)
	if err != nil {
		return nil, err
	}
	return open(e)
}

func (f *field) engine(ctx context.Context, name string) (engine, error) {
	if e := f.engines[name]; e != nil {
		return e, nil
	}
	e, err := openEngine(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f.engines[name] = e
	return e, nil
}

func (f *field) close() error {
	var faults []error
	for _, e := range f.engines {
		faults = append(faults, e.close())
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
