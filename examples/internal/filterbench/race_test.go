//go:build race

package filterbench_test

// raceEnabled: the race detector makes sync.Pool forget at random, so that pooled
// frames are allocated again.
const raceEnabled = true
