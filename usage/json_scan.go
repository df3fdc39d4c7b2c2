package usage

import (
	"errors"
	"fmt"

	"github.com/usagebook/usagebook/usage/internal/jsontext"
)

// decoder reads records from JSON text in a single pass, without reflection and
// without recursion. Its methods come in two kinds: those that return an error
// found that the text is no JSON; what is wrong with one field goes into the
// record as a fault.
type decoder struct {
	jsontext.Scanner

	// Where the decoder is, for errors: the record, its field and the member
	// of that field.
	index         int
	field, member string

	brokenKey bool // the last key has half of a surrogate pair

	// Of the record that is being read, in the order of the text.
	values     []valueSlot
	short      valueSlot // the key "quantity"
	dimensions []dimensionSlot

	// Memory that the records of a batch share. Chunks are small, so that a
	// record that is kept does not keep much else.
	texts          jsontext.Texts
	valueChunk     []Value
	dimensionChunk []Dimension
}

const (
	valuesChunk    = 64
	dimensionChunk = 128
)

// newDecoder returns a decoder of a batch of records, or of a single one.
func newDecoder(data []byte, single bool) decoder {
	d := decoder{Scanner: jsontext.Scanner{Data: data}, texts: jsontext.Texts{Size: len(data), Once: single}}
	if !single {
		d.index = -1
	}
	return d
}

// placed says of an error of the text in which record and field it was found.
func (d *decoder) placed(err error) error {
	var e *jsontext.Error
	if !errors.As(err, &e) {
		return err
	}
	field := d.field
	if d.member != "" {
		field += "." + shortName(d.member)
	}
	return &DecodeError{Offset: e.Offset, Index: d.index, Field: field, Message: e.Message}
}

func (d *decoder) size(most int) error {
	if len(d.Data) > most {
		return &DecodeError{Offset: most, Index: -1, Message: fmt.Sprintf("the text has %d bytes, at most %d are read", len(d.Data), most), tooLarge: true}
	}
	return nil
}

// end sees that nothing but space is left.
func (d *decoder) end() error {
	d.field, d.member = "", ""
	return d.End()
}

// key reads the next key of an object and the colon behind it. The first call
// comes behind the opening brace; done tells that the object is closed. The key
// is good until the next string is read.
func (d *decoder) key(first bool) (key []byte, done bool, err error) {
	key, d.brokenKey, done, err = d.Key(first)
	return key, done, err
}
