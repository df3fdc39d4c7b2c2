// Command bench compares Usagebook with what a service would do instead, in one run
// on one machine, and prints ratios:
//
//	go run ./examples/bench                       # of moderate size
//	go run ./examples/bench -records 1000000 http
//
// Its parts:
//
//	http  POST /v1/records of 200-record batches into memory, over loopback, against a
//	      handler that only reads the same bodies and decodes them by encoding/json; and
//	      a page of 1,000 lines of usageAggregates out of a book, over loopback, against
//	      encoding/json marshalling the same page five times
//
// The two sides of a comparison take turns, and a ratio is the median of the ratios
// within each turn: the machine's noise then meets both. Answers are checked: every
// record has to be booked, and every page to be the same and whole.
//
//	-records  records in a book (200,000)
//	-turns    turns of each side (5)
//	-report   file for a report in Markdown, too
//	-batches  http: batches in a turn of ingest (400)
//	-clients  http: connections that post at the same time (4)
package main
