package native

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/usage"
)

// What [Decode] reads unless told otherwise.
const (
	// A Book takes 10,000 records in a batch by default.
	defaultRecords = 10_000
	// The largest record that a book takes has 270 KiB of text, nearly all of it
	// dimensions. The rest is room for spaces and escapes.
	defaultRecordBytes = 1 << 20
	// The record, its dimensions, and the 32 levels that the book takes in one.
	defaultDepth = 34
)

// The content types that [Decode] reads.
const (
	typeJSON       = "application/json"
	typeNDJSON     = "application/x-ndjson"
	typeCSV        = "text/csv"
	typeEvent      = "application/cloudevents+json"
	typeEventBatch = "application/cloudevents-batch+json"
)

// Accepted returns the content types that [Decode] reads, for documents and for
// the answer to a request of another type. The slice is the caller's own.
func Accepted() []string {
	return []string{typeJSON, typeNDJSON, "application/jsonl", "application/ndjson", typeCSV, typeEvent, typeEventBatch}
}

// CodeUnsupported is the code of a violation that only events have: a version
// of CloudEvents, or a form of their data, that is not read.
const CodeUnsupported = "unsupported"

// DecodeOptions bound what [Decode] reads and say how events are read. nil and
// the zero value work.
type DecodeOptions struct {
	// Records is the highest number of records in a body. Defaults to 10,000.
	Records int
	// RecordBytes is the highest length of the text of one record: an object, a
	// line or a row. A longer record is rejected and does not hold up the
	// others. Defaults to 1 MiB.
	RecordBytes int
	// Depth is how many levels of objects and arrays a record may nest, itself
	// the first of them; the envelope of an event does not count. A deeper
	// record is rejected. Defaults to 34, which is the highest: 32 levels within
	// a dimension.
	Depth int
	// TenantAttribute is the attribute of an event that names the tenant: an
	// extension attribute, or "subject". Defaults to "tenant".
	TenantAttribute string
	// ExtensionDimensions makes a dimension of every extension attribute of an
	// event. Defaults to false: they are passed over.
	ExtensionDimensions bool
}

// DecodeError tells why a body could not be read as records at all. No record
// of it was read. errors.Is finds usage.ErrInvalid in it, and usage.ErrTooLarge
// when it is about a limit.
type DecodeError struct {
	// Status is the HTTP status that fits: 400 for a text that is no JSON, has
	// another overall shape or an unusable CSV header; 413 for too many records;
	// 415 for a content type that is not read.
	Status int
	// Offset is the byte of the body, from 0, where the fault was found; -1
	// where it is at no single one.
	Offset int
	// Line is the line of the body, from 1, for CSV and NDJSON; 0 otherwise.
	Line int
	// Message says what is wrong.
	Message string
	// Allowed is what would have been right, where it is one of a list: content
	// types or columns.
	Allowed []string

	cause error
}

// Error names the place and the fault, and what is allowed.
func (e *DecodeError) Error() string {
	var b strings.Builder
	b.WriteString("native: decode: ")
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, "byte %d: ", e.Offset)
	}
	b.WriteString(e.Message)
	if len(e.Allowed) > 0 {
		b.WriteString("; allowed are ")
		b.WriteString(strings.Join(e.Allowed, ", "))
	}
	return b.String()
}

// Is lets errors.Is find usage.ErrInvalid, and usage.ErrTooLarge when a limit
// was passed.
func (e *DecodeError) Is(target error) bool {
	return target == usage.ErrInvalid || e.Status == http.StatusRequestEntityTooLarge && target == usage.ErrTooLarge
}

// Unwrap returns the error of usage.DecodeRecords or of encoding/json behind
// it, or nil.
func (e *DecodeError) Unwrap() error { return e.cause }

// Decode reads the records of a request's body, which the caller has bounded
// and inflated. The content type says what the body is; header is looked at for
// the ce- headers of an event only, with its keys as net/http writes them, and
// may be nil.
//
//	application/json       an array of records, {"records":[...]}, or one record;
//	                       with ce- headers the data of one event
//	application/x-ndjson   a record per line; application/jsonl and
//	                       application/ndjson are the same
//	text/csv               a header and a record per row
//	application/cloudevents+json        one event
//	application/cloudevents-batch+json  an array of events
//
// A record has the form that [usage.DecodeRecords] describes, in each of them
// to the same effect. Bodies are UTF-8; a charset that says otherwise is of
// another content type. A byte order mark is passed over.
//
// A record that cannot be read, or not in all of its fields, comes back with
// the fault in it, in its place: Book.Append rejects it with a violation and
// books the others. There is always one record for each item of the body. Only
// a body that cannot be read as a list of items at all is an error, a
// [*DecodeError]; options that make no sense are another error that wraps
// usage.ErrInvalid.
//
// # JSON
//
// An object is a list of records if it has the key "records", and one record if
// it has a key of a record; any other is refused.
//
// # NDJSON
//
// Blank lines are passed over, lines may end in CRLF, and the last needs no
// end. A line that is no object is rejected, with its number.
//
// # CSV
//
// The text is RFC 4180: commas, cells in double quotes where need be, a doubled
// quote for a quote. The first line that is not blank names the columns, in any
// order:
//
//	id source tenant meter start end   the keys of a record
//	quantity                           short for values.quantity
//	values.NAME                        a value
//	dimensions.NAME                    a dimension, whose text is taken as it is
//	corrects.kind corrects.source corrects.id
//
// An unknown column and one that is given twice are refused with the whole
// body. An empty cell, in quotes or not, is a field that is not given; so a
// dimension that is there and empty cannot be written in CSV. Nothing is
// trimmed. Blank lines are passed over.
//
// A row with another number of cells than the header, or with a quote out of
// place, is rejected with its line number. If its quotes make it unclear where
// the row ends, it costs its first line alone, and the lines behind that are
// read as rows of their own: what was lost is told line by line, and the rows
// behind the fault are not lost with it.
//
// # CloudEvents
//
// An event is of CloudEvents 1.0: structured (application/cloudevents+json),
// several in a batch (application/cloudevents-batch+json), or binary, with its
// attributes in ce- headers and its data as the body. A request whose content
// type is not of CloudEvents is a binary event if it has one of the headers
// ce-specversion, ce-id, ce-source and ce-type.
//
//	event                                   record
//	id                                      id
//	source                                  source
//	tenant (or TenantAttribute),            tenant; when both are given they must
//	  else data.tenant                        be the same
//	type, unless there is data.meter        meter
//	time, unless there is data.start        start; one of them is required
//	data.end                                end
//	data.values, data.quantity              values
//	data.dimensions                         dimensions
//	subject                                 the dimension "subject"
//	other extension attributes              dimensions, with ExtensionDimensions
//	data.corrects                           corrects
//	specversion                             must be "1.0"
//	datacontenttype                         must be JSON if it is given
//	dataschema                              passed over
//	data_base64                             is not read: the record is rejected
//
// A void, an event with data.corrects.kind "void", takes neither meter nor start
// nor dimensions from its attributes. An attribute that is given twice, has a
// name of other characters than a-z and 0-9 or a value of a type that
// attributes don't have makes the record a rejected one, as an unknown key of
// data does. Violations name the fields of the record.
//
// Decode keeps nothing of the body and does not change it. It takes time and
// memory in proportion to the body's length. It is safe for concurrent use.
func Decode(contentType string, header http.Header, body []byte, o *DecodeOptions) ([]usage.Record, error) {
	d, err := newDecoding(o)
	if err != nil {
		return nil, err
	}
	media, err := mediaType(contentType)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(body, byteOrderMark) {
		body, d.cut = body[len(byteOrderMark):], len(byteOrderMark)
	}
	switch media {
	case typeEvent:
		return d.structured(body)
	case typeEventBatch:
		return d.batch(body)
	}
	if isEvent(header) {
		if !isJSON(media) {
			return nil, &DecodeError{Status: http.StatusUnsupportedMediaType, Offset: -1, Allowed: []string{typeJSON},
				Message: "the ce- headers make the body the data of an event, and data of the type " + quoted(media) + " is not read"}
		}
		return d.binary(header, body)
	}
	switch media {
	case typeJSON:
		return d.json(body)
	case typeNDJSON, "application/jsonl", "application/ndjson":
		return d.lines(body)
	case typeCSV:
		return d.csv(body)
	}
	return nil, unsupported("the content type " + quoted(media) + " is not read")
}

var byteOrderMark = []byte("\ufeff")

// Tenants returns the tenants that a list of records names, each once, in the
// order of first appearance; nil if there is none. It counts those of records
// with faults too, so that a caller can be authorized for what a body names
// before anything else is said of it. A record that names two tenants counts
// with the first, and is rejected.
func Tenants(records []usage.Record) []string {
	var out []string
	var seen map[string]struct{} // once a scan of the list would be slow
	for i := range records {
		t := records[i].Tenant
		if t == "" || i > 0 && t == records[i-1].Tenant {
			continue
		}
		if seen != nil {
			if _, ok := seen[t]; ok {
				continue
			}
			seen[t] = struct{}{}
		} else if slices.Contains(out, t) {
			continue
		}
		out = append(out, t)
		if seen == nil && len(out) == 16 {
			seen = make(map[string]struct{}, 64)
			for _, t := range out {
				seen[t] = struct{}{}
			}
		}
	}
	return out
}

// decoding is a call of Decode: its options, with nothing left open.
type decoding struct {
	records, recordBytes, depth int
	tenant                      string
	extensions                  bool
	cut                         int // bytes that were taken off the front of the body
}

func newDecoding(o *DecodeOptions) (*decoding, error) {
	d := &decoding{records: defaultRecords, recordBytes: defaultRecordBytes, depth: defaultDepth, tenant: "tenant"}
	if o == nil {
		return d, nil
	}
	if o.Records < 0 || o.RecordBytes < 0 || o.Depth < 0 || o.Depth > defaultDepth {
		return nil, fmt.Errorf("native: decode: %w options: %d records, %d bytes a record, depth %d; at least 0 is allowed, and a depth of at most %d",
			usage.ErrInvalid, o.Records, o.RecordBytes, o.Depth, defaultDepth)
	}
	if t := o.TenantAttribute; t != "" && t != "subject" && (!isAttributeName(t) || isCoreAttribute(t)) {
		return nil, fmt.Errorf("native: decode: %w options: the tenant attribute %s; an extension attribute of a-z and 0-9 is allowed, or subject", usage.ErrInvalid, quoted(t))
	}
	set := func(to *int, n int) {
		if n > 0 {
			*to = n
		}
	}
	set(&d.records, o.Records)
	set(&d.recordBytes, o.RecordBytes)
	set(&d.depth, o.Depth)
	if o.TenantAttribute != "" {
		d.tenant = o.TenantAttribute
	}
	d.extensions = o.ExtensionDimensions
	return d, nil
}

func unsupported(message string) error {
	return &DecodeError{Status: http.StatusUnsupportedMediaType, Offset: -1, Message: message, Allowed: Accepted()}
}

// mediaType returns the type of a Content-Type header without its parameters,
// in lower case.
func mediaType(contentType string) (string, error) {
	if contentType == typeJSON {
		return typeJSON, nil
	}
	if contentType == "" {
		return "", unsupported("a content type is required")
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", unsupported("the content type " + quoted(contentType) + " cannot be read: " + strings.TrimPrefix(err.Error(), "mime: "))
	}
	if c, ok := params["charset"]; ok && !isUTF8(c) {
		return "", unsupported("the charset " + quoted(c) + " is not read, bodies are UTF-8")
	}
	if h, ok := params["header"]; ok && media == typeCSV && !strings.EqualFold(h, "present") {
		return "", unsupported("CSV with header=" + quoted(h) + " is not read: the first line names the columns")
	}
	return media, nil
}

// isUTF8 reports whether text in a charset can be read as UTF-8.
func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8") || strings.EqualFold(charset, "us-ascii")
}

func isJSON(media string) bool {
	return media == typeJSON || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}

// json reads application/json. What decides about speed is that a batch goes
// through usage.DecodeRecords once and is not looked at before.
func (d *decoding) json(body []byte) ([]usage.Record, error) {
	if isSingle(body) {
		return d.single(body)
	}
	return d.list(body)
}

// isSingle reports whether a text begins as an object with another first key
// than "records".
func isSingle(body []byte) bool {
	s := scanner{data: body}
	if s.space() != '{' {
		return false
	}
	s.pos++
	s.space()
	return !bytes.HasPrefix(body[s.pos:], []byte(`"records"`))
}

func (d *decoding) list(body []byte) ([]usage.Record, error) {
	records, err := usage.DecodeRecords(body, &usage.DecodeLimits{Bytes: len(body), Records: d.records})
	if err != nil {
		return nil, d.refuse(err)
	}
	if len(body) > d.recordBytes || d.depth < defaultDepth {
		d.measure(body, records)
	}
	return records, nil
}

// measure puts a fault in each record of a list that is too long or too deep.
func (d *decoding) measure(body []byte, records []usage.Record) {
	s := scanner{data: body}
	if s.space() == '{' {
		s.pos++
		s.space()
		s.key()
		s.space()
	}
	s.pos++ // the opening bracket
	for i := range records {
		if !s.next(']') {
			return
		}
		text, depth := s.value()
		d.bound(&records[i], len(text), depth)
	}
}

// bound puts a fault in a record that is too long or too deep.
func (d *decoding) bound(r *usage.Record, length, depth int) {
	if length > d.recordBytes {
		*r = r.WithFault("record", usage.CodeTooLong, fmt.Sprintf("has %d bytes, at most %d are read", length, d.recordBytes))
	}
	if d.tooDeep(depth) {
		*r = r.WithFault("record", usage.CodeSyntax, fmt.Sprintf("nests %d levels deep, at most %d are allowed", depth, d.depth))
	}
}

// tooDeep reports whether a record nests too deep. What nests deeper than the
// book takes is found in its field by usage.DecodeRecords.
func (d *decoding) tooDeep(depth int) bool { return depth > d.depth && d.depth < defaultDepth }

// single reads an object that is one record, and finds out whether it is.
func (d *decoding) single(body []byte) ([]usage.Record, error) {
	r, err := usage.DecodeRecord(body)
	if err != nil {
		return nil, d.refuse(err)
	}
	s := scanner{data: body}
	s.space()
	s.pos++
	known := false
	for s.next('}') {
		switch key := s.key(); {
		case nameIs(key, "records"):
			return d.list(body)
		case isRecordKey(key):
			known = true
		}
		s.value()
	}
	if !known {
		return nil, &DecodeError{Status: http.StatusBadRequest, Offset: -1,
			Message: `an array of records, an object with the key "records" or a record is expected; the object has none of the keys of a record`,
			Allowed: slices.Clone(recordKeys)}
	}
	text := bytes.Trim(body, jsonSpace)
	d.bound(&r, len(text), depthOf(text))
	return []usage.Record{r}, nil
}

var recordKeys = []string{"id", "source", "tenant", "meter", "start", "end", "values", "quantity", "dimensions", "corrects"}

func isRecordKey(key []byte) bool {
	return slices.ContainsFunc(recordKeys, func(k string) bool { return nameIs(key, k) })
}

// refuse turns an error of usage.DecodeRecords into one for a request.
func (d *decoding) refuse(err error) error {
	var e *usage.DecodeError
	if !errors.As(err, &e) {
		return fmt.Errorf("native: %w", err)
	}
	out := &DecodeError{Status: http.StatusBadRequest, Offset: e.Offset + d.cut, Message: e.Message, cause: err}
	if errors.Is(err, usage.ErrTooLarge) {
		out.Status = http.StatusRequestEntityTooLarge
	}
	if e.Field != "" {
		out.Message = e.Field + ": " + out.Message
	}
	if e.Index >= 0 {
		out.Message = fmt.Sprintf("record %d: %s", e.Index, out.Message)
	}
	return out
}

// tooMany is the error for an item behind the highest number of them.
func (d *decoding) tooMany(offset, line int) error {
	return &DecodeError{Status: http.StatusRequestEntityTooLarge, Offset: offset + d.cut, Line: line,
		Message: fmt.Sprintf("more than %d records, which is the limit", d.records)}
}

// quoted returns s in quotes, cut to a length that fits a message.
func quoted(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%.*q...", most, s)
	}
	return fmt.Sprintf("%q", s)
}
