// Package sink takes answers that are too large to be kept: for tests of what is
// written, and in which pieces.
package sink
