//go:build race

package durabletest

// questions is how many are asked, over all seeds. The race detector slows SQLite
// down tenfold, which is Go here, and one question is asked after the other, so that
// there is no race to find: 2,000 are asked without it.
const questions = 480
