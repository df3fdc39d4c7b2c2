package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"go/parser"
	"go/token"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// ran is what a run of the program left behind.
type ran struct {
	code           int
	stdout, stderr string
}

func runWith(t *testing.T, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

// write puts a file into a directory of the test's own.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// The whole output on the built-in sample, in each format.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "json", "csv"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			got := runWith(t, "-o", format)
			require.Empty(t, got.stderr)
			require.Equal(t, exitOK, got.code)
			path := filepath.Join("testdata", "sample."+format+".golden")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got.stdout), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got.stdout, "go test -run TestGolden -update rewrites the file")
		})
	}
}

// answer is the report as JSON: the rows of each section.
type answer map[string][]map[string]*string

func parseAnswer(t *testing.T, stdout string) answer {
	t.Helper()
	var document struct {
		Sections []struct {
			Name string
			Rows []map[string]*string
		}
	}
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	var raw json.RawMessage
	require.NoError(t, d.Decode(&raw))
	require.NoError(t, json.Unmarshal(raw, &document))
	a := answer{}
	for _, s := range document.Sections {
		require.NotContains(t, a, s.Name)
		a[s.Name] = s.Rows
	}
	return a
}

// totals are the grand totals by value.
func (a answer) totals() map[string]string {
	totals := map[string]string{}
	for _, row := range a["totals"] {
		if row["total"] != nil {
			totals[*row["value"]] = *row["total"]
		}
	}
	return totals
}

// The grand totals of the sample, added up another way: straight from the file
// with encoding/csv and rational numbers.
func TestSampleTotals(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(bytes.NewReader(sampleCSV)).ReadAll()
	require.NoError(t, err)
	a := parseAnswer(t, runWith(t, "-o", "json").stdout)
	got := a.totals()
	columns := map[string]string{"cost": "BilledCost", "listCost": "ListCost", "effectiveCost": "EffectiveCost", "contractedCost": "ContractedCost", "quantity": "ConsumedQuantity", "pricingQuantity": "PricingQuantity"}
	require.Len(t, got, len(columns))
	at := map[string]int{}
	for i, c := range rows[0] {
		at[c] = i
	}
	sumOf := func(column string, where func(row []string) bool) *big.Rat {
		total := new(big.Rat)
		for _, row := range rows[1:] {
			if text := row[at[column]]; text != "NULL" && where(row) {
				n, ok := new(big.Rat).SetString(text)
				require.True(t, ok, text)
				total.Add(total, n)
			}
		}
		return total
	}
	equal := func(want *big.Rat, text string, what ...any) {
		n, ok := new(big.Rat).SetString(text)
		require.True(t, ok, text)
		require.Zero(t, want.Cmp(n), what...)
	}
	for value, column := range columns {
		equal(sumOf(column, func([]string) bool { return true }), got[value], value)
	}
	// And by service and month.
	require.NotEmpty(t, a["months"])
	for _, row := range a["months"] {
		equal(sumOf("BilledCost", func(r []string) bool {
			return r[at["ServiceName"]] == *row["service"] && strings.HasPrefix(r[at["ChargePeriodStart"]], *row["month"])
		}), *row["cost"], *row["service"], *row["month"])
	}
	// The days are all of it.
	days := new(big.Rat)
	for _, row := range a["days"] {
		n, _ := new(big.Rat).SetString(*row["cost"])
		days.Add(days, n)
	}
	equal(days, got["cost"])
}

// The original FOCUS sample is not part of the repository; the variable tells
// where it is.
func TestFocusSample(t *testing.T) {
	t.Parallel()
	shared := os.Getenv("USAGEBOOK_SHARED")
	if shared == "" {
		t.Skip("USAGEBOOK_SHARED is not set: no FOCUS sample to book")
	}
	path := filepath.Join(shared, "data", "focus", "focus_sample.csv")
	require.FileExists(t, path)
	got := runWith(t, "-file", path, "-o", "json")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Empty(t, got.stderr)
	a := parseAnswer(t, got.stdout)
	require.Len(t, a["booking"], 2)
	for i, want := range []map[string]string{
		{"pass": "first", "lines": "1000", "booked": "1000", "duplicates": "0", "refused": "0"},
		{"pass": "second", "lines": "1000", "booked": "0", "duplicates": "1000", "refused": "0"},
	} {
		for column, text := range want {
			require.Equal(t, text, *a["booking"][i][column], column)
		}
	}
	totals := a.totals()
	require.Equal(t, "20.52022672899", totals["cost"])
	require.Equal(t, "20.39090575119", totals["listCost"])
	require.Equal(t, "13438.712904456820057", totals["quantity"])
	require.NotContains(t, a, "rejects")

	table := runWith(t, "-file", path)
	require.Equal(t, exitOK, table.code)
	for _, figure := range []string{"20.52022672899", "20.39090575119", "13438.712904456820057"} {
		require.Contains(t, table.stdout, figure)
	}
}

const header = "start,quantity,region\n"

var mapFlag = []string{"-map", "start=start,quantity=quantity,dim.region=region"}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	good := header + "2024-09-01,1.5,eu\n2024-09-02,2,us\n"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(good))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, c := range map[string]struct {
		file, content string
		args          []string // behind -file and -map
		code          int
		stderr        string // what it contains
	}{
		"good":            {"a.csv", good, nil, exitOK, ""},
		"zipped":          {"a.csv.gz", zipped.String(), nil, exitOK, ""},
		"ndjson":          {"a.ndjson", `{"start":"2024-09-01","quantity":0.1,"region":null}`, nil, exitOK, ""},
		"format by flag":  {"a.txt", `{"start":"2024-09-01","quantity":0.1}`, []string{"-format", "ndjson"}, exitOK, ""},
		"delimiter":       {"a.csv", strings.ReplaceAll(good, ",", ";"), []string{"-delimiter", ";"}, exitOK, ""},
		"tab":             {"a.csv", strings.ReplaceAll(good, ",", "\t"), []string{"-delimiter", "tab"}, exitOK, ""},
		"zone":            {"a.csv", good, []string{"-zone", "Europe/Zurich"}, exitOK, ""},
		"filter":          {"a.csv", good, []string{"-filter", "region eq 'eu'"}, exitOK, ""},
		"small batches":   {"a.csv", good, []string{"-batch", "1"}, exitOK, ""},
		"no lines":        {"a.csv", header, nil, exitOK, ""},
		"several tenants": {"a.csv", "start,quantity,region,who\n2024-09-01,1,eu,a\n2024-09-01,1,eu,b\n", []string{"-map", "tenant=who", "-by", "tenant,region"}, exitOK, ""},

		"a bad line":         {"a.csv", good + "\nyesterday,1,eu\n", nil, exitRefused, `a.csv:5: start: "yesterday" in column "start" is no time`},
		"a rejected record":  {"a.csv", good + "2024-09-03,,eu\n", nil, exitRefused, "a.csv:4: id "},
		"bad lines in order": {"a.csv", header + "2024-09-01,,eu\nsoon,1,eu\n2024-09-03,x,eu\n", nil, exitRefused, ""},
		"100,000 digits":     {"a.csv", good + "2024-09-03," + strings.Repeat("9", 100_000) + ",eu\n", nil, exitRefused, `a.csv:4: id `},
		"exponent bomb":      {"a.ndjson", `{"start":"2024-09-01","quantity":1e999999999}`, nil, exitRefused, "(out_of_range)"},
		"cut short":          {"a.csv", good + "2024-09-0", nil, exitRefused, "a.csv:4: 1 cell where the header has 3 (columns)"},

		"empty file":          {"a.csv", "", nil, exitFailed, "the file is empty"},
		"no gzip":             {"a.csv.gz", "this is not zipped", nil, exitFailed, "gzip: invalid header"},
		"broken gzip":         {"a.csv.gz", zipped.String()[:zipped.Len()-10], nil, exitFailed, "unexpected EOF"},
		"column of the map":   {"a.csv", "start,quantity\n2024-09-01,1\n", nil, exitUsage, `the file has no column "region"`},
		"measure of the map":  {"a.csv", good, []string{"-measure", "cost"}, exitUsage, `-measure "cost" is no value of the mapping; these are: quantity`},
		"by of the map":       {"a.csv", good, []string{"-by", "service"}, exitUsage, `-by "service" is no dimension of the mapping`},
		"by twice":            {"a.csv", good, []string{"-by", "region,region"}, exitUsage, `-by names "region" twice`},
		"reserved name":       {"a.csv", good, []string{"-map", "dim.sequence=region"}, exitUsage, "reserved"},
		"bad filter":          {"a.csv", good, []string{"-filter", "region eq"}, exitUsage, "-filter: "},
		"bad format":          {"a.csv", good, []string{"-format", "xml"}, exitUsage, `-format "xml" is none of csv and ndjson`},
		"bad output":          {"a.csv", good, []string{"-o", "xml"}, exitUsage, `-o "xml" is none of table, json and csv`},
		"bad delimiter":       {"a.csv", good, []string{"-delimiter", "::"}, exitUsage, "-delimiter"},
		"bad zone":            {"a.csv", good, []string{"-zone", "Mars/Olympus"}, exitUsage, "-zone"},
		"bad times":           {"a.csv", good, []string{"-times", "stardate"}, exitUsage, "-times"},
		"bad rows":            {"a.csv", good, []string{"-rows", "-1"}, exitUsage, "-rows"},
		"bad batch":           {"a.csv", good, []string{"-batch", "0"}, exitUsage, "-batch"},
		"bad digits":          {"a.csv", good, []string{"-id-digits", "-1"}, exitUsage, "-id-digits"},
		"unknown flag":        {"a.csv", good, []string{"-colour"}, exitUsage, "-colour"},
		"something behind it": {"a.csv", good, []string{"b.csv"}, exitUsage, `"b.csv" is not expected`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.file, c.content)
			got := runWith(t, append(append([]string{"-file", path}, mapFlag...), c.args...)...)
			require.Equal(t, c.code, got.code, got.stderr)
			require.Contains(t, got.stderr, c.stderr)
			if c.code == exitOK {
				require.Empty(t, got.stderr)
			}
		})
	}
}

func TestExitCodesWithoutMap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"help":             {[]string{"-help"}, exitOK, ""},
		"missing file":     {[]string{"-file", filepath.Join(t.TempDir(), "none.csv")}, exitFailed, "no such file"},
		"directory":        {[]string{"-file", t.TempDir()}, exitFailed, "is not a regular file"},
		"no FOCUS":         {[]string{"-file", write(t, "a.csv", "a,b\n1,2\n")}, exitFailed, "with -map any other file can be booked"},
		"no name":          {[]string{"-file", ""}, exitUsage, "-file names no file"},
		"map and no file":  {append([]string{}, mapFlag...), exitUsage, "-map says how a file is to be read: it needs -file"},
		"bad map":          {[]string{"-file", "a.csv", "-map", "quantity"}, exitUsage, `"quantity" is not TARGET=COLUMN`},
		"map without time": {[]string{"-file", "a.csv", "-map", "quantity=a"}, exitUsage, "no column for start"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runWith(t, c.args...)
			require.Equal(t, c.code, got.code, got.stderr)
			require.Contains(t, got.stderr, c.stderr)
			if c.code != exitOK {
				require.Empty(t, got.stdout, "nothing is printed before the mistake is known")
			}
		})
	}
	require.Contains(t, runWith(t, "-help").stdout, "-map")
}

// A run that is called off fails, whatever it was at.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailed, run(ctx, nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "context canceled")
}

// Standard output that cannot be written is a failure and not a silence.
func TestBrokenOutput(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "json", "csv"} {
		var stderr bytes.Buffer
		require.Equal(t, exitFailed, run(t.Context(), []string{"-o", format}, brokenWriter{}, &stderr))
		require.Contains(t, stderr.String(), "closed pipe")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// With -file each bad line is named on standard error, once and in the order of
// lines, and all others are booked.
func TestBadLinesOfFile(t *testing.T) {
	t.Parallel()
	path := write(t, "bad.csv", string(badLinesCSV))
	for _, batch := range []string{"1", "4", "1000"} {
		got := runWith(t, "-file", path, "-o", "json", "-batch", batch)
		require.Equal(t, exitRefused, got.code, got.stderr)
		a := parseAnswer(t, got.stdout)
		require.Equal(t, "21", *a["booking"][0]["lines"])
		require.Equal(t, "2", *a["booking"][0]["booked"])
		require.Equal(t, "1", *a["booking"][0]["duplicates"])
		require.Equal(t, "18", *a["booking"][0]["refused"])
		require.Equal(t, "0", *a["booking"][1]["booked"])
		require.Equal(t, "0.09", a.totals()["cost"])
		lines := strings.Split(strings.TrimSpace(got.stderr), "\n")
		require.Len(t, lines, 18)
		for i, line := range lines {
			require.True(t, strings.HasPrefix(line, path+":"+[]string{"4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21"}[i]+": "), line)
		}
	}
}

// Each kind of bad input is refused for its own reason.
func TestRejects(t *testing.T) {
	t.Parallel()
	a := parseAnswer(t, runWith(t, "-o", "json").stdout)
	var got []string
	for _, row := range a["rejects"] {
		got = append(got, *row["line"]+" "+*row["outcome"]+" "+*row["code"])
	}
	require.Equal(t, []string{
		"4 conflict conflict",
		"5 rejected syntax",
		"6 rejected syntax",
		"7 rejected out_of_range",
		"8 rejected out_of_range",
		"9 rejected out_of_range",
		"10 rejected required",
		"11 unreadable required",
		"12 unreadable syntax",
		"13 rejected end_before_start",
		"14 rejected allowed_values",
		"15 rejected syntax",
		"16 unreadable characters",
		"17 rejected too_long",
		"18 rejected required",
		"19 unreadable syntax",
		"20 unreadable columns",
		"21 unreadable syntax",
	}, got)
}

// Numbers of NDJSON and CSV are exact, however they are written.
func TestExactNumbers(t *testing.T) {
	t.Parallel()
	lines := []string{"0.1", "0.2", "1e-30", "12345678901234567890123456789012345678", "-12345678901234567890123456789012345678"}
	var text, object strings.Builder
	text.WriteString("start,quantity,region\n")
	for _, n := range lines {
		text.WriteString("2024-09-01," + n + ",eu\n")
		object.WriteString(`{"start":"2024-09-01","quantity":` + n + `,"region":"eu"}` + "\n")
	}
	for name, content := range map[string]string{"a.csv": text.String(), "a.ndjson": object.String()} {
		got := runWith(t, append([]string{"-file", write(t, name, content), "-o", "json"}, mapFlag...)...)
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Equal(t, map[string]string{"quantity": "0.300000000000000000000000000001"}, parseAnswer(t, got.stdout).totals(), name)
	}
}

// Amounts of several currencies are shown apart as well.
func TestCurrencies(t *testing.T) {
	t.Parallel()
	const text = "ChargePeriodStart,BilledCost,BillingCurrency\n2024-09-01 00:00:00,1,USD\n2024-09-01 00:00:00,2,CHF\n"
	got := runWith(t, "-file", write(t, "a.csv", text), "-o", "json")
	require.Equal(t, exitOK, got.code, got.stderr)
	a := parseAnswer(t, got.stdout)
	require.Len(t, a["currencies"], 2)
	require.Equal(t, "CHF", *a["currencies"][0]["currency"])
	require.Equal(t, "2", *a["currencies"][0]["cost"])
	got = runWith(t, "-file", write(t, "a.csv", strings.ReplaceAll(text, "CHF", "USD")), "-o", "json")
	require.NotContains(t, parseAnswer(t, got.stdout), "currencies")
}

// The program needs the core module and nothing else: no driver, no server.
func TestImports(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			first, _, _ := strings.Cut(path, "/")
			standard := !strings.Contains(first, ".")
			core := slices.Contains([]string{"aggregate", "filter", "rules", "usage", "usage/memstore"}, strings.TrimPrefix(path, "github.com/usagebook/usagebook/"))
			require.True(t, standard || core || path == "github.com/shopspring/decimal", "%s imports %s", file, path)
		}
	}
}
