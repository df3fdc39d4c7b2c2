// Package aggregate adds usage up exactly and cuts time into windows. It knows
// nothing of records or stores.
//
// Three nouns:
//
//   - a [Number] is one exact decimal, without allocation;
//   - a [Summary] is what a bucket keeps of one value: count, exact sum, least
//     and greatest, mergeable in any order;
//   - a [Window] cuts time into hours, days, weeks, months, quarters, years or
//     billing cycles of any zone.
//
// A short example: how much, by local day.
//
//	zurich, _ := time.LoadLocation("Europe/Zurich")
//	f := aggregate.NewFolder[string](aggregate.Window{Unit: aggregate.Day, Location: zurich})
//	f.AddFixed("eu", start.UnixMicro(), 125, 2) // 1.25
//	for bucket, s := range f.All(strings.Compare) {
//		fmt.Println(bucket.Group, bucket.From, s.Count, s.Sum.String())
//	}
package aggregate
