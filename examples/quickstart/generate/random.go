package main

import "math/rand/v2"

// random draws the numbers of the sample. It uses nothing but the 64-bit
// outputs of PCG, which are specified, so that the sample cannot change with
// the Go release as it could through the derived methods of rand.Rand.
type random struct{ pcg *rand.PCG }

func newRandom(seed uint64) random { return random{rand.NewPCG(seed, 0x9e3779b97f4a7c15)} }

// below returns a number in [0, n). The bias of the remainder is of no
// consequence here.
func (r random) below(n uint64) uint64 { return r.pcg.Uint64() % n }

// chance is true in percent of all cases.
func (r random) chance(percent uint64) bool { return r.below(100) < percent }

// text returns n letters and digits of the alphabet.
func (r random) text(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.below(uint64(len(alphabet)))]
	}
	return string(b)
}

func pick[T any](r random, from []T) T { return from[r.below(uint64(len(from)))] }

const (
	hexDigits    = "0123456789abcdef"
	upperAndNine = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
)
