// Package usagetest helps the tests of applications that book usage: a book
// over memory with a clock that the test moves, builders for records, and
// assertions on what was booked.
//
// The three things to know are [NewBook], which gives a test a book of its own
// with its [Clock], [Record], which builds a record with a line, and [Booked],
// which says what the book holds:
//
//	book, clock := usagetest.NewBook(t, nil)
//	service := NewService(book, clock.Now)
//	service.Handle(request)
//	usagetest.Booked(t, book, usage.ForTenant("acme")).Total("quantity", "1").Count(1)
//
// It is for tests of hosts. Authors of stores want package storetest.
package usagetest
