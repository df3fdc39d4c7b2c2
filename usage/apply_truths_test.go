package usage_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// TestApplyTruths asks for the known answers over real data as pipelines, with
// everything in $apply: conditions, groups, figures, order, skip and top.
func TestApplyTruths(t *testing.T) {
	t.Parallel()
	dir := shared(t)
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: truthMeters})
	require.NoError(t, err)
	load := func(path, tenant string, values ...string) {
		var records []usage.Record
		f, err := os.Open(filepath.Join(dir, tenant, path))
		require.NoError(t, err)
		defer f.Close()
		visit := func(line map[string]string) { records = append(records, recordOf(t, tenant, tenant, line, values...)) }
		if strings.HasSuffix(path, ".gz") {
			z, err := gzip.NewReader(f)
			require.NoError(t, err)
			jsonLines(t, z, visit)
		} else {
			jsonLines(t, f, visit)
		}
		for batch := range slices.Chunk(records, 5000) {
			mustAppend(t, book, batch...)
		}
	}
	load("records.jsonl", "focus", "quantity", "cost", "listCost", "effectiveCost")
	load("records.jsonl.gz", "llm", "contextTokens", "generatedTokens")
	rollAll(t, book)
	truths := loadTruths(t, dir)
	require.Len(t, truths, 19)
	for _, q := range truths {
		t.Run(q.ID, func(t *testing.T) { checkApplyTruth(t, book, q) })
	}
}

func checkApplyTruth(t *testing.T, book *usage.Book, q truth) {
	var steps []string
	if q.Params.Filter != "" {
		steps = append(steps, "filter("+q.Params.Filter+")")
	}
	order := strings.ReplaceAll(q.Params.OrderBy, "time ", "start ")
	if q.Aggregate == nil {
		order = strings.TrimPrefix(order+",id", ",")
	} else {
		var measures []string
		for name, text := range q.Aggregate {
			method, of, _ := strings.Cut(strings.TrimSuffix(text, ")"), "(")
			if method == "count" {
				measures = append(measures, "$count as "+name)
			} else {
				measures = append(measures, of+" with "+method+" as "+name)
			}
		}
		text := "aggregate(" + strings.Join(measures, ",") + ")"
		if len(q.Params.GroupBy) > 0 {
			text = "groupby((" + strings.Join(q.Params.GroupBy, ",") + ")," + text + ")"
		}
		steps = append(steps, text)
	}
	if order != "" {
		steps = append(steps, "orderby("+order+")")
	}
	whole := strings.Join(append(slices.Clone(steps), "identity"), "/")
	if q.Params.Skip > 0 {
		steps = append(steps, fmt.Sprintf("skip(%d)", q.Params.Skip))
	}
	if q.Params.Top > 0 {
		steps = append(steps, fmt.Sprintf("top(%d)", q.Params.Top))
	}
	query := usage.ApplyQuery{Apply: strings.Join(append(steps, "identity"), "/"), Window: aggregate.Window{Unit: truthLevels[q.Params.AggregationLevel]}, PageSize: 700}
	for text, to := range map[string]*time.Time{q.Params.StartDate: &query.From, q.Params.EndDate: &query.To} {
		if text != "" {
			at, err := time.Parse(time.RFC3339, text)
			require.NoError(t, err)
			*to = at
		}
	}
	rows := func() (out []usage.ApplyRow) {
		for {
			page, err := book.Apply(t.Context(), usage.ForTenant(q.Dataset), query)
			require.NoError(t, err)
			out = append(out, page.Rows...)
			if query.Token = page.Next; query.Token == "" {
				return out
			}
		}
	}
	got := rows()
	if q.Aggregate == nil {
		for i, want := range q.Expected.PageIDs {
			require.Equal(t, want, strings.TrimLeft(got[i].Record.ID, "0"))
		}
		query.Apply, query.PageSize = whole, 10_000
		var ids []string
		for _, r := range rows() {
			ids = append(ids, strings.TrimLeft(r.Record.ID, "0"))
		}
		sum := sha256.Sum256([]byte(strings.Join(ids, ",")))
		require.Equal(t, q.Expected.AllIDsSha256, hex.EncodeToString(sum[:]))
		return
	}
	require.Len(t, got, len(q.Expected.Rows))
	for i, want := range q.Expected.Rows {
		for name, v := range want {
			cell := got[i].Get(name)
			switch {
			case name == "bucket":
				require.True(t, strings.HasPrefix(got[i].Get("start").String(), v.(string)), "row %d: %s", i, got[i].Get("start"))
			case v == nil:
				require.True(t, cell.IsNull(), "row %d, %s: %s", i, name, cell)
			default:
				require.Equal(t, fmt.Sprint(v), cell.String(), "row %d, %s", i, name)
			}
		}
	}
}
