package usage_test

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// shared returns the folder of real data, which is not part of the repository.
// Without the variable the test skips; with it, a missing file fails.
func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("USAGEBOOK_SHARED")
	if dir == "" {
		t.Skip("USAGEBOOK_SHARED is not set: the real usage data is not part of the repository")
	}
	return filepath.Join(dir, "data")
}

type truth struct {
	ID, Dataset, Plain string
	Params             struct {
		Filter, OrderBy, AggregationLevel, StartDate, EndDate string
		GroupBy                                               []string
		Top, Skip                                             int
	}
	Aggregate map[string]string
	Expected  struct {
		MatchedRecords, Groups, Count int
		Rows                          []map[string]any
		PageIDs                       []string
		AllIDsSha256                  string
	}
}

func loadTruths(t *testing.T, dir string) []truth {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "truths_public.json"))
	require.NoError(t, err)
	var file struct{ Public []truth }
	require.NoError(t, json.Unmarshal(b, &file))
	return file.Public
}

// jsonLines calls visit for each line of text fields; absent and null fields
// are not there.
func jsonLines(t *testing.T, r io.Reader, visit func(map[string]string)) {
	t.Helper()
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var line map[string]*string
		require.NoError(t, json.Unmarshal(s.Bytes(), &line))
		out := map[string]string{}
		for k, v := range line {
			if v != nil {
				out[k] = *v
			}
		}
		visit(out)
	}
	require.NoError(t, s.Err())
}

func padded(id string) string { return strings.Repeat("0", max(0, 8-len(id))) + id }

// recordOf turns a line into a record: the named fields are values, the rest
// dimensions.
func recordOf(t *testing.T, tenant, meter string, line map[string]string, values ...string) usage.Record {
	t.Helper()
	r := usage.Record{Tenant: tenant, Source: "truths", ID: padded(line["id"]), Meter: meter}
	instant := func(name string) time.Time {
		if line[name] == "" {
			return time.Time{}
		}
		at, err := time.Parse(time.RFC3339Nano, line[name])
		require.NoError(t, err)
		return at
	}
	if r.Start = instant("start"); r.Start.IsZero() {
		r.Start = instant("time")
	}
	r.End = instant("end")
	for name, v := range line {
		switch {
		case slices.Contains([]string{"id", "start", "end", "time"}, name):
		case slices.Contains(values, name):
			d, err := decimal.NewFromString(v)
			require.NoError(t, err)
			r.Values = r.Values.With(name, d)
		default:
			r.Dimensions = r.Dimensions.With(name, v)
		}
	}
	return r
}

var truthMeters = []usage.Meter{
	{Name: "focus", Values: []usage.MeterValue{{Name: "quantity"}, {Name: "cost", Unit: "USD"}, {Name: "listCost", Unit: "USD"}, {Name: "effectiveCost", Unit: "USD"}},
		Dimensions: []usage.MeterDimension{{Name: "service"}, {Name: "tags", JSON: true}}},
	{Name: "llm", Values: []usage.MeterValue{{Name: "contextTokens", Integer: true}, {Name: "generatedTokens", Integer: true}}, Dimensions: []usage.MeterDimension{{Name: "service"}}},
}

func TestTruths(t *testing.T) {
	t.Parallel()
	dir := shared(t)
	truths := loadTruths(t, dir)
	require.Len(t, truths, 19)

	var focus, llm []usage.Record
	f, err := os.Open(filepath.Join(dir, "focus", "records.jsonl"))
	require.NoError(t, err)
	defer f.Close()
	jsonLines(t, f, func(line map[string]string) {
		focus = append(focus, recordOf(t, "focus", "focus", line, "quantity", "cost", "listCost", "effectiveCost"))
	})
	require.Len(t, focus, 1000)
	g, err := os.Open(filepath.Join(dir, "llm", "records.jsonl.gz"))
	require.NoError(t, err)
	defer g.Close()
	z, err := gzip.NewReader(g)
	require.NoError(t, err)
	jsonLines(t, z, func(line map[string]string) {
		llm = append(llm, recordOf(t, "llm", "llm", line, "contextTokens", "generatedTokens"))
	})
	require.Len(t, llm, 28185)

	store := memstore.New(nil)
	book, err := usage.New(store, &usage.Options{Meters: truthMeters, RollBatch: 5000})
	require.NoError(t, err)
	loadShuffled(t, book, append(slices.Clone(focus), llm...))

	for _, rolled := range []bool{false, true} {
		if rolled {
			for {
				did, err := book.Roll(t.Context())
				require.NoError(t, err)
				if !did {
					break
				}
			}
		}
		for _, q := range truths {
			t.Run(fmt.Sprintf("%s rolled %v", q.ID, rolled), func(t *testing.T) { checkTruth(t, book, q, rolled) })
		}
	}
}

// loadShuffled books the records in a random order, a fifth of them twice.
func loadShuffled(t *testing.T, book *usage.Book, records []usage.Record) {
	t.Helper()
	n := len(records)
	rng := rand.New(rand.NewPCG(19, 2024))
	for range n / 5 {
		records = append(records, records[rng.IntN(n)])
	}
	rng.Shuffle(len(records), func(i, k int) { records[i], records[k] = records[k], records[i] })
	inserted, duplicates := 0, 0
	for batch := range slices.Chunk(records, 777) {
		receipt, err := book.Append(t.Context(), batch...)
		require.NoError(t, err)
		inserted += receipt.Inserted
		duplicates += receipt.Duplicates
	}
	require.Equal(t, n, inserted)
	require.Equal(t, n/5, duplicates)
}

var truthLevels = map[string]aggregate.Unit{"": aggregate.None, "hourly": aggregate.Hour, "daily": aggregate.Day, "monthly": aggregate.Month}

func checkTruth(t *testing.T, book *usage.Book, q truth, rolled bool) {
	scope := usage.ForTenant(q.Dataset)
	query := usage.Query{Filter: q.Params.Filter, GroupBy: q.Params.GroupBy, OrderBy: strings.ReplaceAll(q.Params.OrderBy, "time ", "start "),
		Window: aggregate.Window{Unit: truthLevels[q.Params.AggregationLevel]}, PageSize: 10_000}
	for text, to := range map[string]*time.Time{q.Params.StartDate: &query.From, q.Params.EndDate: &query.To} {
		if text != "" {
			at, err := time.Parse(time.RFC3339, text)
			require.NoError(t, err)
			*to = at
		}
	}
	if q.Aggregate == nil {
		checkRecords(t, book, scope, query, q)
		return
	}
	var names []string
	for name := range q.Aggregate {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text := q.Aggregate[name]
		if text == "count" {
			text = "count()"
		}
		m, err := usage.ParseMeasures(text + " as " + name)
		require.NoError(t, err)
		query.Measures = append(query.Measures, m...)
	}
	page, err := book.Query(t.Context(), scope, query)
	require.NoError(t, err)
	require.Len(t, page.Rows, q.Expected.Groups)

	// The number of records behind the answer is told by the plan, which says
	// too that complete rollups leave nothing raw where they can serve.
	plan, err := book.Plan(t.Context(), scope, query)
	require.NoError(t, err)
	require.EqualValues(t, q.Expected.MatchedRecords, plan.Records)
	if !rolled {
		require.Equal(t, plan.Checkpoint, uint64(0))
	}

	rows := page.Rows
	if q.Params.Top > 0 {
		rows = rows[q.Params.Skip:min(len(rows), q.Params.Skip+q.Params.Top)]
	}
	require.Len(t, rows, len(q.Expected.Rows))
	for i, want := range q.Expected.Rows {
		for name, v := range want {
			if name == "bucket" {
				layout := time.RFC3339
				if len(v.(string)) == len(time.DateOnly) {
					layout = time.DateOnly
				}
				require.Equal(t, v, rows[i].Start.Format(layout), "row %d", i)
				continue
			}
			got := rows[i].Get(name)
			switch v := v.(type) {
			case nil:
				require.True(t, got.IsNull(), "row %d, %s: %s", i, name, got)
			case float64:
				require.Equal(t, fmt.Sprint(v), got.String(), "row %d, %s", i, name)
			default:
				require.Equal(t, v, got.String(), "row %d, %s", i, name)
			}
		}
	}
}

func checkRecords(t *testing.T, book *usage.Book, scope usage.Scope, query usage.Query, q truth) {
	// Ties go by the numeric id, which the padding makes the order of bytes.
	if query.OrderBy == "" {
		query.OrderBy = "id"
	} else if query.OrderBy != "id" {
		query.OrderBy += ",id"
	}
	query.Count = true
	query.PageSize = 1000
	var ids []string
	for {
		page, err := book.Query(t.Context(), scope, query)
		require.NoError(t, err)
		require.EqualValues(t, q.Expected.Count, page.Count)
		for _, row := range page.Rows {
			ids = append(ids, strings.TrimLeft(row.Record.ID, "0"))
		}
		if page.Next == "" {
			break
		}
		query.Token = page.Next
	}
	require.Len(t, ids, q.Expected.MatchedRecords)
	sum := sha256.Sum256([]byte(strings.Join(ids, ",")))
	require.Equal(t, q.Expected.AllIDsSha256, hex.EncodeToString(sum[:]))
	ids = ids[q.Params.Skip:]
	if q.Params.Top > 0 {
		ids = ids[:min(len(ids), q.Params.Top)]
	}
	require.Equal(t, q.Expected.PageIDs, ids[:len(q.Expected.PageIDs)])
}
