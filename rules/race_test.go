//go:build race

package rules_test

// raceEnabled is true under the race detector, where sync.Pool throws away a
// part of what it is given, so that allocations cannot be counted.
const raceEnabled = true
