// Command bench compares the HTTP side of Usagebook with what a service would do
// anyway, in one run on one machine, and prints ratios:
//
//	go run ./examples/bench
//
//	ingest  POST /v1/records of 200-record batches into memory, over loopback, against
//	        a handler that only reads the same bodies and decodes them by encoding/json
//	page    a page of 1,000 lines of usageAggregates out of a book of a million records,
//	        over loopback, against encoding/json marshalling the same page five times
//
// The two sides of a comparison take turns, and the medians of the turns are compared:
// the machine's noise then meets both. Answers are checked: every record has to be
// booked, and every page to be the same and whole.
//
//	-records  records in the book of the page (1,000,000)
//	-batches  batches in a turn of ingest (400)
//	-clients  connections that post at the same time (4)
//	-turns    turns of each side (5)
package main
