//go:build !race

package filterbench_test

const raceEnabled = false
