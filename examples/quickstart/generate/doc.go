// Command generate writes the quickstart's sample data: testdata/sample.csv,
// 1,000 lines in the shape of a FOCUS 1.0 export, and testdata/bad_lines.csv,
// one line for each kind of bad input. Run it in examples/quickstart:
//
//	go generate .
//
// A *provider* has *services*, a service has *skus* with a price and a kind of
// quantity: catalogue.go lists them, sample.go draws lines from them, bad.go
// writes the bad ones.
//
// The sample comes from a seed and the tables of this package alone, so it is
// the same on every machine; a test compares the files byte for byte. Every
// account, resource and tag in it is invented, and so are the prices: it shows
// the shapes of real exports and says nothing about anybody's bill.
package main
