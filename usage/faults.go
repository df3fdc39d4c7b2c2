package usage

import (
	"slices"
	"strings"
)

// maxFaults bounds what is told of one record, so that a record of a million
// unknown keys is not answered with a million violations.
const maxFaults = 16

// WithFault returns the record with a field that could not be read, for
// decoders: Append refuses the record with a violation of this code on this
// field, together with whatever else is wrong with it, and books the others of
// the batch. A fault of tenant, source or id makes the identity unusable. The
// receiver stays as it is; a record keeps its first 16 faults. For a value that
// is no number see [Values.WithFault].
//
// There is no way to take a fault back: what was read beside it is not to be
// trusted to be what the producer meant.
func (r Record) WithFault(field, code, message string) Record {
	r.faults = slices.Clone(r.faults)
	r.addFault(field, code, message)
	return r
}

// addFault is WithFault for a record that nobody else has seen yet.
func (r *Record) addFault(field, code, message string) {
	f := Violation{Code: code, Field: field, Message: message}
	switch {
	case len(r.faults) < maxFaults:
		r.faults = append(r.faults, f)
	case identityField(field):
		// It decides whether the identity may be looked up at all.
		r.faults[maxFaults-1] = f
	}
}

func identityField(field string) bool {
	return field == "record" || field == "tenant" || field == "source" || field == "id"
}

// normalizeFaulty is normalize for a record with faults of a decoder.
func (b *Book) normalizeFaulty(in *Record) Entry {
	clean := *in
	clean.faults = nil
	e := b.normalize(&clean)
	found := e.Violations
	e.Violations = slices.Clone(in.faults)
	for i := range found {
		if !follows(&found[i], in.faults) {
			e.Violations = append(e.Violations, found[i])
		}
	}
	e.Malformed = true
	for i := range in.faults {
		e.Anonymous = e.Anonymous || identityField(in.faults[i].Field)
	}
	return e
}

// follows reports whether a violation only repeats a fault: a field that could
// not be read is not missing as well.
func follows(v *Violation, faults []Violation) bool {
	if v.Code != CodeRequired && v.Code != CodeCorrection {
		return false
	}
	return slices.ContainsFunc(faults, func(f Violation) bool {
		return f.Field == v.Field || f.Field == "record" || strings.HasPrefix(f.Field, v.Field+".")
	})
}
