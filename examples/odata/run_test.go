package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
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
	code := run(args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

// write puts a file into a directory of the test's own.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.json")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

const nights = "testdata/nights.json"

// Each run with all that it prints is in one file, to be read as a session in a shell.
func TestGolden(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for _, args := range [][]string{
		{"-rows", nights},
		{"-rows", nights, "-filter", "minutes eq 41.5"},
		{"-schema", nights, "-rows", nights, "-filter", "minutes gt 0.1 and minutes lt 1"},
		{"-schema", nights, "-filter", "shots eq 9007199254740993"},
		{"-rows", nights, "-filter", "tolower(observer) eq 'ørsted' or observer eq 'O''Hara'", "-orderby", "observer"},
		{"-rows", nights, "-filter", "began ge 2021-03-20T19:04:00Z and year(night) eq 2021"},
		{"-rows", nights, "-filter", "began gt 2020-02-29T23:59:59.999999Z and began lt 2020-03-01"},
		{"-rows", nights, "-filter", "dusk lt 17:00:00 or setup eq duration'PT12M' or plate eq 1B9D6BCD-bbfd-4b2d-9b5d-ab8dfbbd4bed"},
		{"-rows", nights, "-filter", "tags/any(t:contains(t,'osaic')) and not (targets/any())"},
		{"-rows", nights, "-filter", "began lt now()", "-orderby", "minutes desc", "-top", "2", "-skip", "1"},
		{"-rows", nights, "-orderby", "clear,dome desc,id"},
		{"-rows", nights, "-top", "0"},
		{"-rows", nights, "-skip", "99"},
		{"-rows", nights, "-filter", ""},
		{"-schema", "testdata/schema.json", "-rows", "testdata/rows.json", "-orderby", "schema desc"},

		{"-rows", nights, "-vectors", "testdata/vectors.json"},
		{"-schema", "testdata/schema.json", "-rows", "testdata/rows.json", "-vectors", "testdata/list.json"},

		{"-rows", nights, "-filter", "dom eq 'north'"},
		{"-rows", nights, "-filter", "observer eq 'Ørsted' and minutes eq '5'"},
		{"-rows", nights, "-filter", "clear and"},
		{"-rows", nights, "-filter", "dome has 'n'"},
		{"-rows", nights, "-filter", "shots ge 0 and 120 div shots gt 0"},
		{"-rows", nights, "-filter", "clear", "-orderby", "dome descending"},
		{"-rows", nights, "-filter", "clear eq", "-orderby", "dome descending"},
		{"-rows", nights, "-orderby", "1 div shots"},

		{"-help"},
		{"--nonsense"},
		{"-filter", "clear"},
		{"-rows", nights, "clear", "eq", "true"},
		{"-rows", nights, "-top", "few"},
		{"-rows", nights, "-skip", "-1"},
		{"-rows", nights, "-vectors", "testdata/vectors.json", "-top", "1"},
	} {
		r := runWith(t, args...)
		got.WriteString("$ odata")
		for _, a := range args {
			if a == "" || strings.ContainsAny(a, " '()") {
				a = `"` + a + `"`
			}
			got.WriteString(" " + a)
		}
		got.WriteString("\n" + r.stdout + r.stderr + "exit " + strconv.Itoa(r.code) + "\n\n")
		require.True(t, r.stdout == "" || r.stderr == "", "an answer or a fault")
	}
	path := filepath.Join("testdata", "runs.golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String(), "go test -run TestGolden -update rewrites the file")
}

// What is printed is the row of the file: the same characters but for the space between tokens.
func TestRowsArePrintedAsTheyAre(t *testing.T) {
	t.Parallel()
	row := `{"b": 1.50, "id":  1, "z": [ 1e2, {"k": -0.0} ], "a": "\u003c<&>  \u00fc\/"}`
	r := runWith(t, "-rows", write(t, `{"schema": {"id": "int"}, "rows": [`+"\n"+row+"\n]}"))
	require.Equal(t, ran{stdout: `{"b":1.50,"id":1,"z":[1e2,{"k":-0.0}],"a":"\u003c<&>  \u00fc\/"}` + "\n"}, r)
}

// Rows with equal keys come by id, and in the order of the file where there is none.
func TestTies(t *testing.T) {
	t.Parallel()
	rows := `"rows": [{"id": "10", "k": 1}, {"id": 9, "k": 1.0}, {"id": 2, "k": 0}, {"id": 11, "k": "1"}]}`
	ids := func(schema string) string {
		r := runWith(t, "-rows", write(t, `{"schema": `+schema+`, `+rows), "-orderby", "k desc")
		require.Zero(t, r.code, r.stderr)
		var ids []string
		for line := range strings.Lines(r.stdout) {
			var row struct{ ID json.RawMessage }
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			ids = append(ids, string(row.ID))
		}
		return strings.Join(ids, " ")
	}
	require.Equal(t, `9 "10" 11 2`, ids(`{"id": "int", "k": "decimal"}`))
	require.Equal(t, `"10" 9 11 2`, ids(`{"k": "decimal"}`))
}

// What a file should not hold is named with its place.
func TestFilesAreChecked(t *testing.T) {
	t.Parallel()
	table := func(typ, value string) string {
		return `{"schema": {"f": ` + typ + `}, "rows": [{}, {"f": ` + value + `}]}`
	}
	for name, c := range map[string]struct{ file, want string }{
		"no JSON":                 {"{\n\"schema\": {},\n]", "line 3: invalid character"},
		"empty":                   {"", "unexpected end of JSON input"},
		"two values":              {"{} {}", "line 1: invalid character"},
		"not UTF-8":               {"{\"schema\": {\"a\xff\": \"int\"}}", "not UTF-8"},
		"schema is a list":        {`[]`, "the schema: [] is no object"},
		"name twice":              {`{"schema": {"a": "int", "a": "int"}, "rows": []}`, `schema: "a" is given twice`},
		"no name":                 {`{"schema": {"": "int"}, "rows": []}`, "the schema: "},
		"unknown type":            {table(`"float"`, "1"), `schema.f: "float" is no type, expected int, decimal`},
		"type is no string":       {table(`7`, "1"), `schema.f: 7 is no type`},
		"array of nothing":        {table(`["array"]`, "1"), `schema.f: ["array"] is no type`},
		"array of unknown type":   {table(`["array", "x"]`, "1"), `schema.f: "x" is no type`},
		"array of objects":        {table(`["array", {"q": ["array", "int"]}]`, "1"), `schema.f: q: ["array", "int"] is no type`},
		"array item twice":        {table(`["array", {"q": "int", "q": "int"}]`, "1"), `schema.f: "q" is given twice`},
		"array of empty objects":  {table(`["array", {}]`, "1"), "the schema: "},
		"no rows":                 {`{"schema": {"a": "int"}}`, "there is no list of rows"},
		"rows are an object":      {`{"schema": {"a": "int"}, "rows": {}}`, "there is no list of rows"},
		"a row is a number":       {`{"schema": {"a": "int"}, "rows": [{}, 5]}`, "rows[1]: 5 is no object"},
		"a field twice in a row":  {`{"schema": {"a": "int"}, "rows": [{"a": 1, "a": 2}]}`, `rows[0]: "a" is given twice`},
		"text for a number":       {table(`"decimal"`, `"1,5"`), `rows[1].f: "1,5" is no number`},
		"plus":                    {table(`"decimal"`, `"+1"`), `rows[1].f: "+1" is no number`},
		"space":                   {table(`"decimal"`, `" 1"`), `rows[1].f: " 1" is no number`},
		"space behind":            {table(`"decimal"`, `"1 "`), `rows[1].f: "1 " is no number`},
		"no digits":               {table(`"decimal"`, `""`), `rows[1].f: "" is no number`},
		"literal":                 {table(`"decimal"`, `"1m"`), `rows[1].f: "1m" is no number`},
		"true for a number":       {table(`"decimal"`, `true`), `rows[1].f: true is no number`},
		"fraction":                {table(`"int"`, `1.5`), `rows[1].f: 1.5 is no whole number`},
		"digits":                  {table(`"decimal"`, strings.Repeat("9", 101)), "has more than 100 digits"},
		"places":                  {table(`"decimal"`, "0."+strings.Repeat("0", 400)), "has more than 100 digits"},
		"exponent":                {table(`"decimal"`, `1e100`), "1e100 has more than 100 digits"},
		"negative exponent":       {table(`"decimal"`, `1e-101`), "1e-101 has more than 100 digits"},
		"huge exponent":           {table(`"decimal"`, `1e999999999`), "1e999999999 has an exponent that is out of range"},
		"hugest exponent":         {table(`"decimal"`, `1e99999999999999999999`), "has an exponent that is out of range"},
		"number for text":         {table(`"string"`, `5`), "rows[1].f: 5 is no string"},
		"number for a date":       {table(`"date"`, `20200101`), "rows[1].f: 20200101 is no string, which a date is written as"},
		"text for a boolean":      {table(`"bool"`, `"true"`), `rows[1].f: "true" is no boolean`},
		"date for an instant":     {table(`"datetime"`, `"2020-01-01"`), `rows[1].f: "2020-01-01" is no date-time`},
		"no such day":             {table(`"date"`, `"2021-02-29"`), `rows[1].f: "2021-02-29" is no date`},
		"expression":              {table(`"date"`, `"date(now())"`), `rows[1].f: "date(now())" is no date`},
		"null in a string":        {table(`"date"`, `"null"`), `rows[1].f: "null" is no date`},
		"duration":                {table(`"duration"`, `"12 min"`), `rows[1].f: "12 min" is no duration`},
		"quote in a duration":     {table(`"duration"`, `"PT1H' or duration'PT2H"`), "is no duration"},
		"guid":                    {table(`"guid"`, `"1b9d6bcd"`), `rows[1].f: "1b9d6bcd" is no guid`},
		"object for an array":     {table(`["array", "int"]`, `{}`), "rows[1].f: {} is no array"},
		"item of an array":        {table(`["array", "int"]`, `[1, "x"]`), `rows[1].f: [1]: "x" is no number`},
		"null for an object":      {table(`["array", {"q": "int"}]`, `[null]`), "rows[1].f: [0]: null is no object"},
		"item's field":            {table(`["array", {"q": "int"}]`, `[{"q": "x"}]`), `rows[1].f: [0]: q: "x" is no number`},
		"long text is cut":        {table(`"int"`, `"`+strings.Repeat("é", 500)+`"`), strings.Repeat("é", 59) + "... is no number"},
		"item's field twice":      {table(`["array", {"q": "int"}]`, `[{"q": 1, "q": 2}]`), `rows[1].f: [0]: "q" is given twice`},
		"unreadable escape":       {`{"schema": {"a": "in\x"}}`, "invalid character"},
		"nothing but white space": {" \n ", "unexpected end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.file)
			r := runWith(t, "-rows", path, "-filter", "a faulty one too")
			require.Equal(t, exitFailed, r.code)
			require.Empty(t, r.stdout)
			require.Contains(t, r.stderr, "odata: "+path+": ")
			require.Contains(t, r.stderr, c.want)
		})
	}
}

func TestFilesAreNeeded(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.json")
	for name, args := range map[string][]string{
		"schema":  {"-schema", missing, "-rows", nights},
		"rows":    {"-schema", nights, "-rows", missing},
		"vectors": {"-rows", nights, "-vectors", missing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runWith(t, args...)
			require.Equal(t, exitFailed, r.code)
			require.Empty(t, r.stdout)
			require.Contains(t, r.stderr, missing)
		})
	}
}

func TestVectorsFileIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"no list":       {`{"ids": []}`, "there is no list of vectors"},
		"string":        {`"x"`, `"x" is no list of vectors`},
		"list of text":  {`{"valid": "x"}`, `"x" is no list of vectors`},
		"twice":         {`{"valid": [], "valid": []}`, `"valid" is given twice`},
		"no JSON":       {`{"valid": [}`, "line 1: invalid character"},
		"invalid alone": {`{"invalid": 5}`, "5 is no list of vectors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runWith(t, "-rows", nights, "-vectors", write(t, c.file))
			require.Equal(t, exitFailed, r.code)
			require.Empty(t, r.stdout)
			require.Contains(t, r.stderr, c.want)
		})
	}
	require.Equal(t, ran{}, runWith(t, "-rows", nights, "-vectors", write(t, `[]`)))

	r := runWith(t, "-rows", write(t, `{"schema": {"a": "int"}, "rows": []}`), "-vectors", "testdata/list.json")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "the schema has no field id")
}

// A byte order mark is no part of the JSON.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	r := runWith(t, "-rows", write(t, "\ufeff"+`{"schema": {"a": "int"}, "rows": [{"a": 1}]}`), "-filter", "a eq 1")
	require.Equal(t, ran{stdout: "{\"a\":1}\n"}, r)
}

// fullDisk takes nothing.
type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// An answer that could not be written is no success.
func TestWriteFaults(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-rows", nights},
		{"-rows", nights, "-vectors", "testdata/vectors.json"},
	} {
		var stderr strings.Builder
		require.Equal(t, exitFailed, run(args, fullDisk{}, &stderr))
		require.Contains(t, stderr.String(), errFull.Error())
	}
}
