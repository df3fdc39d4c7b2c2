// Package usagetest helps host applications to test the code that books usage
// and reads it, against the real book and not against a mock of one.
//
// Three nouns:
//
//   - [NewBook] returns a usage.Book over a store in memory, with a [Clock] that
//     only the test moves;
//   - a [Builder], which [Record] begins, makes records with everything filled
//     in that the test does not care about;
//   - a [Ledger], which [Booked] opens, says what is in the book and fails the
//     test where that is something else.
//
// A test of a service that meters its requests:
//
//	book, clock := usagetest.NewBook(t, nil)
//	service := NewService(book)
//	service.Handle(request)
//	clock.Advance(time.Hour)
//	service.Handle(request)
//	usagetest.Booked(t, book, usage.ForTenant("acme")).Count(2).Total("quantity", "2")
//
// It does not test stores (package storetest does), and it asserts nothing that
// a query could not ask: what it says of the book goes through Book.Query and
// Book.Explain.
//
// # Caveats
//
// The book forgets everything when the test ends. A Builder gives every record
// the same ID unless told otherwise, so two records that differ in nothing but
// their content are a conflict, as they would be in production; see
// [Builder.Repeat] for many at once.
//
// # Performance
//
// A new book costs a few microseconds, so that each test can have its own.
package usagetest
