//go:build race

package difftest

// The race detector slows SQLite down, which is Go here, about fivefold.
const plainSeeds = 30
