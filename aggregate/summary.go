package aggregate

import "github.com/shopspring/decimal"

// A Summary is what a bucket keeps of one value: how many, their sum, the
// least and the greatest. Average follows from count and sum.
//
// The zero value has seen nothing; Min and Max mean something only when Count
// is above zero. Summaries may be copied by value. Merging is associative and
// commutative. A Summary is not safe for concurrent use.
type Summary struct {
	Count    int64
	Sum      Sum
	Min, Max Number
}

// Add takes n in.
func (s *Summary) Add(n Number) {
	if n.tail&tailWide == 0 {
		s.AddFixed(int64(n.w0), uint8(n.tail))
		return
	}
	s.Sum.Add(n)
	if s.Count == 0 {
		s.Min, s.Max = n, n
	} else if n.Cmp(s.Min) < 0 {
		s.Min = n
	} else if n.Cmp(s.Max) > 0 {
		s.Max = n
	}
	s.Count++
}

// AddFixed takes coef × 10^-scale in, without allocation.
func (s *Summary) AddFixed(coef int64, scale uint8) {
	s.Sum.AddFixed(coef, scale)
	s.Count++
	// A value between two of its own scale, the usual case, changes neither.
	if s.Min.tail == uint64(scale) && s.Max.tail == uint64(scale) && s.Count > 1 &&
		coef >= int64(s.Min.w0) && coef <= int64(s.Max.w0) {
		return
	}
	if s.Count == 1 {
		s.Min = Fixed(coef, scale)
		s.Max = s.Min
		return
	}
	s.widen(coef, scale, coef)
}

// AddBlock takes every coefs[i] × 10^-scale in. It is the fastest way for a
// column that is stored at one scale.
func (s *Summary) AddBlock(coefs []int64, scale uint8) {
	if len(coefs) == 0 {
		return
	}
	s.Sum.AddBlock(coefs, scale)
	lo, hi := coefs[0], coefs[0]
	for _, c := range coefs[1:] {
		lo, hi = min(lo, c), max(hi, c)
	}
	if s.Count == 0 {
		s.Min, s.Max = Fixed(lo, scale), Fixed(hi, scale)
	} else {
		s.widen(lo, scale, hi)
	}
	s.Count += int64(len(coefs))
}

// widen extends Min and Max to lo and hi at the given scale.
func (s *Summary) widen(lo int64, scale uint8, hi int64) {
	if s.Min.tail&tailWide == 0 {
		if cmpSmall(lo, scale, int64(s.Min.w0), uint8(s.Min.tail)) < 0 {
			s.Min = Fixed(lo, scale)
		}
	} else if n := Fixed(lo, scale); n.Cmp(s.Min) < 0 {
		s.Min = n
	}
	if s.Max.tail&tailWide == 0 {
		if cmpSmall(hi, scale, int64(s.Max.w0), uint8(s.Max.tail)) > 0 {
			s.Max = Fixed(hi, scale)
		}
	} else if n := Fixed(hi, scale); n.Cmp(s.Max) > 0 {
		s.Max = n
	}
}

// Merge takes in what o has seen. o is unchanged; nil has seen nothing.
func (s *Summary) Merge(o *Summary) {
	if o == nil || o.Count == 0 {
		return
	}
	if s.Count == 0 {
		*s = *o
		return
	}
	if o.Min.less(&s.Min) {
		s.Min = o.Min
	}
	if s.Max.less(&o.Max) {
		s.Max = o.Max
	}
	s.Count += o.Count
	s.Sum.Merge(&o.Sum)
}

// Clone returns an independent copy. Copying a Summary by value does the same.
func (s *Summary) Clone() Summary { return *s }

// Equal reports whether s and o have seen as many values with the same sum,
// least and greatest.
func (s *Summary) Equal(o *Summary) bool {
	if s.Count != o.Count || !s.Sum.Equal(&o.Sum) {
		return false
	}
	return s.Count == 0 || s.Min == o.Min && s.Max == o.Max
}

// Avg returns the average as [Average] does, and false if nothing was seen.
func (s *Summary) Avg(places int32) (decimal.Decimal, bool) {
	if s.Count <= 0 {
		return decimal.Decimal{}, false
	}
	return Average(s.Sum.Decimal(), s.Count, places), true
}

// DefaultPlaces is how many decimal places an average has where nobody chose.
const DefaultPlaces = 18

// MaxPlaces bounds the places of an average.
const MaxPlaces = 1000

// Average returns sum / count, divided once and rounded half away from zero to
// places digits after the point. Negative places round to tens, hundreds and
// so on; places beyond ±[MaxPlaces] count as that bound. A count below one gives 0: the average
// of nothing is the caller's to decide. The sum must be one of a [Sum] or
// [Number], not a decimal with an arbitrary exponent from outside.
func Average(sum decimal.Decimal, count int64, places int32) decimal.Decimal {
	if count < 1 {
		return decimal.Decimal{}
	}
	places = max(-MaxPlaces, min(places, MaxPlaces))
	return sum.DivRound(decimal.NewFromInt(count), places)
}
