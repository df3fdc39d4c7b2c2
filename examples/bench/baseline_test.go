package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

var update = flag.Bool("update", false, "rewrite baseline.json")

const baselineFile = "baseline.json"

// needPostgres skips where there is no PostgreSQL, unless it was promised.
func needPostgres(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, pgtest.ErrNotInstalled) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// TestBaseline: at 100,000 records ours allocate no more, and take no more room, than
// when baseline.json was written. It counts what the whole process allocates, so no
// other test may run beside it.
func TestBaseline(t *testing.T) {
	s := sizes{records: 100_000, workload: workload{shape: typical, each: meters}}
	all := baseline{}
	for _, name := range []string{"memstore", "sqlitestore", "postgresstore"} {
		t.Run(name, func(t *testing.T) {
			f, err := newField([]string{name})
			require.NoError(t, err)
			defer func() { require.NoError(t, f.close()) }()
			now, err := s.figures(t.Context(), f, f.entrants[0])
			needPostgres(t, err)
			require.NotEmpty(t, now)
			for name, v := range now {
				all[name] = v
			}
			if *update {
				return
			}
			committed, err := readBaseline(baselineFile)
			require.NoError(t, err)
			if faults := committed.grown(now); len(faults) > 0 {
				t.Errorf("more than 20 %% above %s; where it is worth it, go test ./examples/bench -run TestBaseline -update:\n%s", baselineFile, strings.Join(faults, "\n"))
			}
		})
	}
	if *update && !t.Failed() {
		require.NoError(t, all.write(baselineFile))
	}
}

// TestGrown: what grew is named, and nothing else.
func TestGrown(t *testing.T) {
	t.Parallel()
	was := baseline{"a": 100, "b": 100, "c": 1, "gone": 1}
	require.Empty(t, was.grown(baseline{"a": 120, "b": 1, "c": 1.1}))
	require.Equal(t, []string{
		"a: 121.00, which is +21 % of the baseline's 100.00",
		"new: not in the baseline",
	}, was.grown(baseline{"a": 121, "b": 100, "new": 1}))
	file := filepath.Join(t.TempDir(), "b.json")
	require.NoError(t, baseline{"a": 1234.567, "b": 0.123456, "c": 1e7}.write(file))
	again, err := readBaseline(file)
	require.NoError(t, err)
	require.Equal(t, baseline{"a": 1235, "b": 0.1235, "c": 1e7}, again)
}

// TestAnswers: all contenders book 100,000 records and give the same answers, before
// and after more have arrived.
func TestAnswers(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "report.md")
	err := run(t.Context(), []string{"-records", "100000", "-turns", "1", "-warm", "1ms", "-pace", "1ms", "-report", file, "queries"}, &out)
	needPostgres(t, err)
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^- Go: go1`, string(report))
	drawing, err := os.ReadFile(filepath.Join(filepath.Dir(file), "report-typical-warm.svg"))
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(drawing, new(struct{ XMLName xml.Name })))
	require.Contains(t, string(report), "](report-typical-warm.svg)")
	for _, q := range (workload{}).questions(100_000, 0) {
		for _, name := range strings.Split(usual(), ",") {
			require.Regexp(t, `(?m)^\| `+q.name+` \| `+name+` \| \d`, string(report))
		}
	}
}

// TestShapes: contenders in memory agree on the other workloads too, and with what is
// not rolled up, and all book them.
func TestShapes(t *testing.T) {
	t.Parallel()
	for _, w := range []shape{skewed, adversarial, wide} {
		t.Run(string(w), func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			contenders := "naive,memstore,memstore-raw"
			if w == wide { // the one with columns of its own
				contenders += ",sqlite,sqlitestore"
			}
			if hasDuckDB {
				contenders += ",duckdb,duckdb-enum"
			}
			require.NoError(t, run(t.Context(), []string{"-records", "10000", "-turns", "2", "-append", "2000", "-ids", "hex", "-warm", "1ms", "-pace", "1ms",
				"-workload", string(w), "-contenders", contenders, "ingest", "queries"}, &out))
			if w == wide {
				require.Regexp(t, `(?m)^ *sqlitestore +2000 +all +running +\d+ records/s`, out.String())
			}
			require.Regexp(t, `(?m)^ *Q7d +memstore +naive +\d`, out.String())
		})
	}
}

// TestMixed: a reader and a writer get along, and scaling ends in a table and plots.
func TestMixed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "report.md")
	require.NoError(t, run(t.Context(), []string{"-records", "10000", "-contenders", "naive,memstore", "-mix", "200ms", "-warm", "1ms", "-pace", "1ms", "-report", file, "mixed", "scaling"}, &out))
	require.Regexp(t, `(?m)^ *memstore +\d+ questions/s`, out.String())
	require.Regexp(t, `(?m)^ *Q1 +naive .*\d\.\d *$`, out.String())
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, name := range []string{"typical-mixed", "typical-scaling-Q1", "typical-scaling-Q4"} {
		require.Contains(t, string(report), "](report-"+name+".svg)")
		require.FileExists(t, filepath.Join(filepath.Dir(file), "report-"+name+".svg"))
	}
}

// TestStampedID: ids of the mixed part are UUIDs in their canonical form, and differ.
func TestStampedID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for n := range uint64(500) {
		for i := range uint64(batchSize) {
			id := stampedID(n, i)
			require.False(t, seen[id])
			seen[id] = true
		}
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, stampedID(n, 0))
	}
}

// TestAxis: ticks are round numbers that hold all values between them.
func TestAxis(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log    bool
		values []float64
		want   []float64
	}{
		"even":       {false, []float64{3, 41}, []float64{0, 10, 20, 30, 40, 50}},
		"one":        {false, []float64{0}, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		"powers":     {true, []float64{0.02, 40, math.NaN(), 0}, []float64{0.01, 0.1, 1, 10, 100}},
		"one power":  {true, []float64{10}, []float64{10, 100}},
		"no numbers": {true, nil, []float64{1, 10}},
	} {
		require.InDeltaSlice(t, c.want, newAxis(c.log, c.values, 0, 100).ticks(), 1e-9, name)
	}
	require.Equal(t, []string{"20M", "100k", "2000", "0.01"}, []string{tick(20e6), tick(1e5), tick(2000), tick(0.01)})
}

// TestEventCheck: what hand-written contenders check is what rules ask for.
func TestEventCheck(t *testing.T) {
	t.Parallel()
	good := newTraffic(1, 10, workload{shape: typical, each: meters}).next()
	require.NoError(t, good.check())
	for name, spoil := range map[string]func(*event){
		"no tenant": func(e *event) { e.tenant = "" }, "no resource": func(e *event) { e.resource = "" }, "no time": func(e *event) { e.at = time.Time{} },
		"negative": func(e *event) { e.quantity = e.quantity.Add(e.quantity).Neg() }, "seven places": func(e *event) { e.quantity = e.quantity.Shift(-7) },
	} {
		e := good
		spoil(&e)
		require.Error(t, e.check(), name)
	}
}
