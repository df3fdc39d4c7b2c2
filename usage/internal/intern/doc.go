// Package intern remembers the numbers that a database has given to names, for
// stores that keep numbers in their rows: [Cache] is bounded, so that a book in
// which every record is a series of its own does not fill the memory.
package intern
