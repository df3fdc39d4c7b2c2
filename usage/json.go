package usage

import (
	"fmt"
	"slices"
)

// Codes of violations that only decoders find.
const (
	CodeType       = "type"        // a JSON value of a kind that the field does not take
	CodeUnknownKey = "unknown_key" // a key that records do not have
)

// What a decoder reads unless told otherwise. A batch of 10,000 records is what
// a Book takes by default, and 16 MiB give each of them 1.6 KiB.
const (
	defaultDecodeBytes   = 16 << 20
	defaultDecodeRecords = 10_000
)

// DecodeLimits bound what [DecodeRecords] reads. The zero value, and nil, mean
// the defaults. Nesting (32 levels within a field) and the text of a number
// (256 bytes) are bounded too, for each record on its own.
type DecodeLimits struct {
	// Bytes is the highest length of the text. Defaults to 16 MiB.
	Bytes int
	// Records is the highest number of records. Defaults to 10,000.
	Records int
}

// DecodeError tells why a text could not be read as records at all: it is no
// JSON, its overall shape is another one, or it is above a limit. No record of
// it was read. errors.Is finds ErrInvalid in it, and ErrTooLarge when it is
// about a limit.
type DecodeError struct {
	// Offset is the byte of the text, from 0, where the fault was found.
	Offset int
	// Index is the record that was being read, from 0; -1 outside of records.
	Index int
	// Field is the field of the record that was being read, as in a Violation;
	// empty where it was none.
	Field string
	// Message says what is wrong and what is allowed.
	Message string

	tooLarge bool
}

// Error names the record, the field, the byte and the fault.
func (e *DecodeError) Error() string {
	where := ""
	if e.Index >= 0 {
		where = fmt.Sprintf(" record %d:", e.Index)
	}
	if e.Field != "" {
		where += " " + e.Field + ":"
	}
	return fmt.Sprintf("usage: decode:%s byte %d: %s", where, e.Offset, e.Message)
}

// Is lets errors.Is find ErrInvalid, and ErrTooLarge when a limit was passed.
func (e *DecodeError) Is(target error) bool {
	return target == ErrInvalid || e.tooLarge && target == ErrTooLarge
}

// DecodeRecords reads the JSON form of a batch: an array of records, or an
// object with that array as its only member "records". The form of a record is
//
//	{"id":"7","source":"gateway","tenant":"acme","meter":"requests",
//	 "start":"2026-03-01T00:00:00Z","end":"2026-03-01T01:00:00Z",
//	 "values":{"quantity":"1.5"},"dimensions":{"region":"eu"},
//	 "corrects":{"kind":"replace","source":"gateway","id":"6"}}
//
// with its keys in any order, where
//
//   - null is the same as not giving the key, at every place;
//   - a value is a JSON number or the same number as a string, read exactly; and
//     "quantity":"1.5" beside the other keys is short for that value;
//   - start and end are instants of RFC 3339, with any offset and any number of
//     fraction digits; an empty text is none;
//   - a dimension is a string, or an object or array, which is kept as its
//     canonical text ([CanonicalJSON]). Numbers and booleans are refused: 1, 1.0
//     and 1e0 would be three groups, so the producer has to say which text it
//     means;
//   - kind is "void" or "replace".
//
// A field that cannot be read (a bad number or instant, a value of another
// type, a key that is unknown or given twice) spoils its own record only: the
// record comes back with the fault in it, and Append refuses just that one,
// with a violation for each fault; see [Record.WithFault]. Only a text that is
// no JSON, has another overall shape or is above a limit is an error, a
// [*DecodeError]. A string with half of a surrogate pair is a fault, never
// replaced by another character: two ids must not become one.
//
// The text is neither kept nor changed. Records of one batch share memory: one
// that is kept for long may keep some kilobytes of its siblings' texts alive.
func DecodeRecords(data []byte, limits *DecodeLimits) ([]Record, error) {
	most := DecodeLimits{Bytes: defaultDecodeBytes, Records: defaultDecodeRecords}
	if limits != nil {
		if limits.Bytes < 0 || limits.Records < 0 {
			return nil, fmt.Errorf("usage: decode: %w limits: %d bytes and %d records, at least 0 is allowed", ErrInvalid, limits.Bytes, limits.Records)
		}
		if limits.Bytes > 0 {
			most.Bytes = limits.Bytes
		}
		if limits.Records > 0 {
			most.Records = limits.Records
		}
	}
	d := newDecoder(data, false)
	if err := d.size(most.Bytes); err != nil {
		return nil, err
	}
	out, err := d.batch(most.Records)
	if err != nil {
		return nil, d.placed(err)
	}
	return out, nil
}

// DecodeRecord reads the JSON form of a single record, as [DecodeRecords] does:
// a line of NDJSON, say. The error, a [*DecodeError], means that the text is no
// JSON object or is longer than 16 MiB; whatever else is wrong is a fault in
// the record, which Append refuses.
func DecodeRecord(data []byte) (Record, error) {
	var r Record
	if err := decodeOne(data, &r); err != nil {
		return Record{}, err
	}
	return r, nil
}

func decodeOne(data []byte, r *Record) error {
	d := newDecoder(data, true)
	if err := d.size(defaultDecodeBytes); err != nil {
		return err
	}
	if d.Peek() != '{' {
		return d.placed(d.Unexpected("a record, which is an object"))
	}
	err := d.record(r)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return d.placed(err)
	}
	return nil
}

// UnmarshalJSON reads the form that [DecodeRecords] describes, and replaces the
// whole record. Like there, a field that cannot be read is no error but a fault
// in the record, so that one bad record of a list does not stop the list; Append
// refuses it. A JSON null changes nothing.
func (r *Record) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var own Record
	if err := decodeOne(data, &own); err != nil {
		return err
	}
	*r = own
	return nil
}

// MarshalJSON writes the form that [DecodeRecords] reads: compact, its keys in
// the order shown there, numbers as strings with every digit, instants in UTC,
// dimensions as strings, and nothing for what is not set. Decoding it gives an
// equal record. See [Record.AppendJSON] for the errors.
//
// A struct that embeds a Record, as [Stored] and [Explained] do, inherits this
// method: encoding/json writes its record and leaves its other fields out.
func (r Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil) }

// AppendJSON appends what [Record.MarshalJSON] writes to dst and returns the
// extended slice. It does not escape <, > and &, which encoding/json does with
// what MarshalJSON returns.
//
// A record that could not be read back as it is has no JSON form, and dst comes
// back unchanged with an error that wraps ErrInvalid: one with faults, with
// texts that are not UTF-8, with an instant outside the years 1 to 9999 or with
// an unknown kind of correction. A record that a book has taken is never such.
func (r *Record) AppendJSON(dst []byte) ([]byte, error) {
	if what := r.unwritable(); what != "" {
		return dst, fmt.Errorf("usage: encode: %w: record (id %s): %s", ErrInvalid, quoted(r.ID), what)
	}
	return r.appendJSON(dst), nil
}

// appendJSON is AppendJSON of a record that has a JSON form.
func (r *Record) appendJSON(dst []byte) []byte {
	dst = slices.Grow(dst, 192)
	dst = r.appendMembers(dst)
	dst = r.Dimensions.appendMember(dst)
	return r.Corrects.appendMember(dst)
}

// appendMembers opens the object and appends the members before the dimensions.
func (r *Record) appendMembers(dst []byte) []byte {
	dst = appendJSONText(append(dst, `{"id":`...), r.ID)
	dst = appendJSONText(append(dst, `,"source":`...), r.Source)
	dst = appendJSONText(append(dst, `,"tenant":`...), r.Tenant)
	if r.Meter != "" {
		dst = appendJSONText(append(dst, `,"meter":`...), r.Meter)
	}
	if !r.Start.IsZero() {
		dst = appendJSONInstant(append(dst, `,"start":`...), r.Start)
	}
	if !r.End.IsZero() {
		dst = appendJSONInstant(append(dst, `,"end":`...), r.End)
	}
	for i, v := range r.Values.list {
		dst = append(dst, opening(i, `,"values":{`)...)
		dst = appendJSONText(dst, v.Name)
		dst = append(v.Number.AppendText(append(dst, ':', '"')), '"')
	}
	if r.Values.Len() > 0 {
		dst = append(dst, '}')
	}
	return dst
}

func (d Dimensions) appendMember(dst []byte) []byte {
	for i := range d.list {
		dst = append(dst, opening(i, `,"dimensions":{`)...)
		dst = appendJSONText(dst, d.list[i].Name)
		dst = appendJSONText(append(dst, ':'), d.list[i].Value)
	}
	if len(d.list) > 0 {
		dst = append(dst, '}')
	}
	return dst
}

// appendMember appends the correction, if there is one, and ends the object.
func (c *Correction) appendMember(dst []byte) []byte {
	if c != nil {
		dst = append(dst, `,"corrects":{"kind":"`...)
		dst = append(dst, c.Kind.String()...)
		dst = appendJSONText(append(dst, `","source":`...), c.Source)
		dst = appendJSONText(append(dst, `,"id":`...), c.ID)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// opening is what stands before the i-th member of an object.
func opening(i int, first string) string {
	if i == 0 {
		return first
	}
	return ","
}
