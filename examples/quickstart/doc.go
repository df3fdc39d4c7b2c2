// Command quickstart books usage and reports on it: the main job of Usagebook
// on real input, with nothing to install.
//
//	go run ./examples/quickstart                      # 1,000 generated FOCUS lines
//	go run ./examples/quickstart -file export.csv     # your own FOCUS export
//	go run ./examples/quickstart -file calls.ndjson -map id=id,start=time,tokens=usage.total,dim.model=model
//	go run ./examples/quickstart -help
//
// # Three nouns
//
// A *line* is one row of the input: a CSV record, which may go over several
// lines of the file, or a JSON object on a line of its own. A *mapping* says
// which column of a line becomes which part of a record. A *section* is one
// table of the report.
//
// # Where to read
//
// main.go wires everything; its function open shows how a book is made.
// focus.go is the mapping of FOCUS columns, mapping.go makes records of lines,
// booking.go appends them in batches and handles the receipts, and report.go
// asks the book one question for each section. csv.go and ndjson.go read,
// render.go prints.
//
// # What becomes of a line
//
// The identity of a record is its tenant, its source and the id of the line. A
// line id of digits alone is filled up with zeros to 8 digits, so that the order of bytes is
// that of numbers. Without an id column the id is derived from what the line
// says: the first 128 bits of the SHA-256 of its columns and cells, in the
// order of column names, nulls left out, and of how many lines of the file
// before it said the same. So the same export gives the same ids, whatever the
// order of its lines and columns, and two equal lines count twice.
//
// In CSV, NULL and \N without quotes and a cell with nothing in it are null,
// and "" is the empty string; -null changes that. A time without zone is UTC.
// Numbers are read exactly, from CSV and from JSON.
//
// # What it does not do
//
// The book is kept in memory and is gone when the program ends. A line is at
// most 1 MiB long and a JSON document at most 32 levels deep. FOCUS columns
// that focus.go does not name are not booked; with -map focus,dim.team=x_Team
// they are.
//
// # Performance
//
// The file is read twice and in batches, never held in memory; the book is, and
// without an id column so are some 40 bytes for each different line. A line of
// 43 columns takes about 20 µs to read and as much again to book on one core
// (BenchmarkBooking).
package main

//go:generate go run ./generate
