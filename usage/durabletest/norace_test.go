//go:build !race

package durabletest

// questions is how many are asked, over all seeds.
const questions = 2000
