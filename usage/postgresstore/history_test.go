package postgresstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/postgresstore"
)

// rawStore scans everything and knows of no rollups.
type rawStore struct{ usage.Store }

func (r rawStore) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	st, err := r.Store.Checkpoint(ctx, at)
	st.Checkpoint, st.Coverage = 0, nil
	return st, err
}

// manyVerdicts gives verdicts of every class, in some versions, by the id.
type manyVerdicts struct{}

func (manyVerdicts) Judge(s rules.Subject, _ time.Time) rules.Judgement {
	id := s.ID()
	n := int(id[len(id)-1])
	if len(id) < 3 {
		n = 0
	}
	return rules.Judgement{Verdict: rules.Verdict(n % 3), Billable: n%2 == 0, Version: fmt.Sprint("v", n%4)}
}

// side is a store that takes part, over a pool of its own.
type side struct {
	name  string
	pool  *pgxpool.Pool
	store *postgresstore.Store
	book  *usage.Book
}

// history is what happens to the book.
type history struct {
	t     *testing.T
	rng   *rand.Rand
	clock *clock
	sides []*side
	truth *usage.Book
	mem   *usage.Book
	n     int
	sent  []usage.Record
	late  []lateTx
	log   []string
}

// lateTx is a transaction of a host that is open.
type lateTx struct {
	tx   pgx.Tx
	recs []usage.Record
}

// Names that a statement could stumble over.
var odd = []string{"acme", "globex", "we\"ird\\ 'x' {a,b} NULL", "ä ☃", "NULL", "{}", "a,b", strings.Repeat("x", 128)}
var oddMeters = []string{"orders", "m,1", "\"", "\\N", "api ☃", "E'x", "$1"}

func (f *history) note(format string, a ...any) { f.log = append(f.log, fmt.Sprintf(format, a...)) }

func pick1[T any](f *history, l ...T) T { return l[f.rng.IntN(len(l))] }

var bigs = []string{"0", "0.0", "1", "-1", "2.5", "99999999999999999999999999999999999999.999999999999999999999999999999", "-0.000000000000000000000000000001", "170141183460469231731687303715884105727", "9223372036854775807", "3"}

func (f *history) fresh(wide bool) usage.Record {
	f.n++
	tenants, meters := odd[:3], oddMeters[:3]
	if wide {
		tenants, meters = odd, oddMeters
	}
	r := usage.Record{Tenant: pick1(f, tenants...), Source: pick1(f, "s1", "s\"2", "☃"), ID: fmt.Sprint("r", f.n, pick1(f, "", "'", "\\", "\"", "a", "b", "c")), Meter: pick1(f, meters...),
		Start: epoch.Add(time.Duration(f.rng.IntN(1500)) * time.Hour / 2)}
	if f.rng.IntN(5) == 0 {
		r.Start = r.Start.Add(time.Duration(f.rng.IntN(3)-1) * time.Microsecond)
	}
	if f.rng.IntN(40) == 0 {
		r.Start = r.Start.AddDate(f.rng.IntN(300)-200, 0, 0)
	}
	if f.rng.IntN(8) > 0 {
		r.Values = r.Values.With("quantity", decimal.RequireFromString(pick1(f, bigs...)))
	}
	names := []string{"cost", "x", "zz"}
	if f.n > 200 {
		names = append(names, "aa", "q'uote", "b\\s")
	}
	for _, name := range names {
		if f.rng.IntN(6) == 0 && f.n > 20 {
			r.Values = r.Values.WithNumber(name, aggregate.Fixed(f.rng.Int64N(2000)-1000, uint8(f.rng.IntN(4))))
		}
	}
	if r.Values.Len() == 0 {
		r.Values = r.Values.WithNumber(pick1(f, "cost", "quantity"), aggregate.Int(int64(f.rng.IntN(3))))
	}
	if f.rng.IntN(5) > 0 {
		r.Dimensions = r.Dimensions.With("region", pick1(f, "eu", "us", "east", "", "e\"x", "NULL", fmt.Sprint("e", f.rng.IntN(30))))
	}
	if f.rng.IntN(3) == 0 {
		r.Dimensions = r.Dimensions.With("host", fmt.Sprint("h", f.rng.IntN(4)))
	}
	if f.rng.IntN(30) == 0 {
		r.Dimensions = r.Dimensions.With("host", strings.Repeat(fmt.Sprint("L", f.rng.IntN(9)), 1500))
	}
	return r
}

func (f *history) batch(s *side) {
	var list []usage.Record
	n := 1 + f.rng.IntN(8)
	if f.rng.IntN(25) == 0 {
		n = 300
	}
	wide := f.rng.IntN(3) == 0
	for range n {
		k := f.rng.IntN(20)
		switch {
		case k == 0 && len(f.sent) > 0:
			list = append(list, f.sent[f.rng.IntN(len(f.sent))])
		case k < 3 && len(f.sent) > 0:
			f.n++
			target := f.sent[f.rng.IntN(len(f.sent))]
			list = append(list, voidOf(fmt.Sprint("v", f.n), target))
		case k < 5 && len(f.sent) > 0:
			target := f.sent[f.rng.IntN(len(f.sent))]
			r := f.fresh(wide)
			r.Tenant = target.Tenant
			r.Corrects = &usage.Correction{Kind: usage.Replace, Source: target.Source, ID: target.ID}
			list = append(list, r)
		default:
			list = append(list, f.fresh(wide))
		}
	}
	f.sent = append(f.sent, list...)
	ctx := f.t.Context()
	if len(f.late) > 0 {
		// Records that an open transaction has would make us wait: none are sent twice but by chance.
		ids := map[usage.Identity]bool{}
		for _, l := range f.late {
			for _, r := range l.recs {
				ids[r.Identity()] = true
			}
		}
		for _, r := range list {
			if ids[r.Identity()] || r.Corrects != nil && ids[usage.Identity{Tenant: r.Tenant, Source: r.Corrects.Source, ID: r.Corrects.ID}] {
				f.commitLate()
				break
			}
		}
	}
	if f.rng.IntN(4) == 0 {
		tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
		require.NoError(f.t, err)
		_, err = s.store.AppendTx(ctx, s.book, tx, list...)
		refused := (*usage.AppendError)(nil)
		if err != nil && !errors.As(err, &refused) {
			require.NoError(f.t, err)
		}
		switch f.rng.IntN(4) {
		case 0:
			require.NoError(f.t, tx.Rollback(ctx))
			f.note("%s: tx rolled back", s.name)
		default:
			if s.pool.Config().MaxConns > 1 && !hasCorrection(list) {
				f.late = append(f.late, lateTx{tx, list})
				f.note("%s: tx open", s.name)
				if len(f.late) > 2 {
					f.commitLate()
				}
				return
			}
			require.NoError(f.t, tx.Commit(ctx))
			f.memAppend(list)
		}
		return
	}
	_, err := s.book.Append(ctx, list...)
	refused := (*usage.AppendError)(nil)
	if err != nil && !errors.As(err, &refused) {
		require.NoError(f.t, err)
	}
	f.note("%s: append %d", s.name, len(list))
	f.memAppend(list)
}

func hasCorrection(list []usage.Record) bool {
	for _, r := range list {
		if r.Corrects != nil {
			return true
		}
	}
	return false
}

func (f *history) memAppend(list []usage.Record) { f.mem.Append(f.t.Context(), list...) }

func (f *history) commitLate() {
	for _, l := range f.late {
		require.NoError(f.t, l.tx.Commit(f.t.Context()))
		f.memAppend(l.recs)
	}
	f.note("late committed")
	f.late = nil
}

func (f *history) query() (usage.Scope, usage.Query) {
	scope := usage.ForTenant(pick1(f, odd[:3]...))
	switch f.rng.IntN(6) {
	case 0:
		scope = usage.AllTenants()
	case 1:
		scope = usage.ForTenants(odd[0], odd[1], odd[4], "none")
	case 2:
		scope = usage.ForTenant(pick1(f, odd...))
	}
	if f.rng.IntN(10) == 0 {
		scope = scope.With("region", "eu")
	}
	q := usage.Query{}
	var conds []string
	if f.rng.IntN(2) == 0 {
		conds = append(conds, "meter eq '"+strings.ReplaceAll(pick1(f, oddMeters...), "'", "''")+"'")
	} else if f.rng.IntN(4) == 0 {
		conds = append(conds, "meter in ('orders','m,1')")
	}
	if f.rng.IntN(3) == 0 {
		conds = append(conds, pick1(f, "startswith(region,'e')", "region eq 'eu'", "region eq null", "host ne 'h1'", "contains(host,'L')", "region eq 'nowhere'", "region eq 'e3' or host eq 'h2'"))
	}
	if f.rng.IntN(4) == 0 {
		conds = append(conds, pick1(f, "billable eq true", "verified eq true", "verified eq null", "verified eq false and billable eq false", "billable eq false"))
	}
	if f.rng.IntN(10) == 0 {
		conds = append(conds, pick1(f, "values/quantity gt 1", "start ge 2026-03-10T00:00:00Z", "values/cost ne null"))
	}
	q.Filter = strings.Join(conds, " and ")
	for _, g := range []string{"region", "host", "meter", "tenant", "billable", "verified"} {
		if f.rng.IntN(5) == 0 {
			q.GroupBy = append(q.GroupBy, g)
		}
	}
	zurich, _ := time.LoadLocation("Europe/Zurich")
	if f.rng.IntN(2) == 0 {
		q.Window = pick1(f, aggregate.Window{Unit: aggregate.Hour}, aggregate.Window{Unit: aggregate.Day}, aggregate.Window{Unit: aggregate.Day, Location: zurich}, aggregate.Window{Unit: aggregate.Month}, aggregate.Window{Unit: aggregate.Week}, aggregate.Window{Unit: aggregate.Month, Location: zurich})
	}
	if f.rng.IntN(2) == 0 {
		q.From = epoch.Add(time.Duration(f.rng.IntN(1500)-200) * time.Hour / 2)
		q.To = q.From.Add(time.Duration(f.rng.IntN(400)) * time.Hour)
		if f.rng.IntN(3) == 0 {
			q.From = q.From.Truncate(24 * time.Hour)
			q.To = q.To.Truncate(24 * time.Hour)
			if q.To.Before(q.From) {
				q.To = q.From
			}
		}
		switch f.rng.IntN(6) {
		case 0:
			q.From = time.Time{}
		case 1:
			q.To = time.Time{}
		}
	} else if f.rng.IntN(8) == 0 {
		q.On, q.From, q.To = usage.RecordedTime, epoch, epoch.Add(time.Duration(f.rng.IntN(100))*time.Hour)
	}
	for _, m := range []usage.Measure{{Of: "quantity"}, {Of: "cost"}, {Of: "x", Aggregation: usage.Max}, {Of: "cost", Aggregation: usage.Min, Name: "least"}, {Of: "zz", Aggregation: usage.Count, Name: "n"},
		{Aggregation: usage.Count, Name: "all"}, {Of: "quantity", Aggregation: usage.Avg, Name: "mean"}, {Of: "values/aa", Name: "aa"}, {Of: "q'uote", Name: "qq"}, {Of: "values/b\\s", Aggregation: usage.Avg, Name: "bs"}, {Of: "host", Aggregation: usage.CountDistinct, Name: "hosts"}, {Of: "quantity", Aggregation: usage.Last, Name: "last"}} {
		if f.rng.IntN(4) == 0 && !(m.Aggregation == usage.Last && f.rng.IntN(4) > 0) {
			q.Measures = append(q.Measures, m)
		}
	}
	if len(q.Measures) == 0 {
		q.Measures = []usage.Measure{{Of: "quantity"}}
	}
	if f.rng.IntN(5) == 0 {
		q.OrderBy = q.Measures[0].Name
		if q.OrderBy == "" {
			q.OrderBy = "quantity"
		}
		if q.Measures[0].Of == "cost" && q.Measures[0].Name == "" {
			q.OrderBy = "cost"
		}
		q.OrderBy += pick1(f, "", " desc")
		if strings.HasPrefix(q.OrderBy, " ") || q.Measures[0].Of == "x" {
			q.OrderBy = ""
		}
	}
	q.Count = f.rng.IntN(3) == 0
	q.PageSize = pick1(f, 0, 0, 1, 3, 7, 1000)
	if f.rng.IntN(4) == 0 {
		q.Limit = 1 + f.rng.IntN(20)
	}
	if q.Window.Unit != aggregate.None && q.On == usage.EventTime && !q.From.IsZero() && !q.To.IsZero() && f.rng.IntN(5) == 0 {
		q.ZeroFill = true
	}
	return scope, q
}

func rowsText(rows []usage.Row) (out []string) {
	for i := range rows {
		s := fmt.Sprint(rows[i].Start.UnixMicro(), " ", rows[i].End.UnixMicro())
		for _, c := range rows[i].Cells {
			s += " " + c.String()
		}
		out = append(out, s)
	}
	return out
}

func allRows(t *testing.T, b *usage.Book, scope usage.Scope, q usage.Query) ([]string, error) {
	var rows []usage.Row
	for row, err := range b.Rows(t.Context(), scope, q) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rowsText(rows), nil
}

func (f *history) check(s *side, between func()) {
	scope, q := f.query()
	t := f.t
	what := fmt.Sprintf("%s scope %v q %+v", s.name, scope, q)
	// The moment: as the truth has it now.
	tq := q
	want, err := allRows(t, f.truth, scope, tq)
	if err != nil {
		_, err2 := allRows(t, s.book, scope, q)
		require.Error(t, err2, "%s: truth says %v", what, err)
		return
	}
	for range 1 + f.rng.IntN(3) {
		got, err := allRows(t, s.book, scope, q)
		require.NoError(t, err, what)
		require.Equal(t, want, got, "Rows %s\n%s", what, strings.Join(f.log[max(0, len(f.log)-10):], "\n"))
	}
	if len(f.late) == 0 {
		got, err := allRows(t, f.mem, scope, q)
		require.NoError(t, err)
		if q.On == usage.EventTime {
			require.Equal(t, want, got, "mem %s", what)
		}
	}
	// pages, while others write
	var paged []string
	pq := q
	var first *usage.Page
	full := want
	nolimit := q
	nolimit.Limit = 0
	for {
		page, err := s.book.Query(t.Context(), scope, pq)
		require.NoError(t, err, what)
		if first == nil {
			first = page
			total, err := allRows(t, f.truth, scope, nolimit)
			require.NoError(t, err)
			if q.Count {
				n := int64(len(total))
				if q.Limit > 0 {
					n = min(n, int64(q.Limit))
				}
				require.Equal(t, n, page.Count, "count %s", what)
			}
		} else if q.Count {
			require.Equal(t, first.Count, page.Count, what)
		}
		paged = append(paged, rowsText(page.Rows)...)
		if page.Next == "" {
			break
		}
		if len(paged) > 60 {
			// Rows with a token gives the rest.
			pq.Token = page.Next
			rest, err := allRows(t, s.book, scope, pq)
			require.NoError(t, err, what)
			paged = append(paged, rest...)
			break
		}
		pq.Token = page.Next
		if f.rng.IntN(4) == 0 && between != nil {
			between()
		}
	}
	require.Equal(t, full, paged, "pages %s", what)
	// The past repeats.
	if f.rng.IntN(3) == 0 && first.AsOf.Sequence > 0 {
		aq := q
		aq.AsOf = first.AsOf
		got, err := allRows(t, s.book, scope, aq)
		require.NoError(t, err, what)
		require.Equal(t, want, got, "as of %s", what)
		if first.AsOf.Sequence > 3 {
			aq.AsOf.Sequence = 1 + uint64(f.rng.Int64N(int64(first.AsOf.Sequence)))
			want, err := allRows(t, f.truth, scope, aq)
			require.NoError(t, err, what)
			got, err := allRows(t, s.book, scope, aq)
			require.NoError(t, err, what)
			require.Equal(t, want, got, "as of past %s %d", what, aq.AsOf.Sequence)
		}
	}
	if f.rng.IntN(6) == 0 {
		aq := q
		aq.AsOf = usage.AsOf{Time: epoch.Add(time.Duration(f.rng.Int64N(int64(f.clock.Now().Sub(epoch)) + 1)))}
		want, err := allRows(t, f.truth, scope, aq)
		require.NoError(t, err, what)
		got, err := allRows(t, s.book, scope, aq)
		require.NoError(t, err, what)
		require.Equal(t, want, got, "as of time %s %v", what, aq.AsOf.Time)
	}
}

func runHistory(t *testing.T, seed uint64, steps int, isolation string) {
	b := newBench(t, nil)
	if isolation != "" {
		_, err := b.pool.Exec(t.Context(), "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET default_transaction_isolation = ''"+isolation+"'''; END $$")
		require.NoError(t, err)
	}
	f := &history{t: t, rng: rand.New(rand.NewPCG(seed, 99)), clock: b.clock}
	schema := pick1(f, "", "my \"book\" ☃'s {s} $1")
	opts := func() *usage.Options {
		return &usage.Options{Now: b.clock.Now, Rules: manyVerdicts{}, RollBatch: 70, SnapshotHold: 3 * time.Hour, Rollups: [][]string{{"region"}}, TokenLifetime: 1000 * time.Hour}
	}
	add := func(name string, configure func(*pgxpool.Config)) *side {
		s := &side{name: name, pool: newPool(t, b.url, configure)}
		s.store = open(t, s.pool, &postgresstore.Options{Schema: schema})
		var err error
		s.book, err = usage.New(s.store, opts())
		require.NoError(t, err)
		return s
	}
	f.sides = append(f.sides, add("A", nil), add("B", nil),
		add("one", func(c *pgxpool.Config) { c.MaxConns = 1 }),
		add("exec", func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec }),
		add("simple", func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol }),
		add("describe", func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe }),
		add("small cache", func(c *pgxpool.Config) { c.ConnConfig.StatementCacheCapacity = 2 }))
	truth := add("truth", nil)
	var err error
	f.truth, err = usage.New(rawStore{struct{ usage.Store }{truth.store}}, opts())
	require.NoError(t, err)
	f.mem, err = usage.New(memstore.New(nil), opts())
	require.NoError(t, err)
	for step := range steps {
		s := f.sides[f.rng.IntN(len(f.sides))]
		switch k := f.rng.IntN(12); {
		case k < 4:
			f.batch(s)
		case k == 4:
			b.clock.advance(time.Duration(f.rng.IntN(20*24)) * time.Hour / 4)
			_, err := s.book.Roll(t.Context())
			require.NoError(t, err)
			f.note("%s: roll", s.name)
		case k == 5 && len(f.late) > 0:
			f.commitLate()
		case k == 6:
			// Another process, which knows nothing yet.
			f.sides[f.rng.IntN(2)] = add(fmt.Sprint("new ", step), nil)
		}
		if f.rng.IntN(3) == 0 {
			b.clock.advance(time.Second)
		}
		for range f.rng.IntN(3) {
			s := f.sides[f.rng.IntN(len(f.sides))]
			if f.rng.IntN(2) == 0 {
				s = f.sides[0]
			}
			f.check(s, func() { f.batch(f.sides[f.rng.IntN(len(f.sides))]) })
		}
	}
	for _, l := range f.late {
		l.tx.Rollback(context.Background())
	}
}

// Stores of one schema over pools of all kinds book, correct, roll and leave
// transactions of hosts open, and each is asked about everything in between. The truth
// is a book that scans records one by one, knows no rollups and assumes nothing.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	seeds := 2
	if n, err := strconv.Atoi(os.Getenv("USAGEBOOK_WORKLOADS")); err == nil {
		seeds = n
	}
	for _, isolation := range []string{"", "repeatable read", "serializable"} {
		for seed := range uint64(seeds) {
			t.Run(fmt.Sprintf("%s %d", isolation, seed), func(t *testing.T) {
				runHistory(t, seed, 40, isolation)
			})
			if isolation != "" && seeds <= 2 {
				break
			}
		}
	}
}
