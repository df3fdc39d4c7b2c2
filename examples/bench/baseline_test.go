package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
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
