package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/usagebook/usagebook/usage"
)

var contentCases = []aCase{
	{
		name: "A7_every_digit",
		rule: "What is read back is what was booked, every digit: 38 before the point and 30 after it, negative ones, and numbers at the edges of the machine's words.",
		run:  everyDigit,
	},
	{
		name: "A7_every_byte",
		rule: "What is read back is what was booked, every byte: texts are UTF-8 of any script, of any case, with quotes, separators and control characters in dimension values, composed or not.",
		run:  everyByte,
	},
	{
		name: "A7_every_microsecond",
		rule: "What is read back is what was booked, every microsecond of Start, End and Recorded, in UTC, from the year 1 to the year 9999.",
		run:  everyMicrosecond,
	},
	{
		name: "A7_absent_stays_absent",
		rule: "A zero End, an absent dimension, an absent value and an absent correction are read back as absent, an empty dimension as empty and a zero value as zero.",
		run:  absentStaysAbsent,
	},
	{
		name: "A7_widest_record",
		rule: "A record at every limit at once is booked and read back: 256-byte ids, 128-byte names, 32 values, 64 dimensions, 4 KiB dimension values.",
		run:  widestRecord,
	},
	{
		name: "A7_verdicts",
		rule: "The verdict that a record is booked with is read back in every part (state, billable, version), and a Duplicate keeps the first one.",
		run:  everyVerdict,
	},
	{
		name: "A7_corrections",
		rule: "A void and a replace are read back with their kind and target, and the void with neither meter, times, values nor dimensions.",
		run:  correctionsReadBack,
	},
}

// readBack books records and checks what is read back, alone and together.
func (b *bench) readBack(records ...usage.Record) {
	b.k.Helper()
	want := make([]string, len(records))
	batch := b.prepare(records...)
	for i := range records {
		want[i] = show(&batch.At(i).Record)
	}
	out := b.appendBatch(batch)
	for i := range out {
		if out[i].Outcome != usage.Inserted {
			b.k.Fatalf("%s is %s: %v", want[i], out[i].Outcome, out[i].Violations)
		}
	}
	all := b.everything()
	if len(all) < len(records) {
		b.k.Fatalf("%d records were booked, %d are read back", len(records), len(all))
	}
	for i, r := range all[len(all)-len(records):] {
		b.readAs(want[i], r)
		b.readAs(want[i], b.find(r.Identity()))
	}
	for i := range records {
		r := b.find(batch.At(i).Record.Identity())
		b.readAs(want[i], r)
		if !usage.SameContent(&r.Record, &batch.At(i).Record) {
			b.k.Fatalf("what is read back is not the same content: %s", show(&r.Record))
		}
	}
	// Comparing with what is stored is another path than reading it.
	for i, e := range b.append(records...) {
		if e.Outcome != usage.Duplicate {
			b.k.Fatalf("booked again, %s is %s, want duplicate", want[i], e.Outcome)
		}
	}
}

func (b *bench) readAs(want string, r *usage.Stored) {
	b.k.Helper()
	if got := show(&r.Record); got != want {
		b.k.Fatalf("read back as\n  %s\nbut booked was\n  %s", got, want)
	}
}

func everyDigit(k *kit) {
	b := k.open(nil)
	nines, deep := strings.Repeat("9", 38), strings.Repeat("9", 30)
	numbers := []string{
		"0", "1", "-1", "0.1", "-0.1", "0.5", "10", "100", "1000000", "123456.789", "-98765.4321",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809",
		"18446744073709551615", "18446744073709551616", "92233720368547758.07", "922337203685477580.8",
		"0.000001", "0.000000000000001", "0." + strings.Repeat("0", 29) + "1", "-0." + strings.Repeat("0", 29) + "1",
		nines, "-" + nines, nines + "." + deep, "-" + nines + "." + deep, "0." + deep,
		"1" + strings.Repeat("0", 37), "1" + strings.Repeat("0", 37) + "." + strings.Repeat("0", 29) + "1",
		"3.141592653589793238462643383279",
		"9007199254740993", "0.30000000000000004", "13438.712904456820057", "20.52022672899",
	}
	var records []usage.Record
	for i, s := range numbers {
		r := use(fmt.Sprintf("n%02d", i), i)
		r.Values = quantity(s)
		records = append(records, r)
	}
	b.readBack(records...)

	// All scales of one value, mixed, so that no column can get by with one.
	records = nil
	for scale := range 31 {
		r := use(fmt.Sprintf("s%02d", scale), scale)
		r.Values = usage.Values{}.WithNumber("a", number("7"+strings.Repeat("0", 8)+"e-"+fmt.Sprint(scale))).
			WithNumber("b", number("-1.5")).WithNumber("c", number("1e-"+fmt.Sprint(scale)))
		records = append(records, r)
	}
	b.readBack(records...)
}

// texts are hard to keep: by order, by case, by width, by what they mean
// somewhere else.
var texts = []string{
	"a", "A", "b", "B", "Z", "z", "aa", "a b", " a", "a ", " ", "0", "00", "10", "9", "-", "_", "%", "a%", "a_", "null", "NULL", "''", "'", "\"", "\\", "\\0", "a/b", "a|b", "a,b", "a;b", "a:b",
	"ä", "Ä", "é", "e\u0301", "ß", "ss", "ſ", "İ", "ı", "I", "i", "ﬁ", "fi", "Σ", "σ", "ς", "\u00c5", "\u212b",
	"日本", "中文", "한글", "ไทย", "עברית", "العربية", "😀", "👩‍👩‍👧", "\uffff", "\U00010000", "\U0010ffff", "\ud7ff", "\ue000", "\ufffd", "\ufeffa",
	"true", "1e5", "2026-03-02", "${x}", "{\"a\":1}", "a.b", "a--b", "/*", "*/", "; drop table records",
}

func everyByte(k *kit) {
	b := k.open(nil)
	var records []usage.Record
	for i, s := range texts {
		r := use(s, i)
		r.Source = s
		r.Meter = s
		r.Values = r.Values.WithNumber(s, number("2"))
		r.Dimensions = usage.NewDimensions(usage.Dimension{Name: s, Value: s}, usage.Dimension{Name: "raw", Value: s + "\t\r\n\x01\x7f" + s})
		records = append(records, of(s, r))
	}
	b.readBack(records...)
}

func everyMicrosecond(k *kit) {
	b := k.open(nil)
	b.clock.set(epoch.Add(123456 * time.Microsecond))
	starts := []time.Time{
		epoch.Add(time.Microsecond), epoch.Add(-time.Microsecond), epoch.Add(999999 * time.Microsecond),
		time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		time.Unix(0, 0).UTC(), time.Unix(0, 0).Add(-time.Microsecond).UTC(), time.Date(1969, 12, 31, 23, 59, 59, 500_000_000, time.UTC),
		time.Date(1600, 2, 29, 12, 0, 0, 0, time.UTC), time.Date(1883, 11, 18, 12, 3, 58, 0, time.UTC), time.Date(2016, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Date(2262, 4, 11, 23, 47, 17, 0, time.UTC), time.Date(5000, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	var records []usage.Record
	for i, s := range starts {
		instant := use(fmt.Sprintf("i%02d", i), 0)
		instant.Start = s
		records = append(records, instant)
		if s.Year() < 9999 {
			interval := use(fmt.Sprintf("e%02d", i), 0)
			interval.Start, interval.End = s, s.Add(time.Duration(i*i*i)*time.Hour+time.Microsecond)
			records = append(records, interval)
		}
	}
	long := use("long", 0)
	long.Start, long.End = starts[3], starts[4]
	records = append(records, long)
	b.readBack(records...)
	for _, r := range b.everything() {
		if r.Recorded.Before(b.clock.Now()) || r.Recorded.Nanosecond()%1000 != 0 {
			k.Fatalf("recorded %s, want a whole microsecond not before %s", showTime(r.Recorded), showTime(b.clock.Now()))
		}
		for _, t := range []time.Time{r.Start, r.End, r.Recorded} {
			if t.Location() != time.UTC {
				k.Fatalf("an instant is read back in the zone %s, want UTC: %s", t.Location(), show(&r.Record))
			}
		}
	}
}

func absentStaysAbsent(k *kit) {
	b := k.open(nil)
	bare := use("bare", 0)
	bare.Dimensions = usage.Dimensions{}
	empty := use("empty", 0)
	empty.Dimensions = usage.NewDimensions(usage.Dimension{Name: "region", Value: ""})
	both := use("both", 0)
	both.Dimensions = usage.NewDimensions(usage.Dimension{Name: "region", Value: ""}, usage.Dimension{Name: "zone", Value: "x"})
	zero := use("zero", 0)
	zero.Values = usage.Values{}.WithNumber("cost", number("0"))
	interval := use("interval", 0)
	interval.End = interval.Start.Add(time.Hour)
	b.readBack(bare, empty, both, zero, interval, use("last", 0))

	if r := b.find(bare.Identity()); !r.End.IsZero() || r.Corrects != nil || r.CorrectedBy != nil || r.Dimensions.Len() != 0 {
		k.Fatalf("what was absent is read back as %s", showStored(r))
	}
	if v, ok := b.find(empty.Identity()).Dimensions.Get("region"); !ok || v != "" {
		k.Fatalf("an empty dimension is read back as %q, present %v", v, ok)
	}
	if _, ok := b.find(zero.Identity()).Values.Number(usage.QuantityName); ok {
		k.Fatalf("a value that was not given is read back")
	}
	if n, ok := b.find(zero.Identity()).Values.Number("cost"); !ok || !n.IsZero() {
		k.Fatalf("a value of zero is read back as %v, present %v", n, ok)
	}
}

func widestRecord(k *kit) {
	b := k.open(nil)
	long := func(n int, c string) string { return strings.Repeat(c, n/len(c)) }
	r := usage.Record{Tenant: long(128, "t"), Source: long(256, "ß"), ID: long(256, "😀"), Meter: long(128, "m"),
		Start: epoch, End: epoch.Add(time.Hour)}
	var dims []usage.Dimension
	for i := range 64 {
		dims = append(dims, usage.Dimension{Name: fmt.Sprintf("%02d", i) + long(126, "n"), Value: fmt.Sprintf("%02d", i) + long(4094, "é")})
	}
	r.Dimensions = usage.NewDimensions(dims...)
	for i := range 32 {
		r.Values = r.Values.WithNumber(fmt.Sprintf("%02d", i)+long(126, "v"), number(fmt.Sprintf("%d.%s", i+1, strings.Repeat("7", 30))))
	}
	other := r
	other.ID = long(256, "😎")
	b.readBack(r, other)
}

func everyVerdict(k *kit) {
	b := k.open(&usage.Options{Rules: verdicts{}})
	var records []usage.Record
	for i, meter := range verdictMeters {
		r := use(fmt.Sprintf("r%d", i), i)
		r.Meter = meter
		records = append(records, r)
	}
	batch := b.prepare(records...)
	out := b.appendBatch(batch)
	for i := range out {
		want := batch.At(i).Verdict
		if got := b.find(records[i].Identity()).Verdict; got != want {
			k.Fatalf("the verdict %+v is read back as %+v", want, got)
		}
		if out[i].Verdict != want {
			k.Fatalf("the receipt says verdict %+v, want %+v", out[i].Verdict, want)
		}
	}
	// Judged by other rules, the same record is the same record.
	b.book = b.newBook(nil)
	for _, e := range b.append(records...) {
		if e.Outcome != usage.Duplicate {
			k.Fatalf("a record that other rules judge is %s, want duplicate", e.Outcome)
		}
	}
	for i := range records {
		if got, want := b.find(records[i].Identity()).Verdict, batch.At(i).Verdict; got != want {
			k.Fatalf("after a retry under other rules the verdict is %+v, want the first one, %+v", got, want)
		}
	}
}

func correctionsReadBack(k *kit) {
	b := k.open(nil)
	one, two := use("one", 1), use("two", 2)
	b.readBack(one, two)
	moved := replaceOf("moved", two, 5)
	moved.Meter, moved.Start, moved.End = "other", epoch.Add(time.Hour), epoch.Add(2*time.Hour)
	moved.Dimensions = usage.Dimensions{}
	b.readBack(voidOf("void", one), moved)
	v := b.find(usage.Identity{Tenant: "acme", Source: "desk", ID: "void"})
	if v.Meter != "" || !v.Start.IsZero() || !v.End.IsZero() || v.Values.Len() != 0 || v.Dimensions.Len() != 0 {
		k.Fatalf("a void is read back with content: %s", show(&v.Record))
	}
}
