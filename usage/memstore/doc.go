// Package memstore keeps a book in memory.
//
// WHAT IT HOLDS IS GONE WHEN THE PROCESS ENDS. Nothing is written to disk, and
// an acknowledged Append is not durable. It is the store to begin with, to test
// with, to cache with, and to answer from in a process that can load its usage
// again; take a durable store where the book is the only copy.
package memstore
