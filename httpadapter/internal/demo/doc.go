// Package demo is the demonstration that the documented examples speak of: its
// callers and its catalogue. It is for tests alone; examples/server has the same
// as a config file.
package demo
