//go:build race

package filter_test

// raceEnabled: the race detector makes sync.Pool forget at random, so that pooled
// frames are allocated again.
const raceEnabled = true
