//go:build !race

package difftest

const plainSeeds = 150
