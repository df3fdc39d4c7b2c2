package main

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The committed files are what this package writes, byte for byte.
func TestFiles(t *testing.T) {
	t.Parallel()
	for name, want := range files() {
		have, err := os.ReadFile(filepath.Join("..", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("testdata/%s is not what the generator writes: run go generate in examples/quickstart", name)
		}
	}
}

// The sample has the shapes it is there to show.
func TestSampleShapes(t *testing.T) {
	t.Parallel()
	text := string(files()["sample.csv"])
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != lines+1 {
		t.Fatalf("%d lines, not %d", len(rows)-1, lines)
	}
	at := map[string]int{}
	for i, c := range rows[0] {
		at[c] = i
	}
	distinct := func(column string) int {
		seen := map[string]bool{}
		for _, r := range rows[1:] {
			seen[r[at[column]]] = true
		}
		return len(seen)
	}
	having := func(column string, holds func(string) bool) int {
		n := 0
		for _, r := range rows[1:] {
			if holds(r[at[column]]) {
				n++
			}
		}
		return n
	}
	isNull := func(s string) bool { return s == null }
	for _, c := range []struct {
		what     string
		n, least int
	}{
		{"providers", distinct("ProviderName"), 4},
		{"services", distinct("ServiceName"), 24},
		{"units", distinct("ConsumedUnit"), 24},
		{"accounts", distinct("SubAccountId"), 12},
		{"billing periods", distinct("BillingPeriodStart"), 2},
		{"charge categories", distinct("ChargeCategory"), 4},
		{"ids", distinct("Id"), lines},
		{"negative costs", having("BilledCost", func(s string) bool { return s[0] == '-' }), 10},
		{"zero costs", having("BilledCost", func(s string) bool { return strings.Trim(s, "0.") == "" }), 100},
		{"lines without quantity", having("ConsumedQuantity", isNull), 1},
		{"lines without tags", having("Tags", isNull), 100},
		{"empty strings", having("ResourceName", func(s string) bool { return s == "" }), 10},
		{"tags as JSON", having("Tags", func(s string) bool { return strings.HasPrefix(s, "{") }), 500},
		{"cells over two lines", having("ChargeDescription", func(s string) bool { return strings.Contains(s, "\n") }), 1},
	} {
		if c.n < c.least {
			t.Errorf("%d %s, fewer than %d", c.n, c.what, c.least)
		}
	}
	for _, r := range rows[1:] {
		if q := r[at["ConsumedQuantity"]]; !isNull(q) && len(q)-strings.IndexByte(q, '.')-1 != 15 {
			t.Fatalf("quantity %s does not have 15 decimals", q)
		}
		if c := r[at["BilledCost"]]; len(c)-strings.IndexByte(c, '.')-1 != 11 {
			t.Fatalf("cost %s does not have 11 decimals", c)
		}
	}
}
