package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// These tests prove the program alive and its answers right, and nothing of speed.

func TestHTTP(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "report.md")
	require.NoError(t, run(t.Context(), []string{"-records", "100000", "-batches", "5", "-clients", "2", "-turns", "2", "-report", file, "http"}, &out))
	require.Regexp(t, `(?m)^ *ingest +\d+ records/s.* of its rate .*$`, out.String())
	require.Regexp(t, `(?m)^ *page .* of its time .*$`, out.String())
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^\| page \| .* of its time \|`, string(report))
}

func TestStores(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "report.md")
	err := run(t.Context(), []string{"-records", "10000", "-append", "200,2000", "-commits", "16", "-turns", "2", "-warm", "10ms", "-report", file, "stores", "writers"}, &out)
	needPostgres(t, err)
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, engine := range []string{"sqlite", "postgres"} {
		require.Regexp(t, `(?m)^ *`+engine+` +2000 +\d+ records/s`, out.String())
		for _, q := range (workload{}).questions(10_000, 0) {
			require.Regexp(t, `(?m)^\| `+engine+` \| `+q.name+` \| [1-9]`, string(report))
		}
		require.Regexp(t, `(?m)^ *`+engine+` +200 +8 +\d+ records/s`, out.String())
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-records", "1"}, {"more"}, {"-append", "0", "stores"}, {"-append", "x", "stores"}, {"-engines", "oracle", "stores"}, {"-turns", "0"},
		{"-workload", "odd"}, {"-ids", "serial"}, {"-contenders", "oracle", "queries"}, {"-contenders", "naive", "mixed"}, {"-pace", "0s"}, {"-mix", "0s"}} {
		require.Error(t, run(t.Context(), args, new(bytes.Buffer)), "%v", args)
	}
}

// TestSameAnswer: what holds the two sides against each other tells them apart.
func TestSameAnswer(t *testing.T) {
	t.Parallel()
	one := figure{window: 1, group: "a", sum: decimal.RequireFromString("1.000001")}
	more, late, other := one, one, one
	more.sum, late.window, other.group = decimal.RequireFromString("1.000002"), 2, "b"
	require.NoError(t, sameAnswer("one", "other", []figure{one}, []figure{one}))
	for _, list := range [][]figure{nil, {one, one}, {more}, {late}, {other}} {
		require.Error(t, sameAnswer("one", "other", []figure{one}, list))
		require.Error(t, sameAnswer("one", "other", list, []figure{one}))
	}
}

// TestTraffic: the stream is what the comparison says of it.
func TestTraffic(t *testing.T) {
	t.Parallel()
	stream, seen, fresh := newTraffic(1, 50_000, workload{shape: typical, hexIDs: true, each: meters}), map[string]bool{}, 0
	for _, b := range stream.batches(50, 1000) {
		n := 0
		for _, e := range b.events {
			if seen[e.id] {
				continue
			}
			seen[e.id] = true
			n++
			require.Len(t, e.id, 32)
			require.LessOrEqual(t, -e.quantity.Exponent(), int32(6))
			require.Less(t, e.at.Sub(begin).Hours(), float64(days*24))
		}
		require.Equal(t, b.fresh, n)
		fresh += n
	}
	require.InDelta(t, 0.98*50_000, fresh, 500)
	require.Equal(t, newTraffic(7, 1000, workload{each: 3}).batches(1, 1000), newTraffic(7, 1000, workload{each: 3}).batches(1, 1000))
}
