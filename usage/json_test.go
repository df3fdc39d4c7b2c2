package usage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleDecodeRecords() {
	body := `[
		{"id":"1","source":"gateway","tenant":"acme","meter":"requests","start":"2026-03-01T00:00:00Z",
		 "values":{"quantity":"1.50","cost":0.00000000000000000012},"dimensions":{"region":"eu","tags":{"b":1,"a":[]},"zone":null}},
		{"id":"2","source":"gateway","tenant":"acme","meter":"requests","start":"yesterday","quantity":1e999999999}
	]`
	records, err := usage.DecodeRecords([]byte(body), nil)
	if err != nil {
		fmt.Println(err) // no JSON at all, or no batch
		return
	}
	fmt.Println(records[0].Values, records[0].Dimensions)

	book, _ := usage.New(memstore.New(nil), nil)
	receipt, err := book.Append(context.Background(), records...)
	fmt.Println(receipt.Inserted)
	var failed *usage.AppendError
	if errors.As(err, &failed) {
		for _, v := range failed.Failures[0].Violations {
			fmt.Println(v.Field, v.Code)
		}
	}
	// Output:
	// {cost=0.00000000000000000012, quantity=1.5} {region="eu", tags="{\"a\":[],\"b\":1}"}
	// 1
	// start syntax
	// values.quantity out_of_range
}

// judged returns what Append would hold against a record, as "field code", and
// its normal form.
func judged(t testing.TB, r usage.Record) (*usage.Entry, []string) {
	t.Helper()
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	batch, err := book.Prepare(usage.AppendOptions{}, r)
	require.NoError(t, err)
	var out []string
	for _, v := range batch.At(0).Violations {
		require.NotEmpty(t, v.Message)
		require.True(t, utf8.ValidString(v.Field+v.Message))
		require.Less(t, len(v.Field+v.Message), 1000)
		out = append(out, v.Field+" "+v.Code)
	}
	return batch.At(0), out
}

const soundRecord = `{"id":"7","source":"gateway","tenant":"acme","meter":"requests","start":"2026-03-01T00:00:00Z","values":{"quantity":"1.5"}`

func TestDecodeRecordForms(t *testing.T) {
	t.Parallel()
	at := func(nanos int) time.Time { return time.Date(2026, 3, 1, 0, 0, 0, nanos, time.UTC) }
	number := func(s string) aggregate.Number {
		n, err := aggregate.ParseNumber(s)
		require.NoError(t, err)
		return n
	}
	values := func(pairs ...string) usage.Values {
		var list []usage.Value
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, usage.Value{Name: pairs[i], Number: number(pairs[i+1])})
		}
		return usage.NewValues(list...)
	}
	dims := func(pairs ...string) usage.Dimensions {
		var list []usage.Dimension
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, usage.Dimension{Name: pairs[i], Value: pairs[i+1]})
		}
		return usage.NewDimensions(list...)
	}
	sound := usage.Record{ID: "7", Source: "gateway", Tenant: "acme", Meter: "requests", Start: at(0), Values: values("quantity", "1.5")}
	with := func(change func(*usage.Record)) usage.Record {
		r := sound
		change(&r)
		return r
	}
	head := `{"id":"7","source":"gateway","tenant":"acme","meter":"requests",`
	for name, tc := range map[string]struct {
		text string
		want usage.Record
	}{
		"plain":                 {soundRecord + `}`, sound},
		"space":                 {" \r\n\t" + strings.NewReplacer(":\"", " :\t\"", ",", "\n,\r", "{", "{ ", "}", " }").Replace(soundRecord+`}`) + "\n", sound},
		"any order":             {`{"values":{"quantity":"1.5"},"start":"2026-03-01T00:00:00Z","meter":"requests","tenant":"acme","source":"gateway","id":"7"}`, sound},
		"number":                {head + `"start":"2026-03-01T00:00:00Z","values":{"quantity":1.50}}`, sound},
		"exponent":              {head + `"start":"2026-03-01T00:00:00Z","values":{"quantity":15E-1}}`, sound},
		"short":                 {head + `"start":"2026-03-01T00:00:00Z","quantity":"1.5"}`, sound},
		"short number":          {head + `"quantity":1.5,"start":"2026-03-01T00:00:00Z"}`, sound},
		"short, null":           {soundRecord + `,"quantity":null}`, sound},
		"short, null in values": {head + `"start":"2026-03-01T00:00:00Z","values":{"cost":null,"quantity":null},"quantity":1.5}`, sound},
		"values null":           {head + `"quantity":1.5,"values":null,"start":"2026-03-01T00:00:00Z"}`, sound},
		"null members":          {soundRecord + `,"end":null,"dimensions":null,"corrects":null}`, sound},
		"empty end":             {soundRecord + `,"end":""}`, sound},
		"empty objects":         {soundRecord + `,"dimensions":{}}`, sound},
		"escaped keys":          {strings.Replace(soundRecord, `"id"`, `"\u0069d"`, 1) + `}`, sound},
		"escaped number":        {strings.Replace(soundRecord, `"1.5"`, `"1\u002e5"`, 1) + `}`, sound},
		"escaped instant":       {strings.Replace(soundRecord, `T00:`, `\u005400:`, 1) + `}`, sound},
		"escapes": {strings.Replace(soundRecord, `"7"`, `"\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00\uFFFD"`, 1) + `}`,
			with(func(r *usage.Record) { r.ID = "\"\\/\b\f\n\r\té€😀\ufffd" })},
		"beyond ASCII": {strings.Replace(soundRecord, `"7"`, `"é€😀"`, 1) + `}`, with(func(r *usage.Record) { r.ID = "é€😀" })},
		"short beside another value": {head + `"start":"2026-03-01T00:00:00Z","quantity":"1","values":{"cost":2,"none":null}}`,
			with(func(r *usage.Record) { r.Values = values("cost", "2", "quantity", "1") })},
		"largest number": {head + `"start":"2026-03-01T00:00:00Z","values":{"b":-99999999999999999999999999999999999999.999999999999999999999999999999,"a":"0"}}`,
			with(func(r *usage.Record) {
				r.Values = values("a", "0", "b", "-99999999999999999999999999999999999999.999999999999999999999999999999")
			})},
		"beyond float": {head + `"start":"2026-03-01T00:00:00Z","values":{"quantity":9007199254740993.0000000000000001}}`,
			with(func(r *usage.Record) { r.Values = values("quantity", "9007199254740993.0000000000000001") })},
		"offset": {head + `"start":"2026-03-01T01:30:00+01:30","end":"2026-02-28T19:00:00-05:00","quantity":"1.5"}`,
			with(func(r *usage.Record) { r.End = at(0) })},
		"lower case": {head + `"start":"2026-03-01t00:00:00z","quantity":"1.5"}`, sound},
		"fraction": {head + `"start":"2026-03-01T00:00:00.123456789999Z","end":"2026-03-01T00:00:00.5-00:00","quantity":"1.5"}`,
			with(func(r *usage.Record) { r.Start, r.End = at(123456789), at(500000000) })},
		"leap day": {head + `"start":"2024-02-29T23:59:59Z","quantity":"1.5"}`,
			with(func(r *usage.Record) { r.Start = time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC) })},
		"dimensions": {soundRecord + `,"dimensions":{"z":"","region":"eu","none":null,"":"x"}}`,
			with(func(r *usage.Record) { r.Dimensions = dims("", "x", "region", "eu", "z", "") })},
		"nested": {soundRecord + `,"dimensions":{"a":{"env":"prod","n":{"x":[1,1.0,true,null]}},"b":[],"c":{},"d":{ "z":"\u0061","é":1,"a":[ 2 ]},"e":["` + "\u2028" + `"]}}`,
			with(func(r *usage.Record) {
				r.Dimensions = dims("a", `{"env":"prod","n":{"x":[1,1.0,true,null]}}`, "b", `[]`, "c", `{}`, "d", `{"a":[2],"z":"a","é":1}`, "e", `["\u2028"]`)
			})},
		"deepest": {soundRecord + `,"dimensions":{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}}`,
			with(func(r *usage.Record) { r.Dimensions = dims("a", strings.Repeat("[", 32)+strings.Repeat("]", 32)) })},
		"void": {`{"id":"7","source":"s","tenant":"t","start":null,"end":"","meter":null,"values":null,"corrects":{"kind":"void","source":"gateway","id":"6"}}`,
			usage.Record{ID: "7", Source: "s", Tenant: "t", Corrects: &usage.Correction{Kind: usage.Void, Source: "gateway", ID: "6"}}},
		"replace": {soundRecord + `,"corrects":{"id":"6","source":"gateway","kind":"replace"}}`,
			with(func(r *usage.Record) {
				r.Corrects = &usage.Correction{Kind: usage.Replace, Source: "gateway", ID: "6"}
			})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, err := usage.DecodeRecord([]byte(tc.text))
			require.NoError(t, err)
			require.Equal(t, tc.want, one)

			for _, form := range []string{"[%s]", `{"records":[%s]}`, " [ %s ] ", "\n{ \"records\" : [ %s ] }\n"} {
				list, err := usage.DecodeRecords(fmt.Appendf(nil, form, tc.text), nil)
				require.NoError(t, err)
				require.Equal(t, []usage.Record{tc.want}, list)
			}
			var standard []usage.Record
			require.NoError(t, json.Unmarshal([]byte("["+tc.text+","+tc.text+"]"), &standard))
			require.Equal(t, []usage.Record{tc.want, tc.want}, standard)
		})
	}
}

// Each of these spoils its own record and leaves the others of the batch alone.
func TestDecodeRecordFaults(t *testing.T) {
	t.Parallel()
	member := func(s string) string { return soundRecord + "," + s + "}" }
	without := func(key string) string {
		return `{` + strings.Replace(soundRecord[1:], `"`+key+`"`, `"dimensions"`, 1) + `}`
	}
	instant := func(s string) string { return strings.Replace(soundRecord, "2026-03-01T00:00:00Z", s, 1) + "}" }
	quantity := func(s string) string { return strings.Replace(soundRecord, `"1.5"`, s, 1) + "}" }
	dimension := func(s string) string { return member(`"dimensions":{"d":` + s + `}`) }
	long := strings.Repeat("k", 300)
	for name, tc := range map[string]struct {
		text      string
		want      []string
		anonymous bool
	}{
		"no object: number":         {`12`, []string{"record type"}, true},
		"no object: string":         {`"id"`, []string{"record type"}, true},
		"no object: null":           {`null`, []string{"record type"}, true},
		"no object: array":          {`[{"id":"1"}]`, []string{"record type"}, true},
		"empty":                     {`{}`, []string{"tenant required", "source required", "id required", "meter required", "start required", "values required"}, true},
		"id is a number":            {strings.Replace(soundRecord, `"7"`, `7`, 1) + "}", []string{"id type"}, true},
		"id is null":                {strings.Replace(soundRecord, `"7"`, `null`, 1) + "}", []string{"id required"}, true},
		"id is an object":           {strings.Replace(soundRecord, `"7"`, `{"id":"7"}`, 1) + "}", []string{"id type"}, true},
		"id is half a pair":         {strings.Replace(soundRecord, `"7"`, `"\ud800"`, 1) + "}", []string{"id characters"}, true},
		"id is the other half":      {strings.Replace(soundRecord, `"7"`, `"\udc00\u0041"`, 1) + "}", []string{"id characters"}, true},
		"id is two first halves":    {strings.Replace(soundRecord, `"7"`, `"\ud800\ud800"`, 1) + "}", []string{"id characters"}, true},
		"id is not UTF-8":           {strings.Replace(soundRecord, `"7"`, "\"\xff\"", 1) + "}", []string{"id characters"}, true},
		"id has a NUL":              {strings.Replace(soundRecord, `"7"`, `"\u0000"`, 1) + "}", []string{"id characters"}, true},
		"id is long":                {strings.Replace(soundRecord, `"7"`, `"`+long+`"`, 1) + "}", []string{"id too_long"}, true},
		"id twice":                  {member(`"id":"7"`), []string{"id duplicate"}, true},
		"tenant twice":              {member(`"tenant":"globex"`), []string{"tenant duplicate"}, true},
		"tenant is false":           {strings.Replace(soundRecord, `"acme"`, `false`, 1) + "}", []string{"tenant type"}, true},
		"source is an array":        {strings.Replace(soundRecord, `"gateway"`, `[]`, 1) + "}", []string{"source type"}, true},
		"meter is a number":         {strings.Replace(soundRecord, `"requests"`, `-1.5e3`, 1) + "}", []string{"meter type"}, false},
		"meter twice, null first":   {strings.Replace(soundRecord, `"requests"`, `null,"meter":"requests"`, 1) + "}", []string{"meter duplicate"}, false},
		"unknown key":               {member(`"unit":{"a":[1,"]"]}`), []string{"unit unknown_key"}, false},
		"unknown key, twice":        {member(`"unit":1,"unit":1`), []string{"unit unknown_key", "unit unknown_key"}, false},
		"key of another case":       {member(`"ID":"8"`), []string{"ID unknown_key"}, false},
		"empty key":                 {member(`"":1`), []string{" unknown_key"}, false},
		"start is missing":          {without("start"), []string{"dimensions type", "start required"}, false},
		"start is empty":            {instant(""), []string{"start required"}, false},
		"start is a number":         {strings.Replace(soundRecord, `"2026-03-01T00:00:00Z"`, `1772323200`, 1) + "}", []string{"start type"}, false},
		"start is a word":           {instant("yesterday"), []string{"start syntax"}, false},
		"start has no zone":         {instant("2026-03-01T00:00:00"), []string{"start syntax"}, false},
		"start is a date":           {instant("2026-03-01"), []string{"start syntax"}, false},
		"start with a space":        {instant("2026-03-01 00:00:00Z"), []string{"start syntax"}, false},
		"start with a comma":        {instant("2026-03-01T00:00:00,5Z"), []string{"start syntax"}, false},
		"start with a bare point":   {instant("2026-03-01T00:00:00.Z"), []string{"start syntax"}, false},
		"start in month 13":         {instant("2026-13-01T00:00:00Z"), []string{"start syntax"}, false},
		"start in month 0":          {instant("2026-00-01T00:00:00Z"), []string{"start syntax"}, false},
		"start on 29 February":      {instant("2026-02-29T00:00:00Z"), []string{"start syntax"}, false},
		"start on 29 February 1900": {instant("1900-02-29T00:00:00Z"), []string{"start syntax"}, false},
		"start on 31 April":         {instant("2026-04-31T00:00:00Z"), []string{"start syntax"}, false},
		"start at 24 o'clock":       {instant("2026-03-01T24:00:00Z"), []string{"start syntax"}, false},
		"start at minute 60":        {instant("2026-03-01T00:60:00Z"), []string{"start syntax"}, false},
		"start at second 60":        {instant("2026-12-31T23:59:60Z"), []string{"start syntax"}, false},
		"start with a day's offset": {instant("2026-03-01T00:00:00+24:00"), []string{"start syntax"}, false},
		"start with a bad offset":   {instant("2026-03-01T00:00:00+0100"), []string{"start syntax"}, false},
		"start and more":            {instant("2026-03-01T00:00:00Z "), []string{"start syntax"}, false},
		"start with other digits":   {instant("２026-03-01T00:00:00Z"), []string{"start syntax"}, false},
		"start in year 0":           {instant("0000-12-31T00:00:00Z"), []string{"start out_of_range"}, false},
		"start after year 9999":     {instant("9999-12-31T23:59:59-00:01"), []string{"start out_of_range"}, false},
		"start is Go's zero":        {instant("0001-01-01T00:00:00Z"), []string{"start out_of_range"}, false},
		"end is Go's zero":          {member(`"end":"0001-01-01T01:00:00+01:00"`), []string{"end out_of_range"}, false},
		"end is a boolean":          {member(`"end":true`), []string{"end type"}, false},
		"end before start":          {member(`"end":"2026-02-01T00:00:00Z"`), []string{"end end_before_start"}, false},
		"start and end":             {strings.Replace(soundRecord, `"2026-03-01T00:00:00Z"`, `"a","end":"b"`, 1) + "}", []string{"start syntax", "end syntax"}, false},
		"value is a word":           {quantity(`"many"`), []string{"values.quantity syntax"}, false},
		"value is empty":            {quantity(`""`), []string{"values.quantity syntax"}, false},
		"value is NaN":              {quantity(`"NaN"`), []string{"values.quantity syntax"}, false},
		"value with a space":        {quantity(`" 1"`), []string{"values.quantity syntax"}, false},
		"value with a comma":        {quantity(`"1,5"`), []string{"values.quantity syntax"}, false},
		"value is a boolean":        {quantity(`true`), []string{"values.quantity type"}, false},
		"value is an array":         {quantity(`[1]`), []string{"values.quantity type"}, false},
		"value is an object":        {quantity(`{"a":{}}`), []string{"values.quantity type"}, false},
		"value is null":             {quantity(`null`), []string{"values required"}, false},
		"value with 39 digits":      {quantity(`1` + strings.Repeat("0", 38)), []string{"values.quantity out_of_range"}, false},
		"value with 31 places":      {quantity(`"0.` + strings.Repeat("0", 30) + `1"`), []string{"values.quantity out_of_range"}, false},
		"value is a bomb":           {quantity(`1e999999999`), []string{"values.quantity out_of_range"}, false},
		"value is a string bomb":    {quantity(`"-1e-999999999"`), []string{"values.quantity out_of_range"}, false},
		"value with 100,000 digits": {quantity(strings.Repeat("9", 100_000)), []string{"values.quantity out_of_range"}, false},
		"value twice":               {quantity(`1,"quantity":1`), []string{"values.quantity duplicate"}, false},
		"value twice, null":         {quantity(`null,"quantity":1`), []string{"values.quantity duplicate"}, false},
		"value and its short form":  {member(`"quantity":"1.5"`), []string{"values.quantity duplicate"}, false},
		"short form twice":          {`{"quantity":1,"quantity":1,` + strings.Replace(soundRecord[1:], `"quantity"`, `"cost"`, 1) + "}", []string{"quantity duplicate"}, false},
		"short form is an object":   {`{"quantity":{},` + strings.Replace(soundRecord[1:], `"quantity"`, `"cost"`, 1) + "}", []string{"values.quantity type"}, false},
		"values are an array":       {strings.Replace(soundRecord, `{"quantity":"1.5"}`, `["1.5"]`, 1) + "}", []string{"values type"}, false},
		"values are a number":       {strings.Replace(soundRecord, `{"quantity":"1.5"}`, `1.5`, 1) + "}", []string{"values type"}, false},
		"values twice":              {member(`"values":{"cost":1}`), []string{"values duplicate"}, false},
		"values' name is empty":     {quantity(`1,"":1`), []string{"values required"}, false},
		"values' name is long":      {quantity(`1,"` + long + `":1`), []string{"values too_long"}, false},
		"values' name, half a pair": {quantity(`1,"\ud800":1`), []string{"values characters"}, false},
		"values' names, half pairs": {quantity(`1,"\ud800":1,"\ud801":1`), []string{"values characters", "values characters", "values.\ufffd duplicate"}, false},
		"33 values":                 {quantity(`1` + members(32, "1")), []string{"values too_many"}, false},
		"5,000 values":              {quantity(`1` + members(5000, "1")), []string{"values too_many", "values too_many"}, false},
		"a bad value of several":    {quantity(`"1","a":"x","b":2,"c":"1e99"`), []string{"values.a syntax", "values.c out_of_range"}, false},
		"dimension is a number":     {dimension(`200`), []string{"dimensions.d type"}, false},
		"dimension is a boolean":    {dimension(`true`), []string{"dimensions.d type"}, false},
		"dimension is 5,000 digits": {dimension(strings.Repeat("1", 5000)), []string{"dimensions.d type"}, false},
		"dimension is not UTF-8":    {dimension("\"\xc3\x28\""), []string{"dimensions.d characters"}, false},
		"dimension is half a pair":  {dimension(`"\udfff"`), []string{"dimensions.d characters"}, false},
		"dimension is long":         {dimension(`"` + strings.Repeat("x", 4097) + `"`), []string{"dimensions.d too_long"}, false},
		"dimension has a NUL":       {dimension(`"\u0000"`), []string{"dimensions.d characters"}, false},
		"dimension twice":           {dimension(`"a","d":"a"`), []string{"dimensions.d duplicate"}, false},
		"dimension twice, null":     {dimension(`"a","c":"","d":null`), []string{"dimensions.d duplicate"}, false},
		"dimensions twice":          {dimension(`"a"},"dimensions":{"e":"b"`), []string{"dimensions duplicate"}, false},
		"dimensions are an array":   {member(`"dimensions":["region"]`), []string{"dimensions type"}, false},
		"dimensions are a string":   {member(`"dimensions":"region"`), []string{"dimensions type"}, false},
		"dimension, half a pair":    {dimension(`"a","\ud800":"x"`), []string{"dimensions characters"}, false},
		"65 dimensions":             {dimension(`""` + members(64, `""`)), []string{"dimensions too_many"}, false},
		"5,000 dimensions":          {dimension(`""` + members(5000, `""`)), []string{"dimensions too_many", "dimensions too_many"}, false},
		"nested 33 deep":            {dimension(strings.Repeat("[", 33) + strings.Repeat("]", 33)), []string{"dimensions.d syntax"}, false},
		"nested 100,000 deep":       {dimension(strings.Repeat(`[{"a":`, 50_000) + "1" + strings.Repeat("}]", 50_000)), []string{"dimensions.d syntax"}, false},
		"nested, a key twice":       {dimension(`{"a":1,"a":1}`), []string{"dimensions.d syntax"}, false},
		"nested, half a pair":       {dimension(`["\ud83d"]`), []string{"dimensions.d characters"}, false},
		"nested, not UTF-8":         {dimension("[\"\xff\"]"), []string{"dimensions.d characters"}, false},
		"nested, NUL in the text":   {dimension(`["\u0000"]`), nil, false},
		"nested, long":              {dimension(`["` + strings.Repeat("x", 5000) + `"]`), []string{"dimensions.d too_long"}, false},
		"nested, very long":         {dimension(`["` + strings.Repeat("x", 70_000) + `"]`), []string{"dimensions.d too_long"}, false},
		"unknown, deep":             {member(`"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), []string{"x unknown_key"}, false},
		"corrects is a string":      {member(`"corrects":"void"`), []string{"corrects type"}, false},
		"corrects twice":            {member(`"corrects":null,"corrects":null`), []string{"corrects duplicate"}, false},
		"corrects is empty":         {member(`"corrects":{}`), []string{"corrects.kind required", "corrects.source required", "corrects.id required"}, false},
		"kind is unknown":           {member(`"corrects":{"kind":"delete","source":"s","id":"i"}`), []string{"corrects.kind correction"}, false},
		"kind is null":              {member(`"corrects":{"kind":null,"source":"s","id":"i"}`), []string{"corrects.kind required"}, false},
		"kind is a number":          {member(`"corrects":{"kind":1,"source":"s","id":"i"}`), []string{"corrects.kind type"}, false},
		"kind twice":                {member(`"corrects":{"kind":"replace","source":"s","id":"i","kind":"replace"}`), []string{"corrects.kind duplicate"}, false},
		"target's id is a number":   {member(`"corrects":{"kind":"replace","source":"s","id":1}`), []string{"corrects.id type"}, false},
		"target's source is null":   {member(`"corrects":{"kind":"replace","source":null,"id":"1"}`), []string{"corrects.source required"}, false},
		"target's tenant":           {member(`"corrects":{"kind":"replace","source":"s","id":"1","tenant":"globex"}`), []string{"corrects.tenant unknown_key"}, false},
		"corrects itself":           {member(`"corrects":{"kind":"replace","source":"gateway","id":"7"}`), []string{"corrects correction"}, false},
		"a void with content":       {member(`"corrects":{"kind":"void","source":"s","id":"1"}`), []string{"corrects void_content"}, false},
		"several at once":           {member(`"x":1,"end":2,"quantity":"y","dimensions":{"d":3}`), []string{"x unknown_key", "end type", "dimensions.d type", "values.quantity syntax"}, false},
		"100 unknown keys":          {member(`"x":1` + strings.Repeat(`,"x":1`, 100)), slices.Repeat([]string{"x unknown_key"}, 16), false},
		"100 unknown keys and id":   {member(`"x":1` + strings.Repeat(`,"x":1`, 100) + `,"id":"7"`), append(slices.Repeat([]string{"x unknown_key"}, 15), "id duplicate"), true},
		"100 bad values":            {quantity(`1` + members(100, `"x"`)), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := usage.DecodeRecords([]byte(`[`+soundRecord+`},`+tc.text+`,`+soundRecord+`}]`), nil)
			require.NoError(t, err)
			require.Len(t, list, 3)
			for _, other := range []int{0, 2} {
				_, found := judged(t, list[other])
				require.Empty(t, found)
			}
			entry, found := judged(t, list[1])
			if tc.want != nil {
				require.Equal(t, tc.want, found)
			}
			require.Equal(t, tc.anonymous, entry.Anonymous)
			require.Equal(t, len(found) > 0, entry.Malformed)
			require.LessOrEqual(t, len(found), 40)

			// The text of the record alone says the same, by either way in.
			if strings.HasPrefix(tc.text, "{") {
				one, err := usage.DecodeRecord([]byte(tc.text))
				require.NoError(t, err)
				_, alone := judged(t, one)
				require.Equal(t, found, alone)
				var standard usage.Record
				if err := json.Unmarshal([]byte(tc.text), &standard); err == nil {
					_, alone = judged(t, standard)
					require.Equal(t, found, alone)
				}
			}
			// What the decoder could not read cannot be written as if it could.
			_, err = list[1].MarshalJSON()
			if err != nil {
				require.ErrorIs(t, err, usage.ErrInvalid)
				require.NotEmpty(t, found)
			}
		})
	}
}

// members returns n more members of an object, all of different names.
func members(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%04d":%s`, i, value)
	}
	return b.String()
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	type place struct {
		offset, index  int
		field, message string
	}
	sound := soundRecord + "}"
	cut := len("[" + soundRecord)
	for name, tc := range map[string]struct {
		text   string
		limits *usage.DecodeLimits
		want   place
		large  bool
	}{
		"empty":                {"", nil, place{0, -1, "", `expected an array of records or an object with the key "records", found the end of the text`}, false},
		"space":                {" \n", nil, place{2, -1, "", `expected an array of records or an object with the key "records", found the end of the text`}, false},
		"number":               {"12", nil, place{0, -1, "", `expected an array of records or an object with the key "records", found '1'`}, false},
		"null":                 {"null", nil, place{0, -1, "", `expected an array of records or an object with the key "records", found 'n'`}, false},
		"byte order mark":      {"\ufeff[]", nil, place{0, -1, "", `expected an array of records or an object with the key "records", found a byte order mark`}, false},
		"NUL":                  {"\x00", nil, place{0, -1, "", `expected an array of records or an object with the key "records", found '\x00'`}, false},
		"not UTF-8":            {"\xff", nil, place{0, -1, "", `expected an array of records or an object with the key "records", found the byte 0xff`}, false},
		"single record":        {sound, nil, place{1, -1, "", `unknown key "id", allowed is "records"; a single record stands in an array`}, false},
		"empty object":         {"{}", nil, place{1, -1, "", `the key "records" is missing`}, false},
		"records null":         {`{"records":null}`, nil, place{11, -1, "", `expected an array of records, found 'n'`}, false},
		"records an object":    {`{"records":{}}`, nil, place{11, -1, "", `expected an array of records, found '{'`}, false},
		"records twice":        {`{"records":[],"records":[]}`, nil, place{13, -1, "", `the key "records" is given twice`}, false},
		"key beside records":   {`{"records":[],"next":1}`, nil, place{13, -1, "", `unknown key "next", allowed is "records"; a single record stands in an array`}, false},
		"text behind":          {`[] x`, nil, place{3, -1, "", `expected the end of the text, found 'x'`}, false},
		"two arrays":           {`[][]`, nil, place{2, -1, "", `expected the end of the text, found '['`}, false},
		"lines":                {"{\"records\":[]}\n{\"records\":[]}", nil, place{15, -1, "", `expected the end of the text, found '{'`}, false},
		"open array":           {"[" + sound, nil, place{cut + 1, -1, "", `expected a comma or ], found the end of the text`}, false},
		"comma at the end":     {"[" + sound + ",]", nil, place{cut + 2, 1, "", `expected a value, found ']'`}, false},
		"comma at the start":   {"[," + sound + "]", nil, place{1, 0, "", `expected a value, found ','`}, false},
		"no comma":             {"[" + sound + sound + "]", nil, place{cut + 1, -1, "", `expected a comma or ], found '{'`}, false},
		"open record":          {"[" + soundRecord, nil, place{cut, 0, "", `expected a comma or }, found the end of the text`}, false},
		"record, comma at end": {"[" + soundRecord + ",}]", nil, place{cut + 1, 0, "", `expected a key in double quotes, found '}'`}, false},
		"bare key":             {"[{id:1}]", nil, place{2, 0, "", `expected a key in double quotes, found 'i'`}, false},
		"single quotes":        {"[{'id':1}]", nil, place{2, 0, "", `expected a key in double quotes, found '\''`}, false},
		"no colon":             {`[{"id" "1"}]`, nil, place{7, 0, "", `expected a colon, found '"'`}, false},
		"no value":             {`[{"id":}]`, nil, place{7, 0, "id", `expected a value, found '}'`}, false},
		"bad word":             {`[{"id":nil}]`, nil, place{7, 0, "id", `expected a value, found 'n'`}, false},
		"open string":          {`[{"id":"1`, nil, place{9, 0, "id", `expected the closing quote of a string, found the end of the text`}, false},
		"open escape":          {`[{"id":"1\`, nil, place{9, 0, "id", `unknown escape in a string, allowed are \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits`}, false},
		"bad escape":           {`[{"id":"\x41"}]`, nil, place{8, 0, "id", `unknown escape in a string, allowed are \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits`}, false},
		"short escape":         {`[{"x":["\u12g4"]}]`, nil, place{8, 0, "x", `unknown escape in a string, allowed are \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits`}, false},
		"newline in a string":  {"[{\"id\":\"a\nb\"}]", nil, place{9, 0, "id", `the control character 0x0a in a string, write it as \u000a`}, false},
		"newline, skipped":     {"[{\"x\":\"a\nb\"}]", nil, place{8, 0, "x", `the control character 0x0a in a string, write it as \u000a`}, false},
		"bare minus":           {`[{"quantity":-}]`, nil, place{14, 0, "quantity", `expected a digit, found '}'`}, false},
		"leading zero":         {`[{"quantity":01}]`, nil, place{14, 0, "", `expected a comma or }, found '1'`}, false},
		"bare point":           {`[{"values":{"a":1.}}]`, nil, place{18, 0, "values.a", `expected a digit behind the point, found '}'`}, false},
		"no digit before":      {`[{"values":{"a":.5}}]`, nil, place{16, 0, "values.a", `expected a value, found '.'`}, false},
		"plus":                 {`[{"values":{"a":+5}}]`, nil, place{16, 0, "values.a", `expected a value, found '+'`}, false},
		"bare exponent":        {`[{"values":{"a":1e+}}]`, nil, place{19, 0, "values.a", `expected a digit of the exponent, found '}'`}, false},
		"open values":          {`[{"values":{"a":1`, nil, place{17, 0, "values", `expected a comma or }, found the end of the text`}, false},
		"open dimension":       {`[{"dimensions":{"a":{"b":[1`, nil, place{27, 0, "dimensions.a", `expected a comma or ], found the end of the text`}, false},
		"wrong bracket":        {`[{"dimensions":{"a":{"b":1]}}]`, nil, place{26, 0, "dimensions.a", `expected a comma or }, found ']'`}, false},
		"nested, no colon":     {`[{"dimensions":{"a":{"b"}}}]`, nil, place{24, 0, "dimensions.a", `expected a colon, found '}'`}, false},
		"nested, comma at end": {`[{"dimensions":{"a":[1,]}}]`, nil, place{23, 0, "dimensions.a", `expected a value, found ']'`}, false},
		"nested, no key":       {`[{"dimensions":{"a":{"b":1,}}}]`, nil, place{27, 0, "dimensions.a", `expected a key in double quotes, found '}'`}, false},
		"corrects, no value":   {`[{"corrects":{"kind":}}]`, nil, place{21, 0, "corrects.kind", `expected a value, found '}'`}, false},
		"open nesting":         {"[" + strings.Repeat("[", 1<<20), nil, place{1<<20 + 1, 0, "", `expected a value, found the end of the text`}, false},
		"bytes":                {sound, &usage.DecodeLimits{Bytes: 20}, place{20, -1, "", fmt.Sprintf("the text has %d bytes, at most 20 are read", len(sound))}, true},
		"default bytes":        {strings.Repeat(" ", 16<<20+1), nil, place{16 << 20, -1, "", "the text has 16777217 bytes, at most 16777216 are read"}, true},
		"records":              {"[1,1,1]", &usage.DecodeLimits{Records: 2}, place{5, -1, "", "more than 2 records, which is the limit"}, true},
		"default records":      {"[1" + strings.Repeat(",1", 10_000) + "]", nil, place{20001, -1, "", "more than 10000 records, which is the limit"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := usage.DecodeRecords([]byte(tc.text), tc.limits)
			require.Nil(t, list)
			var got *usage.DecodeError
			require.ErrorAs(t, err, &got)
			require.Equal(t, tc.want, place{got.Offset, got.Index, got.Field, got.Message})
			require.ErrorIs(t, err, usage.ErrInvalid)
			require.Equal(t, tc.large, errors.Is(err, usage.ErrTooLarge))
			require.True(t, strings.HasPrefix(err.Error(), "usage: decode:"), err)
			require.NotErrorIs(t, err, usage.ErrRejected)
		})
	}
	t.Run("text of an error", func(t *testing.T) {
		t.Parallel()
		_, err := usage.DecodeRecords([]byte(`[{},{"values":{"a":.5}}]`), nil)
		require.EqualError(t, err, `usage: decode: record 1: values.a: byte 19: expected a value, found '.'`)
	})
	t.Run("negative limits", func(t *testing.T) {
		t.Parallel()
		_, err := usage.DecodeRecords([]byte(`[]`), &usage.DecodeLimits{Records: -1})
		require.ErrorIs(t, err, usage.ErrInvalid)
	})
	t.Run("at the limits", func(t *testing.T) {
		t.Parallel()
		list, err := usage.DecodeRecords([]byte("["+sound+","+sound+"]"), &usage.DecodeLimits{Bytes: 2*len(sound) + 3, Records: 2})
		require.NoError(t, err)
		require.Len(t, list, 2)
	})
	t.Run("no records", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"[]", `{"records":[ ]}`} {
			list, err := usage.DecodeRecords([]byte(text), nil)
			require.NoError(t, err)
			require.Empty(t, list)
			require.NotNil(t, list)
		}
	})
	t.Run("single record", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "[]", "[" + sound + "]", "null", "1", sound + sound, sound + ",", soundRecord, strings.Repeat(" ", 16<<20) + sound} {
			r, err := usage.DecodeRecord([]byte(text))
			require.ErrorIs(t, err, usage.ErrInvalid, "%.40q", text)
			require.Equal(t, usage.Record{}, r)
		}
	})
	t.Run("unmarshal", func(t *testing.T) {
		t.Parallel()
		r := usage.Record{ID: "kept"}
		require.NoError(t, json.Unmarshal([]byte("null"), &r))
		require.Equal(t, "kept", r.ID)
		require.ErrorIs(t, json.Unmarshal([]byte("[]"), &r), usage.ErrInvalid)
		require.Equal(t, "kept", r.ID)
		require.NoError(t, json.Unmarshal([]byte("{}"), &r))
		require.Equal(t, usage.Record{}, r)
	})
}

func TestRecordWithFault(t *testing.T) {
	t.Parallel()
	sound, err := usage.DecodeRecord([]byte(soundRecord + "}"))
	require.NoError(t, err)
	faulty := sound.WithFault("start", usage.CodeSyntax, "is no instant")
	_, found := judged(t, sound)
	require.Empty(t, found)
	entry, found := judged(t, faulty)
	require.Equal(t, []string{"start syntax"}, found)
	require.True(t, entry.Malformed)
	require.False(t, entry.Anonymous)

	// Two records that grow from one do not write over each other's faults.
	a := faulty.WithFault("end", usage.CodeSyntax, "is no instant")
	b := faulty.WithFault("id", usage.CodeType, "is a number")
	_, found = judged(t, a)
	require.Equal(t, []string{"start syntax", "end syntax"}, found)
	entry, found = judged(t, b)
	require.Equal(t, []string{"start syntax", "id type"}, found)
	require.True(t, entry.Anonymous)

	// A booked identity answers Conflict whatever else is wrong, an unknown
	// one is Rejected; the others of the batch are booked.
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	other := faulty
	other.ID = "8"
	receipt, err := book.Append(t.Context(), sound, faulty, other, b)
	require.ErrorIs(t, err, usage.ErrRejected)
	require.ErrorIs(t, err, usage.ErrConflict)
	var outcomes []usage.Outcome
	for _, e := range receipt.Entries {
		outcomes = append(outcomes, e.Outcome)
	}
	require.Equal(t, []usage.Outcome{usage.Inserted, usage.Conflict, usage.Rejected, usage.Rejected}, outcomes)
}

func TestMarshalRecord(t *testing.T) {
	t.Parallel()
	full := usage.Record{
		ID: "a\"<\\>\n\x1f\u2028é", Source: "s", Tenant: "t", Meter: "m",
		Start:      time.Date(2026, 3, 1, 1, 0, 0, 1000, time.FixedZone("", 3600)),
		End:        time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
		Values:     usage.Quantity(decimal.RequireFromString("1.50")).With("cost", decimal.RequireFromString("-12345678901234567890123456789012345678.000000000000000000000000000001")),
		Dimensions: usage.DimensionsOf(map[string]string{"region": "", "tags": `{"a":1}`}),
		Corrects:   &usage.Correction{Kind: usage.Replace, Source: "s", ID: "b"},
	}
	void := usage.Record{ID: "1", Source: "s", Tenant: "t", Corrects: &usage.Correction{Kind: usage.Void, Source: "s", ID: "0"}}
	const fullText = `{"id":"a\"<\\>\n\u001f` + "\u2028é" + `","source":"s","tenant":"t","meter":"m","start":"2026-03-01T00:00:00.000001Z","end":"2026-03-02T00:00:00Z",` +
		`"values":{"cost":"-12345678901234567890123456789012345678.000000000000000000000000000001","quantity":"1.5"},` +
		`"dimensions":{"region":"","tags":"{\"a\":1}"},"corrects":{"kind":"replace","source":"s","id":"b"}}`
	for name, tc := range map[string]struct {
		record usage.Record
		want   string
	}{
		"full":  {full, fullText},
		"void":  {void, `{"id":"1","source":"s","tenant":"t","corrects":{"kind":"void","source":"s","id":"0"}}`},
		"empty": {usage.Record{}, `{"id":"","source":"","tenant":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.record.MarshalJSON()
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
			got, err = tc.record.AppendJSON([]byte("x"))
			require.NoError(t, err)
			require.Equal(t, "x"+tc.want, string(got))

			standard, err := json.Marshal([]usage.Record{tc.record})
			require.NoError(t, err)
			list, err := usage.DecodeRecords(standard, nil)
			require.NoError(t, err)
			require.True(t, usage.SameContent(&tc.record, &list[0]))
			require.Equal(t, tc.record.Identity(), list[0].Identity())
		})
	}
	bad := "\xff"
	for name, r := range map[string]usage.Record{
		"id":               {ID: bad},
		"source":           {Source: bad},
		"tenant":           {Tenant: bad},
		"meter":            {Meter: bad},
		"start":            {Start: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"end":              {End: time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)},
		"value's name":     {Values: usage.Values{}.With(bad, decimal.Zero)},
		"value":            {Values: usage.Quantity(decimal.New(1, 40))},
		"value twice":      {Values: usage.NewValues(usage.Value{Name: "a"}, usage.Value{Name: "a"})},
		"dimension's name": {Dimensions: usage.Dimensions{}.With(bad, "")},
		"dimension":        {Dimensions: usage.Dimensions{}.With("a", bad)},
		"dimension twice":  {Dimensions: usage.NewDimensions(usage.Dimension{Name: "a"}, usage.Dimension{Name: "a"})},
		"kind":             {Corrects: &usage.Correction{Kind: 3}},
		"target":           {Corrects: &usage.Correction{Kind: usage.Void, ID: bad}},
		"fault":            usage.Record{}.WithFault("start", usage.CodeSyntax, "is no instant"),
	} {
		t.Run("bad "+name, func(t *testing.T) {
			t.Parallel()
			dst, err := r.AppendJSON([]byte("x"))
			require.ErrorIs(t, err, usage.ErrInvalid)
			require.Equal(t, "x", string(dst))
			_, err = json.Marshal(r)
			require.Error(t, err)
		})
	}
}

// model decodes a valid document with encoding/json and json.Number, by other
// means in every part.
func model(t *testing.T, text []byte) usage.Record {
	t.Helper()
	var in struct {
		ID, Source, Tenant, Meter string
		Start, End                string
		Quantity                  any
		Values                    map[string]any
		Dimensions                map[string]json.RawMessage
		Corrects                  *struct{ Kind, Source, ID string }
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&in))
	r := usage.Record{ID: in.ID, Source: in.Source, Tenant: in.Tenant, Meter: in.Meter}
	instant := func(s string) (out time.Time) {
		if s != "" {
			var err error
			out, err = time.Parse(time.RFC3339Nano, s)
			require.NoError(t, err)
		}
		return out.UTC()
	}
	r.Start, r.End = instant(in.Start), instant(in.End)
	values := map[string]decimal.Decimal{}
	add := func(name string, v any) {
		switch v := v.(type) {
		case json.Number:
			values[name] = decimal.RequireFromString(v.String())
		case string:
			values[name] = decimal.RequireFromString(v)
		}
	}
	add("quantity", in.Quantity)
	for name, v := range in.Values {
		add(name, v)
	}
	r.Values = usage.ValuesOf(values)
	dims := map[string]string{}
	for name, raw := range in.Dimensions {
		var v any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&v))
		switch v := v.(type) {
		case nil:
		case string:
			dims[name] = v
		default:
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			require.NoError(t, enc.Encode(v)) // maps are written in the order of their keys
			dims[name] = strings.TrimSuffix(b.String(), "\n")
		}
	}
	r.Dimensions = usage.DimensionsOf(dims)
	if c := in.Corrects; c != nil {
		r.Corrects = &usage.Correction{Kind: map[string]usage.CorrectionKind{"void": usage.Void, "replace": usage.Replace}[c.Kind], Source: c.Source, ID: c.ID}
	}
	return r
}

// documents writes valid documents in every spelling that is allowed.
// With sound set, nearly all of them are records that a book takes.
type documents struct {
	*rand.Rand
	sound bool
}

func (g documents) space() string {
	return []string{"", "", "", " ", "\n", "\t\r\n "}[g.IntN(6)]
}

func (g documents) text(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r < ' ' || g.IntN(12) == 0:
			if r > 0xffff {
				r -= 0x10000
				fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (g documents) word() string {
	letters := "abcdefgxyz-_.09 é€\u2028😀\"\\<>&"
	if !g.sound {
		letters += "\n\u007f"
	}
	all := []rune(letters)
	out := make([]rune, g.IntN(14))
	for i := range out {
		out[i] = all[g.IntN(len(all))]
	}
	return string(out)
}

func (g documents) number() string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(byte('0' + g.IntN(10)))
		}
		return b.String()
	}
	s := []string{"", "-"}[g.IntN(2)]
	if g.IntN(4) == 0 {
		s += "0"
	} else {
		s += string(rune('1'+g.IntN(9))) + digits(g.IntN(20))
	}
	if g.IntN(2) == 0 {
		s += "." + digits(1+g.IntN(12))
	}
	if g.IntN(3) == 0 {
		s += []string{"e", "E"}[g.IntN(2)] + []string{"", "+", "-"}[g.IntN(3)] + digits(1)
	}
	return s
}

func (g documents) instant() string {
	t := time.Date(1+g.IntN(9998), time.Month(1+g.IntN(12)), 1+g.IntN(31), g.IntN(24), g.IntN(60), g.IntN(60), g.IntN(1e9), time.UTC)
	if g.IntN(2) == 0 {
		t = t.In(time.FixedZone("", (g.IntN(2*24*60-1)-24*60+1)*60))
		if t.Year() < 1 || t.Year() > 9999 {
			t = t.UTC()
		}
	}
	s := t.Format("2006-01-02T15:04:05")
	if g.IntN(2) == 0 {
		s += "." + fmt.Sprintf("%09d12345", t.Nanosecond())[:1+g.IntN(14)]
	}
	return s + t.Format("Z07:00")
}

func (g documents) members(list []string) string {
	g.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return "{" + g.space() + strings.Join(list, g.space()+","+g.space()) + g.space() + "}"
}

func (g documents) member(name, value string) string {
	return g.text(name) + g.space() + ":" + g.space() + value
}

// value returns any JSON value.
func (g documents) value(depth int) string {
	switch k := g.IntN(7); {
	case k == 0:
		return "null"
	case k == 1:
		return []string{"true", "false"}[g.IntN(2)]
	case k == 2:
		return g.number()
	case k == 3 || depth == 0:
		return g.text(g.word())
	case k == 4:
		var list []string
		for range g.IntN(4) {
			list = append(list, g.space()+g.value(depth-1)+g.space())
		}
		return "[" + strings.Join(list, ",") + g.space() + "]"
	}
	var list []string
	for i := range g.IntN(5) {
		list = append(list, g.member(fmt.Sprint(g.word(), i), g.value(depth-1)))
	}
	return g.members(list)
}

func (g documents) nested() string {
	for {
		if s := g.value(4); s[0] == '{' || s[0] == '[' {
			return s
		}
	}
}

func (g documents) record() string {
	list := []string{g.member("id", g.text("i"+g.word())), g.member("source", g.text("s"+g.word())), g.member("tenant", g.text("t"+g.word()))}
	number := func() string {
		if s := g.number(); g.IntN(2) == 0 {
			return s
		} else {
			return g.text(s)
		}
	}
	if g.IntN(8) == 0 {
		return g.members(append(list, g.member("corrects", g.members([]string{g.member("kind", `"void"`), g.member("source", g.text(g.word())), g.member("id", g.text(g.word()))}))))
	}
	list = append(list, g.member("meter", g.text("m"+g.word())), g.member("start", g.text(g.instant())))
	if g.IntN(2) == 0 {
		list = append(list, g.member("end", []string{"null", `""`, g.text("9999-12-31T23:59:59.9999999999Z"), g.text(g.instant())}[g.IntN(4)]))
	}
	if g.IntN(3) == 0 {
		list = append(list, g.member("quantity", number()))
	}
	if g.IntN(4) > 0 {
		var values []string
		for i := range g.IntN(5) {
			v := number()
			if g.IntN(8) == 0 {
				v = "null"
			}
			values = append(values, g.member(fmt.Sprint("v", g.word(), i), v))
		}
		list = append(list, g.member("values", g.members(values)))
	}
	if g.IntN(4) > 0 {
		var dims []string
		for i := range g.IntN(8) {
			v := g.text(g.word())
			switch g.IntN(5) {
			case 0:
				v = "null"
			case 1:
				v = g.nested()
			}
			dims = append(dims, g.member(fmt.Sprint("d", g.word(), i), v))
		}
		list = append(list, g.member("dimensions", g.members(dims)))
	}
	if g.IntN(8) == 0 {
		list = append(list, g.member("corrects", g.members([]string{g.member("kind", `"replace"`), g.member("source", g.text(g.word())), g.member("id", g.text(g.word()))})))
	}
	return g.members(list)
}

func TestDecodeAgainstStandardLibrary(t *testing.T) {
	t.Parallel()
	g := documents{rand.New(rand.NewPCG(7, 11)), false}
	for range 300 {
		var texts []string
		var want []usage.Record
		for range 1 + g.IntN(12) {
			s := g.record()
			texts = append(texts, s)
			want = append(want, model(t, []byte(s)))
		}
		body := "[" + strings.Join(texts, g.space()+","+g.space()) + "]" + g.space()
		require.True(t, json.Valid([]byte(body)))
		got, err := usage.DecodeRecords([]byte(body), nil)
		require.NoError(t, err, body)
		require.Len(t, got, len(want))
		for i := range want {
			requireSame(t, &want[i], &got[i], texts[i])
		}
	}
}

func requireSame(t testing.TB, want, got *usage.Record, text string) {
	t.Helper()
	require.Equal(t, want.Identity(), got.Identity(), text)
	require.True(t, usage.SameContent(want, got), "%s\nwant %+v\ngot  %+v", text, want, got)
}

// Every record that a book takes is the same after it was written and read.
func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	g := documents{rand.New(rand.NewPCG(3, 5)), true}
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	taken := 0
	for range 2000 {
		text := g.record()
		r, err := usage.DecodeRecord([]byte(text))
		require.NoError(t, err)
		batch, err := book.Prepare(usage.AppendOptions{}, r)
		require.NoError(t, err)
		if len(batch.At(0).Violations) > 0 {
			continue // no value, or an end before the start
		}
		taken++
		want := batch.At(0).Record
		out, err := want.MarshalJSON()
		require.NoError(t, err)
		require.True(t, json.Valid(out))
		got, err := usage.DecodeRecord(out)
		require.NoError(t, err)
		require.Equal(t, want, got)
		again, err := got.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, string(out), string(again))
	}
	require.Greater(t, taken, 1000)
}

// The text is neither changed nor kept.
func TestDecodeLeavesTheTextAlone(t *testing.T) {
	t.Parallel()
	text := []byte(`[` + soundRecord + `,"dimensions":{"a":"b","n":{"x":1},"l":"` + strings.Repeat("x", 3000) + `"}}]`)
	before := bytes.Clone(text)
	list, err := usage.DecodeRecords(text, nil)
	require.NoError(t, err)
	require.Equal(t, before, text)
	want, err := list[0].MarshalJSON()
	require.NoError(t, err)
	for i := range text {
		text[i] = '!'
	}
	got, err := list[0].MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	// Neighbours in shared memory do not grow into each other.
	pair, err := usage.DecodeRecords([]byte(`[`+soundRecord+`},`+soundRecord+`}]`), nil)
	require.NoError(t, err)
	_ = pair[0].Values.With("zzz", decimal.NewFromInt(9))
	require.Equal(t, "{quantity=1.5}", pair[1].Values.String())
}

func FuzzDecodeRecords(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "{}", "null", `{"records":[]}`, "[" + soundRecord + "}]", `{"records":[` + soundRecord + `},1,null,"x",{}]}`,
		`[` + soundRecord + `,"end":"2026-03-01T00:00:00.5+01:00","dimensions":{"a":{"z":[1,{}],"b":"\u00e9"},"c":null,"d":5},"corrects":{"kind":"replace","source":"s","id":"i"}}]`,
		`[{"id":"\ud83d\ude00\ud800","quantity":1e999999999,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}]`,
		`[{"quantity":` + strings.Repeat("9", 1000) + `}]`, `[{"dimensions":{"a":` + strings.Repeat(`{"a":`, 40), "[{\"id\":\"\xff\x00\"}]",
		`[{"values":{"a":1,"a":2,"":"","b":"-.5e+3"}},{"id":"1","id":"2"}]`, "\ufeff[]", `[{"start":"0001-01-01T00:00:00Z","end":"9999-12-31T23:59:59-23:59"}]`,
	} {
		f.Add([]byte(seed))
	}
	g := documents{rand.New(rand.NewPCG(1, 2)), true}
	for range 20 {
		f.Add([]byte("[" + g.record() + "," + g.record() + "]"))
	}
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := usage.DecodeRecords(data, nil)
		if err != nil {
			require.ErrorIs(t, err, usage.ErrInvalid)
			// An array that is JSON is never refused as a whole, whatever is in it.
			array := bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("["))
			require.False(t, array && json.Valid(data) && !errors.Is(err, usage.ErrTooLarge), "%v", err)
			return
		}
		require.True(t, json.Valid(data))
		batch, err := book.Prepare(usage.AppendOptions{}, list...)
		require.NoError(t, err)
		for i := range list {
			e := batch.At(i)
			out, err := list[i].MarshalJSON()
			if err != nil {
				require.ErrorIs(t, err, usage.ErrInvalid)
				require.NotEmpty(t, e.Violations)
				continue
			}
			again, err := usage.DecodeRecord(out)
			require.NoError(t, err)
			requireSame(t, &list[i], &again, string(out))
			if len(e.Violations) == 0 {
				out, err := e.Record.MarshalJSON()
				require.NoError(t, err)
				again, err := usage.DecodeRecord(out)
				require.NoError(t, err)
				require.Equal(t, e.Record, again)
			}
		}
	})
}

// Objects and arrays that need no rewriting are recognised, and nothing else is.
func FuzzDecodeNestedDimension(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `{"a":1,"b":[true,null,"x"]}`, `{"b":1,"a":1}`, `{"a":1,"a":1}`, `{"":1,"":2}`, `{"":{"":1}}`, `[1.0,1e5,-0]`, `["\u0061"]`, `["é"]`, `[ 1]`, `[{"a":1},{"a":1}]`, "[\"\x7f<>&\"]",
		`[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || text[0] != '{' && text[0] != '[' || !utf8.ValidString(text) {
			return
		}
		r, err := usage.DecodeRecord([]byte(soundRecord + `,"dimensions":{"d":` + text + `}}`))
		want, wrong := usage.CanonicalJSON(text)
		if !json.Valid([]byte(text)) {
			return // the text may close the record itself
		}
		require.NoError(t, err)
		got, ok := r.Dimensions.Get("d")
		if wrong != nil || len(text) > 64<<10 {
			require.False(t, ok)
			return
		}
		if !ok {
			// Half of a surrogate pair, which CanonicalJSON replaces.
			require.Contains(t, strings.ToLower(text), `\ud`)
			return
		}
		require.Equal(t, want, got)
	})
}

// The numbers of a batch that everybody would send, read by both ways at once.
func TestDecodeSharedData(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("USAGEBOOK_SHARED")
	if dir == "" {
		t.Skip("USAGEBOOK_SHARED is not set")
	}
	b, err := os.ReadFile(filepath.Join(dir, "data", "focus", "records.jsonl"))
	require.NoError(t, err)
	n := 0
	for line := range bytes.Lines(b) {
		var in map[string]any
		require.NoError(t, json.Unmarshal(line, &in))
		dims := map[string]any{}
		record := map[string]any{"id": in["id"], "source": "focus", "tenant": "t", "meter": "m", "start": in["start"], "end": in["end"], "dimensions": dims}
		values := map[string]any{}
		for k, v := range in {
			switch k {
			case "id", "start", "end":
			case "quantity", "cost", "listCost", "effectiveCost":
				values[k] = v
			default:
				dims[k] = v
			}
		}
		record["values"] = values
		text, err := json.Marshal(record)
		require.NoError(t, err)
		want := model(t, text)
		got, err := usage.DecodeRecord(text)
		require.NoError(t, err)
		requireSame(t, &want, &got, string(text))
		n++
	}
	require.Equal(t, 1000, n)
}
