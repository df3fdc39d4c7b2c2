// Package sqlitestore keeps a book in an SQLite file, without cgo.
package sqlitestore
