// Package aggregate adds usage up exactly and cuts time into windows. It knows
// nothing of records or stores; it needs package decimal alone.
//
// Three nouns:
//
//   - a [Number] is one exact decimal of at most 38 digits before and 30 after
//     the point, without allocation;
//   - a [Summary] is what a bucket keeps of one value: count, exact sum, least
//     and greatest;
//   - a [Window] cuts time into hours, days, ISO weeks, months, quarters, years
//     or billing cycles by the clock of any zone.
//
// A short example: how much, by local day.
//
//	f := aggregate.NewFolder[string](aggregate.Window{Unit: aggregate.Day, Location: zurich})
//	f.AddFixed("eu", start.UnixMicro(), 125, 2) // 1.25
//	for bucket, s := range f.All(strings.Compare) {
//		fmt.Println(bucket.Group, time.UnixMicro(bucket.From), s.Count, s.Sum.String())
//	}
//
// # Adding up
//
// Everything that accumulates, [Sum], [Summary], [First], [Last], [Distinct]
// and [Folder], has an empty zero value (a Folder is made by [NewFolder]) and a
// Merge that is associative and commutative. So shards, rollup rows and raw
// values add up to one result in any order and any division.
//
// A [Sum] is a 128-bit fixed-point number at the largest scale it has seen.
// What outgrows that moves to a big integer and comes back when it can; the
// result is exact on both sides and shows no trace of the way. An average is
// sum by count, divided once at the end ([Summary.Avg]).
//
// # Windows
//
// Instants are Unix microseconds or time.Time, whose own location never
// counts. The windows of one [Window] are half-open, without gap or overlap,
// and cover all time. A period opens at the first instant at which the zone's
// clock shows its opening reading or a later one. From this follows:
//
//   - days have 23, 23.5, 24, 24.5 or 25 hours; a midnight that is skipped
//     opens at the change of the clock, one shown twice at the first;
//   - where a clock is turned back over midnight, the repeated part of the
//     evening belongs to the day that has already begun;
//   - a date that a zone left out (Samoa, 2011-12-30) has no window;
//   - a billing cycle anchored on the 31st opens on the last day of shorter
//     months and on the 31st again afterwards.
//
// Hour windows alone follow the minute hand: one opens whenever the clock
// comes to show minute 00 (of another hour, or again). Around a change by half an hour a
// window lasts 30 or 90 minutes.
//
// [Floor], [Next] and [Tiles] serve rollups, which are kept by UTC units;
// [Window.Aligned] tells whether such units tile the windows of a zone.
//
// # What it does not do
//
// It stores nothing, prorates nothing over windows, and rounds nothing but
// averages. It does not choose rollups; that is the work of a planner.
//
// # Caveats
//
//   - Compare sums with [Sum.Cmp]: == sees the scale too. Numbers may be
//     compared with ==.
//   - A number with many decimal places widens the fixed point of its sum for
//     good: at 30 places 128 bits hold 8 digits before the point, and larger
//     values go by the big integer, exact but ten times slower.
//   - Zones are as good as the time zone database at hand. A program for
//     machines without one imports time/tzdata.
//   - Windows are exact for the years 1 to 9999. Other instants get an answer
//     and no panic.
//   - Only [Window], [Unit], [Number] and [Position], which are values, are safe for
//     concurrent use. Accumulators and [Locator] belong to one goroutine each.
//
// # Performance
//
// Measured with the benchmarks of this package (BenchmarkSum4096,
// BenchmarkSummary4096, BenchmarkNumber, BenchmarkLocate4096) on two shared
// cores of an Intel Xeon, November 2026, per value and without allocation:
//
//	Sum.AddFixed, scale of the sum          3 ns
//	Sum.AddFixed, smaller scale             8 ns
//	Sum.AddBlock                          1.5 ns
//	decimal.Decimal.Add, for comparison   104 ns, 2 allocations
//	Summary.AddFixed                        6 ns
//	Summary.AddBlock                        2 ns
//	ParseNumber("12345.678901")            50 ns
//	Window.Locate, UTC hour or day         10 ns
//	Window.Locate, Europe/Zurich day      120 ns
//	Locator.Locate, in event time           2 ns, any zone, by day or longer
//
// A scan should add columns of one scale by AddBlock and find windows with a
// [Locator].
package aggregate
