// Package sqlfilter writes checked conditions and orders of package filter as SQL:
// what a database can decide exactly becomes the text of a WHERE with arguments,
// and what it cannot stays a condition for Go.
//
// Three nouns: Columns say which column holds a field and how; a Dialect is what
// must be known of a database; the residual is the part of a condition that stays
// in Go.
//
//	w, err := sqlfilter.New(sqlfilter.PostgreSQL(), sqlfilter.Columns{
//		"meter":    {SQL: sqlfilter.Ident("meter"), Kind: sqlfilter.KindText, NotNull: true},
//		"quantity": {SQL: sqlfilter.Ident("quantity"), Kind: sqlfilter.KindNumeric},
//	})
//	where := w.Where(checked, 1) // the statement has $1 already
//	rows, err := db.QueryContext(ctx, `SELECT ... WHERE tenant = $1 AND `+where.SQL,
//		append([]any{tenant}, where.Args...)...)
//	if where.Residual != nil { // match the rows that come back in Go
//		program := where.Residual.Compile()
//	}
//
// The rows for which SQL is true and which the residual matches are those that the
// whole condition matches, nulls included; the order that an exact Order gives is
// that of filter.Compare. A nested module, difftest, holds this against SQLite and
// PostgreSQL.
//
// # What is pushed
//
// A condition is divided at the and of its top. Each operand is pushed when all of
// it can be, and stays in Go otherwise. The examples are about the fields text, code
// (declared ASCII), qty (numeric(20,6) in PostgreSQL, an integer of scale 2 in
// SQLite), n (an integer), ts, ok, tags (a collection) and note (an opaque column),
// and the second ones of each, text2 to ok2, which are held in the same way. A test
// reads this table.
//
//	operation             example                                           SQLite    PostgreSQL
//	eq ne                 qty eq 1.5                                        pushed    pushed
//	gt ge lt le           ts ge 2018-01-01T00:00:00.0000001Z                pushed    pushed
//	eq ne, two fields     text ne text2                                     pushed    pushed
//	gt to le, two fields  qty ge qty2                                       pushed    pushed
//	of two scales         qty gt n                                          residual  pushed
//	of two conditions     (n gt 1) eq (ok and ok2)                          pushed    pushed
//	beyond 64 bits        n lt 12345678901234567890.5                       pushed    pushed
//	in                    code in ('a','b',null)                            pushed    pushed
//	in a collection       code in (tags)                                    residual  residual
//	and                   ok and (n eq 1 or ok2)                            pushed    pushed
//	or                    ok or n eq 1                                      pushed    pushed
//	not                   not (qty gt 1 or ok)                              pushed    pushed
//	null                  text eq null                                      pushed    pushed
//	null, opaque          note ne null                                      pushed    pushed
//	isdefined             isdefined(note)                                   pushed    pushed
//	eq, opaque            note eq 1                                         residual  residual
//	contains              contains(text,'50%')                              pushed    pushed
//	startswith            startswith(text,text2)                            pushed    pushed
//	endswith              endswith(text,'_')                                pushed    pushed
//	length, ASCII         length(code) gt 3                                 pushed    pushed
//	length                length(text) gt 3                                 residual  residual
//	tolower, ASCII        tolower(code) eq 'a'                              pushed    pushed
//	tolower               tolower(text) eq 'a'                              residual  residual
//	toupper, ASCII        contains(toupper(code),'A')                       pushed    pushed
//	toupper               toupper(text) eq 'A'                              residual  residual
//	matchesPattern        matchesPattern(text,'^a')                         residual  residual
//	indexof               indexof(text,'a') eq 0                            residual  residual
//	substring             substring(text,1) eq 'a'                          residual  residual
//	trim                  trim(text) eq 'a'                                 residual  residual
//	concat                concat(text,'a') eq 'ba'                          residual  residual
//	add                   qty add n gt 10.5                                 residual  pushed
//	sub                   qty sub 1 gt qty2                                 residual  pushed
//	mul                   qty mul qty2 mul -2 le 10                         residual  pushed
//	minus                 -qty gt 3                                         residual  pushed
//	of an integer         n add 1 gt 3                                      residual  pushed
//	beyond 100 digits     qty mul qty mul qty mul qty mul qty mul qty eq 1  residual  residual
//	div                   n div 2 eq 1                                      residual  residual
//	divby                 qty divby 2 eq 1                                  residual  residual
//	mod                   n mod 2 eq 1                                      residual  residual
//	round                 round(qty) eq 1                                   residual  residual
//	floor                 floor(qty) eq 1                                   residual  residual
//	ceiling               ceiling(qty) eq 1                                 residual  residual
//	parts of time         year(ts) eq 2018                                  residual  residual
//	now                   ts lt now()                                       residual  residual
//	time and duration     ts add duration'PT1H' gt ts2                      residual  residual
//	cast                  cast(n,Edm.String) eq '1'                         residual  residual
//	case                  case(ok:1,true:2) eq 1                            residual  residual
//	any                   tags/any(t:t eq 'a')                              residual  residual
//	all                   tags/all(t:t eq 'a')                              residual  residual
//	$count                tags/$count gt 1                                  residual  residual
//
// The same holds for the keys of an order. What is constant was computed by
// filter.Check before it comes here, and now() is constant after Checked.At.
//
// # Null
//
// A comparison is never null in the language and may be in SQL. Where that makes a
// difference, behind not, beside another condition and in an order, it is wrapped:
// COALESCE(x > ?, FALSE). ne is wrapped everywhere, COALESCE(x <> ?, TRUE), or
// written as IS DISTINCT FROM. Elsewhere null and false are one, and x > ? stays
// bare for an index.
//
// # Arguments
//
// No text of a request enters the SQL: each string, number and time is an argument.
// An operand of and whose arguments would exceed the limit of the database (32,766
// in SQLite, 65,535 in PostgreSQL, those that come before counted), or that would
// nest deeper than the dialect's MaxDepth, stays in Go.
//
// # Caveats
//
// A row for which evaluation fails, of a division by zero say, fails the residual
// only if the database lets it pass: what was pushed is decided first, whatever
// stood first in the text.
//
// Databases must keep text as UTF-8, without NUL. Strings that are no UTF-8 or hold
// NUL are compared in Go. In PostgreSQL a bare name in ORDER BY may mean an output
// column: write the name of the table into Column.SQL where the two differ.
// A text is sorted and compared with COLLATE "C" in PostgreSQL, so an index serves
// it when its column has that collation.
//
// # Performance
//
// The time to write a condition grows with its length; the two comparisons of
// BenchmarkWhere take some 3 microseconds and 27 allocations (Intel Xeon of two busy
// cores, go1.26, November 2026).
package sqlfilter
