package usage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/rules"
)

// Rules judges records. A *rules.Set satisfies it, and so does a *rules.Holder,
// whose set can be swapped while the book is in use.
type Rules interface {
	Judge(s rules.Subject, now time.Time) rules.Judgement
}

// Options are the settings of a Book. The zero value, and nil, work.
type Options struct {
	// Meters declare what is counted; see [Meter]. Defaults to none, which
	// books every meter as it comes.
	Meters []Meter

	// Rules judge records before they are booked. Defaults to none: every
	// record of sound shape is booked, unverified.
	Rules Rules

	// KPIs define monthly figures for [Book.KPI]. Defaults to none.
	KPIs []rules.KPI

	// Rollups are further projections to keep rollups by: sets of dimension
	// names. Tenant and meter are part of each. The full series and (tenant,
	// meter) alone are always kept.
	Rollups [][]string

	// BatchSize is the highest number of records in one Append. Defaults to
	// 10,000.
	BatchSize int

	// SnapshotHold is how long replaced rollup rows are kept for page tokens
	// and queries that began before. Defaults to one hour.
	SnapshotHold time.Duration

	// RollInterval is the pause of Run between two looks for work. Defaults to
	// ten seconds.
	RollInterval time.Duration

	// RollBatch is the number of records that one step of Roll takes in.
	// Defaults to 100,000.
	RollBatch int

	// MaxGroups is the highest number of rows that a query may hold in memory;
	// one with more is refused with ErrTooLarge. Defaults to 1,000,000.
	MaxGroups int

	// AvgPlaces is the number of decimal places of an average, rounded once,
	// half away from zero. Defaults to 18; for none set AvgWhole.
	AvgPlaces int

	// AvgWhole rounds averages to whole numbers.
	AvgWhole bool

	// TokenKeys sign page tokens: the first signs, all are accepted. Defaults
	// to a random key, so that tokens die with the process and mean nothing to
	// its siblings.
	TokenKeys []paginate.Key

	// TokenLifetime is how long a page token is good for. Defaults to
	// SnapshotHold. A token older than SnapshotHold would still be right, only
	// slower.
	TokenLifetime time.Duration

	// JobSize is the highest number of records in one job. Defaults to 100,000.
	JobSize int

	// KeepJobs is how many jobs of an owner can be read, the latest ones. Older
	// ones are worked on to their end and are gone after that. Defaults to
	// 1,000.
	KeepJobs int

	// Jobs is how many jobs Run and Work do at once. Defaults to 2.
	Jobs int

	// Biller hears of what jobs have booked and rules call billable. Defaults to
	// none: a job ends when its records are booked.
	Biller Biller

	// Executions is how many executions Run and Work do at once. Defaults to 4.
	Executions int

	// WaitingExecutions is how many executions of one owner may be unfinished at
	// a time; one more is refused with ErrBusy. Defaults to 100.
	WaitingExecutions int

	// ExecutionLife is how long an execution can be read after it was accepted,
	// and again after it was finished. Defaults to 24 hours.
	ExecutionLife time.Duration

	// TaskLease is how long a worker has a job or an execution before another
	// one may take it; it is renewed as long as the worker lives. The clocks of
	// the processes must not differ by as much. Defaults to one minute.
	TaskLease time.Duration

	// TaskInterval is the pause between two looks for the jobs and executions
	// of other processes, by Run and by who waits for their end; those of this
	// process are known at once. Defaults to one second.
	TaskInterval time.Duration

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	// Logger gets what Run has to say. Defaults to a silent one.
	Logger *slog.Logger
}

// Book writes down usage and answers from it. It is safe for concurrent use.
// Make one with [New]; the zero Book is not usable.
type Book struct {
	store       Store
	opts        Options
	catalogue   *catalogue
	fields      *fields
	projections []projection
	kpis        *rules.KPISet
	tokens      *paginate.Sealer
	now         func() time.Time
	log         *slog.Logger
	// rollups is the coverage that was read last: queries of one checkpoint need
	// not decode it again.
	rollups atomic.Pointer[decodedCoverage]

	batches batchMemory

	taskStore TaskStore // nil: the store keeps no tasks
	tasks     *taskRoom
	results   *resultCache
}

// projection is a set of dimensions that rollups are kept by.
type projection struct {
	name string
	all  bool     // the full series
	dims []string // sorted; empty and not all: (tenant, meter) alone
}

// cut returns the part of a series' dimensions that the projection keeps.
func (p *projection) cut(d Dimensions) Dimensions {
	if p.all {
		return d
	}
	return d.Project(p.dims)
}

func (p *projection) has(dimension string) bool { return p.all || slices.Contains(p.dims, dimension) }

// New returns the book kept in a store. The options are copied. Every fault of
// the options is named in one error, which wraps ErrInvalid.
func New(store Store, opts *Options) (*Book, error) {
	b := &Book{store: store}
	if opts != nil {
		b.opts = *opts
	}
	o := &b.opts
	var faults []error
	if store == nil {
		faults = append(faults, errors.New("the store is nil"))
	}
	positive := func(name string, v *int, def int) {
		if *v < 0 {
			faults = append(faults, fmt.Errorf("%s is %d, at least 0 is allowed", name, *v))
		}
		if *v == 0 {
			*v = def
		}
	}
	positive("BatchSize", &o.BatchSize, 10_000)
	positive("RollBatch", &o.RollBatch, 100_000)
	positive("MaxGroups", &o.MaxGroups, 1_000_000)
	positive("AvgPlaces", &o.AvgPlaces, 18)
	positive("JobSize", &o.JobSize, 100_000)
	positive("KeepJobs", &o.KeepJobs, 1000)
	positive("Jobs", &o.Jobs, 2)
	positive("Executions", &o.Executions, 4)
	positive("WaitingExecutions", &o.WaitingExecutions, 100)
	if o.AvgPlaces > 100 {
		faults = append(faults, fmt.Errorf("AvgPlaces is %d, at most 100 is allowed", o.AvgPlaces))
	}
	if o.AvgWhole {
		o.AvgPlaces = 0
	}
	lasting := func(name string, v *time.Duration, def time.Duration) {
		if *v < 0 {
			faults = append(faults, fmt.Errorf("%s is %s, at least 0 is allowed", name, *v))
		}
		if *v == 0 {
			*v = def
		}
	}
	lasting("SnapshotHold", &o.SnapshotHold, time.Hour)
	lasting("RollInterval", &o.RollInterval, 10*time.Second)
	lasting("TokenLifetime", &o.TokenLifetime, o.SnapshotHold)
	lasting("ExecutionLife", &o.ExecutionLife, 24*time.Hour)
	lasting("TaskLease", &o.TaskLease, time.Minute)
	lasting("TaskInterval", &o.TaskInterval, time.Second)

	var err error
	if b.catalogue, err = newCatalogue(o.Meters); err != nil {
		faults = append(faults, err)
		b.catalogue, _ = newCatalogue(nil)
	}
	b.fields = newFields(b.catalogue)
	if b.projections, err = newProjections(o.Rollups); err != nil {
		faults = append(faults, err)
	}
	if b.kpis, err = b.newKPIs(o.KPIs); err != nil {
		faults = append(faults, err)
	}
	if b.now = o.Now; b.now == nil {
		b.now = time.Now
	}
	if b.log = o.Logger; b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.tokens, err = paginate.New(&paginate.Options{Keys: o.TokenKeys, Lifetime: o.TokenLifetime, Now: b.now}); err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("usage: %w options: %w", ErrInvalid, errors.Join(faults...))
	}
	b.taskStore, _ = store.(TaskStore)
	b.tasks = newTaskRoom(o.Jobs, o.Executions)
	b.results = &resultCache{now: b.Now}
	return b, nil
}

func newProjections(sets [][]string) ([]projection, error) {
	out := []projection{{name: "meter"}, {name: "series", all: true}}
	for i, set := range sets {
		dims := slices.Clone(set)
		slices.Sort(dims)
		dims = slices.Compact(dims)
		if len(dims) == 0 {
			return nil, fmt.Errorf("set Rollups[%d] is empty; (tenant, meter) alone is kept always", i)
		}
		quotedNames := make([]string, len(dims))
		for k, d := range dims {
			if v := checkText("dimension", d, maxNameBytes); v != nil {
				return nil, fmt.Errorf("set Rollups[%d]: the dimension %s %s", i, quoted(d), v.Message)
			}
			quotedNames[k] = strconv.Quote(d)
		}
		p := projection{name: "by " + strings.Join(quotedNames, " "), dims: dims}
		if slices.ContainsFunc(out, func(q projection) bool { return q.name == p.name }) {
			return nil, fmt.Errorf("set Rollups[%d] repeats %s", i, strings.Join(quotedNames, ", "))
		}
		out = append(out, p)
	}
	return out, nil
}

// AppendOptions change how a batch is booked. The zero value is the default.
type AppendOptions struct {
	// AllOrNothing books nothing when one record of the batch cannot be booked.
	// Defaults to false: each record stands alone.
	AllOrNothing bool
}

// Append books records. It normalises them, checks their shape, looks their
// identities up, applies the rules and books what passes, atomically and, in
// durable stores, on stable storage before it returns.
//
// The Receipt has an entry for each record. Whenever a record was not booked
// the error is an [*AppendError] beside the Receipt: the other records are
// booked. Any other error means that the batch as a whole was not judged; with
// ErrUnavailable it may have been booked all the same, and sending it again is
// safe: a record counts once however often it is sent.
//
// At most Options.BatchSize records; more are refused with ErrTooLarge.
func (b *Book) Append(ctx context.Context, records ...Record) (*Receipt, error) {
	return b.AppendBatch(ctx, AppendOptions{}, records...)
}

// AppendBatch is Append with options.
func (b *Book) AppendBatch(ctx context.Context, o AppendOptions, records ...Record) (*Receipt, error) {
	batch, err := b.Prepare(o, records...)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return &Receipt{}, nil
	}
	entries, err := b.store.Append(ctx, batch)
	if err != nil {
		// What the store began may be under way still: the batch is not lent on.
		return nil, fmt.Errorf("usage: append: %w", err)
	}
	receipt, err := batch.Receipt(entries)
	b.batches.put(batch)
	return receipt, err
}

// Prepare normalises and judges records and does not book them: it is the one
// way to make the Batch that [Store.Append], and stores that book in the host's
// own transaction, take. It reads no store. Its only error is a batch above
// Options.BatchSize; what is wrong with a record is told when it is booked,
// because a record that is booked already is a Duplicate whatever the rules
// say of it now.
func (b *Book) Prepare(o AppendOptions, records ...Record) (*Batch, error) {
	if len(records) > b.opts.BatchSize {
		return nil, fmt.Errorf("usage: append: %w: %d records in one batch, at most %d are allowed", ErrTooLarge, len(records), b.opts.BatchSize)
	}
	now := micro(b.now())
	return b.prepare(o, now, now, records), nil
}

func (r *Record) isVoid() bool { return r.Corrects != nil && r.Corrects.Kind == Void }

// subject shows a record to the rules, by the present names of its meter,
// values and dimensions.
type subject struct {
	r         *Record
	catalogue *catalogue
}

func (s *subject) Tenant() string   { return s.r.Tenant }
func (s *subject) Source() string   { return s.r.Source }
func (s *subject) ID() string       { return s.r.ID }
func (s *subject) Meter() string    { return s.catalogue.meterName(s.r.Meter) }
func (s *subject) Start() time.Time { return s.r.Start }
func (s *subject) End() time.Time   { return s.r.End }

func (s *subject) Dimension(name string) (string, bool) {
	for _, k := range s.names(s.catalogue.dimensions, name) {
		if v, ok := s.r.Dimensions.Get(k); ok {
			return v, true
		}
	}
	return s.r.Dimensions.Get(name)
}

func (s *subject) Value(name string) (aggregate.Number, bool) {
	for _, k := range s.names(s.catalogue.values, name) {
		if n, ok := s.r.Values.Number(k); ok {
			return n, true
		}
	}
	return s.r.Values.Number(name)
}

// names are the names of a value or dimension that the record's meter declares.
func (s *subject) names(infos map[string]*nameInfo, name string) []string {
	if info := infos[name]; info != nil {
		return info.byMeter[s.Meter()]
	}
	return nil
}

// present is the name that a value or dimension has now in the record's meter.
func (s *subject) present(infos map[string]*nameInfo, name string) string {
	if names := s.names(infos, name); names != nil {
		return names[0]
	}
	return name
}

func (s *subject) Dimensions() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, d := range s.r.Dimensions.list {
			if !yield(s.present(s.catalogue.dimensions, d.Name), d.Value) {
				return
			}
		}
	}
}

func (s *subject) Values() iter.Seq2[string, aggregate.Number] {
	return func(yield func(string, aggregate.Number) bool) {
		for _, v := range s.r.Values.list {
			if !yield(s.present(s.catalogue.values, v.Name), v.Number) {
				return
			}
		}
	}
}

// Void books a void: the target, and whatever its chain of corrections had
// brought in its place, no longer counts. source and id are the identity of
// the void itself, so that a retry is a Duplicate. Voiding a void brings back
// what it took away. The target must be the head of its chain; see
// [ErrAlreadyCorrected].
func (b *Book) Void(ctx context.Context, target Identity, source, id string) (*Receipt, error) {
	return b.Append(ctx, Record{Tenant: target.Tenant, Source: source, ID: id,
		Corrects: &Correction{Kind: Void, Source: target.Source, ID: target.ID}})
}

// Replace books a record that stands in the place of the target, whose own
// content no longer counts. Everything but the tenant may change: with.Tenant
// must be the target's, or empty to take it over.
func (b *Book) Replace(ctx context.Context, target Identity, with Record) (*Receipt, error) {
	if with.Tenant == "" {
		with.Tenant = target.Tenant
	}
	if with.Tenant != target.Tenant {
		return nil, fmt.Errorf("usage: replace: %w: the tenant of a record cannot change: the target is of %s, the replacement of %s",
			ErrInvalid, quoted(target.Tenant), quoted(with.Tenant))
	}
	with.Corrects = &Correction{Kind: Replace, Source: target.Source, ID: target.ID}
	return b.Append(ctx, with)
}

// Now returns the book's time, UTC, cut to the microsecond.
func (b *Book) Now() time.Time { return micro(b.now()) }
