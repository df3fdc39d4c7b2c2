// Package model is a book of usage that is too slow for anybody and too simple
// to be wrong: a list of records, read from the beginning for every question.
// Package storetest holds every store's answers against it.
//
// A [Book] takes a [Record] by the rules of identity and correction, and
// answers a [Query] with rows. Sums are rational numbers, buckets are found by
// walking the wall clock of a zone step by step, and every page is the whole
// answer cut in two.
//
// It shares nothing with the code that it checks: it imports the standard
// library alone, which a test holds, so that an error in a sum, a calendar or a
// plan cannot be on both sides. It does no validation; what a book refuses is
// tested elsewhere.
package model
