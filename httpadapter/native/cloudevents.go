package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/usage"
)

// The headers that make a request an event in binary mode. Any of them does: a
// forgotten one has to be told, and not the data read as a record.
var eventHeaders = [...]string{"Ce-Specversion", "Ce-Id", "Ce-Source", "Ce-Type"}

func isEvent(header http.Header) bool {
	for _, name := range eventHeaders {
		if len(header[name]) > 0 {
			return true
		}
	}
	return false
}

// The attributes that CloudEvents defines, as places in event.core, and the
// member data of the JSON format.
const (
	attrSpecVersion = iota
	attrID
	attrSource
	attrType
	attrTime
	attrSubject
	attrContentType
	attrSchema
	attrData
	attrDataBase64
	coreCount
)

var coreNames = [coreCount]string{"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"}

func coreAttribute(name []byte) int {
	switch string(name) {
	case "specversion":
		return attrSpecVersion
	case "id":
		return attrID
	case "source":
		return attrSource
	case "type":
		return attrType
	case "time":
		return attrTime
	case "subject":
		return attrSubject
	case "datacontenttype":
		return attrContentType
	case "dataschema":
		return attrSchema
	case "data":
		return attrData
	case "data_base64":
		return attrDataBase64
	}
	return -1
}

func isCoreAttribute(name string) bool { return coreAttribute([]byte(name)) >= 0 }

// isAttributeName reports whether CloudEvents allows the name.
func isAttributeName[T string | []byte](name T) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(name) > 0
}

// event is an event as it stands in the text: JSON values, nil for what is not
// given or null.
type event struct {
	core       [coreCount][]byte
	given      [coreCount]bool // null ones too
	tenant     []byte
	extensions []extension
	faults     []usage.Violation

	tenantGiven bool
}

type extension struct {
	name  string
	value []byte // a string of JSON
}

// maxEventFaults is how many faults a record keeps.
const maxEventFaults = 16

func (e *event) fault(field, code, message string) {
	f := usage.Violation{Code: code, Field: field, Message: message}
	switch {
	case len(e.faults) < maxEventFaults:
		e.faults = append(e.faults, f)
	case field == "record" || field == "tenant" || field == "source" || field == "id":
		// It decides whether the identity is to be trusted.
		e.faults[maxEventFaults-1] = f
	}
}

// The members of data.
const (
	dataTenant = iota
	dataMeter
	dataStart
	dataEnd
	dataValues
	dataQuantity
	dataDimensions
	dataCorrects
	dataCount
)

var dataNames = [dataCount]string{"tenant", "meter", "start", "end", "values", "quantity", "dimensions", "corrects"}

// eventReader rewrites events as the JSON form of records, so that whatever is
// in them means the same as in a record, and has it decoded all at once.
type eventReader struct {
	*decoding
	text   []byte
	faults []eventFault
	n      int
	seen   map[string]bool // names of the present event that are no core attributes
}

type eventFault struct {
	index int
	usage.Violation
}

// structured reads one event in the JSON format.
func (d *decoding) structured(body []byte) ([]usage.Record, error) {
	if err := d.validJSON(body); err != nil {
		return nil, err
	}
	s := scanner{data: body}
	if s.space() != '{' {
		return nil, d.badBody(s.pos, "an event, which is an object, is expected; several stand in an array of the type "+typeEventBatch)
	}
	r := d.events(len(body))
	text, depth := s.value()
	r.event(text, depth)
	return r.finish()
}

// batch reads an array of events.
func (d *decoding) batch(body []byte) ([]usage.Record, error) {
	if err := d.validJSON(body); err != nil {
		return nil, err
	}
	s := scanner{data: body}
	if s.space() != '[' {
		return nil, d.badBody(s.pos, "an array of events is expected; a single one has the type "+typeEvent)
	}
	s.pos++
	r := d.events(len(body))
	for s.next(']') {
		if r.n == d.records {
			return nil, d.tooMany(s.pos, 0)
		}
		text, depth := s.value()
		r.event(text, depth)
	}
	return r.finish()
}

// binary reads an event whose attributes are headers and whose data is the body.
func (d *decoding) binary(header http.Header, body []byte) ([]usage.Record, error) {
	var e event
	s := scanner{data: body}
	depth := 1
	if s.space() != 0 {
		if err := d.validJSON(body); err != nil {
			return nil, err
		}
		text, levels := s.value()
		e.given[attrData] = true
		if string(text) != "null" {
			e.core[attrData] = text
		}
		depth += levels
	}
	r := d.events(len(body))
	r.headers(&e, header)
	r.convert(&e, len(e.core[attrData]), depth)
	return r.finish()
}

// validJSON refuses a text that is no JSON.
func (d *decoding) validJSON(body []byte) error {
	if json.Valid(body) {
		return nil
	}
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	var at *json.SyntaxError
	out := &DecodeError{Status: http.StatusBadRequest, Offset: -1, Message: "the text is no JSON", cause: err}
	if errors.As(err, &at) {
		out.Offset = max(0, int(at.Offset)-1) + d.cut
		out.Message += ": " + at.Error()
	}
	return out
}

func (d *decoding) badBody(offset int, message string) error {
	return &DecodeError{Status: http.StatusBadRequest, Offset: offset + d.cut, Message: message}
}

func (d *decoding) events(size int) *eventReader {
	r := &eventReader{decoding: d, seen: map[string]bool{}}
	r.text = append(make([]byte, 0, size+64), '[')
	return r
}

// finish decodes the records and puts in what was found wrong before.
func (r *eventReader) finish() ([]usage.Record, error) {
	r.text = append(r.text, ']')
	records, err := usage.DecodeRecords(r.text, &usage.DecodeLimits{Bytes: len(r.text), Records: r.decoding.records})
	if err != nil {
		return nil, fmt.Errorf("native: decode: events as JSON: %w", err)
	}
	for _, f := range r.faults {
		records[f.index] = records[f.index].WithFault(f.Field, f.Code, f.Message)
	}
	return records, nil
}

// event takes in an event in the JSON format.
func (r *eventReader) event(text []byte, depth int) {
	if text[0] != '{' {
		// As in a list of records, it is one that is no object.
		r.separate()
		r.text = append(r.text, text...)
		r.n++
		return
	}
	var e event
	clear(r.seen)
	s := scanner{data: text, pos: 1}
	for s.next('}') {
		key := s.key()
		value, _ := s.value()
		r.member(&e, key, value)
	}
	r.convert(&e, len(text), depth)
}

// member takes in an attribute or the data of an event.
func (r *eventReader) member(e *event, key, value []byte) {
	name := key[1 : len(key)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name = []byte(unquote(key))
	}
	null := value[0] == 'n'
	if core := coreAttribute(name); core >= 0 {
		switch {
		case e.given[core]:
			e.fault(recordField(core), usage.CodeDuplicate, "the attribute "+coreNames[core]+" is given twice")
		case !null:
			e.core[core] = value
		}
		e.given[core] = true
		return
	}
	isTenant := string(name) == r.tenant
	field := "tenant"
	if !isTenant {
		field = short(string(name))
	}
	switch {
	case !isAttributeName(name):
		e.fault(field, usage.CodeUnknownKey, "is no attribute of an event, whose names are of a-z and 0-9")
		return
	case isTenant && e.tenantGiven || !isTenant && r.seen[string(name)]:
		e.fault(field, usage.CodeDuplicate, "the attribute "+short(string(name))+" is given twice")
		return
	case isTenant:
		e.tenantGiven = true
	default:
		r.seen[string(name)] = true
	}
	if null {
		return
	}
	value, code, message := attributeText(value)
	switch {
	case code != "":
		e.fault(field, code, message)
	case isTenant:
		e.tenant = value
	case r.extensions:
		e.extensions = append(e.extensions, extension{string(name), value})
	}
}

// recordField is the field of the record that a core attribute is read into.
func recordField(core int) string {
	switch core {
	case attrType:
		return "meter"
	case attrTime:
		return "start"
	case attrSubject:
		return "dimensions.subject"
	}
	return coreNames[core]
}

// attributeText returns the value of an attribute as a string of JSON: booleans
// and integers have a canonical text.
func attributeText(value []byte) (text []byte, code, message string) {
	switch c := value[0]; {
	case c == '"':
		return value, "", ""
	case c == 't' || c == 'f':
		return append(append([]byte{'"'}, value...), '"'), "", ""
	case c == '-' || c-'0' <= 9:
		n, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil {
			return nil, usage.CodeType, "is the number " + short(string(value)) + ", attributes are strings, booleans and integers of 32 bits"
		}
		return append(strconv.AppendInt([]byte{'"'}, n, 10), '"'), "", ""
	case c == '{':
		return nil, usage.CodeType, "is an object, attributes are strings, booleans and integers of 32 bits"
	}
	return nil, usage.CodeType, "is an array, attributes are strings, booleans and integers of 32 bits"
}

// headers takes in the attributes of an event in binary mode.
func (r *eventReader) headers(e *event, header http.Header) {
	const prefix = "Ce-"
	var names []string
	for name := range header {
		if strings.HasPrefix(name, prefix) && len(header[name]) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, h := range names {
		name := strings.ToLower(h[len(prefix):])
		field := name
		if core := coreAttribute([]byte(name)); core >= 0 {
			field = recordField(core)
		} else if name == r.tenant {
			field = "tenant"
		}
		field = short(field)
		switch name {
		case "datacontenttype", "data":
			e.fault(field, CodeUnsupported, "is no header: the content type of the request is the one of the data")
			continue
		}
		if len(header[h]) > 1 {
			e.fault(field, usage.CodeDuplicate, "the header ce-"+name+" is given twice")
		}
		text, code, message := headerText(header[h][0])
		if code != "" {
			e.fault(field, code, "the header ce-"+short(name)+" "+message)
			continue
		}
		r.member(e, appendText(nil, name), appendText(nil, text))
	}
}

// headerText undoes the quotes and percent signs of an attribute in a header.
func headerText(v string) (text, code, message string) {
	if strings.HasPrefix(v, `"`) {
		var b strings.Builder
		i := 1
		for ; i < len(v) && v[i] != '"'; i++ {
			if v[i] == '\\' {
				if i++; i == len(v) {
					break
				}
			}
			b.WriteByte(v[i])
		}
		if i != len(v)-1 {
			return "", usage.CodeSyntax, "has a quote that is not closed at its end"
		}
		v = b.String()
	} else if strings.Contains(v, `"`) {
		return "", usage.CodeSyntax, "has a quote inside, write it as %22"
	}
	if i := strings.IndexByte(v, '%'); i >= 0 {
		b := []byte(v[:i])
		for ; i < len(v); i++ {
			if v[i] != '%' {
				b = append(b, v[i])
				continue
			}
			if i+2 >= len(v) {
				return "", usage.CodeSyntax, "has a percent sign without two hexadecimal digits, write the sign itself as %25"
			}
			n, err := strconv.ParseUint(v[i+1:i+3], 16, 8)
			if err != nil {
				return "", usage.CodeSyntax, "has a percent sign without two hexadecimal digits, write the sign itself as %25"
			}
			b = append(b, byte(n))
			i += 2
		}
		v = string(b)
	}
	if !utf8.ValidString(v) {
		return "", usage.CodeCharacters, "is not valid UTF-8"
	}
	return v, "", ""
}

func (r *eventReader) separate() {
	if len(r.text) > 1 {
		r.text = append(r.text, ',')
	}
}

// put writes a member of the record.
func (r *eventReader) put(name string, value []byte) {
	if value == nil {
		return
	}
	if r.text[len(r.text)-1] != '{' {
		r.text = append(r.text, ',')
	}
	r.text = append(append(append(r.text, '"'), name...), '"', ':')
	r.text = append(r.text, value...)
}

// convert writes the record of an event.
func (r *eventReader) convert(e *event, length, depth int) {
	if length > r.recordBytes {
		e.fault("record", usage.CodeTooLong, fmt.Sprintf("has %d bytes, at most %d are read", length, r.recordBytes))
	}
	if depth--; r.tooDeep(depth) {
		e.fault("record", usage.CodeSyntax, fmt.Sprintf("nests %d levels deep without its envelope, at most %d are allowed", depth, r.depth))
	}
	data := r.data(e)
	void := isVoid(data[dataCorrects])
	r.check(e, void || data[dataMeter] != nil, void || data[dataStart] != nil)

	r.separate()
	r.text = append(r.text, '{')
	r.put("id", e.core[attrID])
	r.put("source", e.core[attrSource])
	r.put("tenant", r.tenantOf(e, data[dataTenant]))
	meter, start := data[dataMeter], data[dataStart]
	if !void {
		if meter == nil {
			meter = e.core[attrType]
		}
		if start == nil {
			start = e.core[attrTime]
		}
		if meter == nil {
			e.fault("meter", usage.CodeRequired, "is required: the event has neither the attribute type nor data.meter")
		}
		if start == nil {
			e.fault("start", usage.CodeRequired, "is required: the event has neither the attribute time nor data.start")
		}
	}
	r.put("meter", meter)
	r.put("start", start)
	r.put("end", data[dataEnd])
	r.put("values", data[dataValues])
	r.put("quantity", data[dataQuantity])
	r.dimensions(e, data[dataDimensions], void)
	r.put("corrects", data[dataCorrects])
	r.text = append(r.text, '}')
	for _, f := range e.faults {
		r.faults = append(r.faults, eventFault{r.n, f})
	}
	r.n++
}

// check holds the attributes that are not read into the record against the
// specification. The decoder of records does it with the others.
func (r *eventReader) check(e *event, ownMeter, ownStart bool) {
	switch v := e.core[attrSpecVersion]; {
	case v == nil:
		e.fault("specversion", usage.CodeRequired, `is required, "1.0" is allowed`)
	case v[0] != '"':
		e.fault("specversion", usage.CodeType, `is no string, "1.0" is allowed`)
	case !nameIs(v, "1.0"):
		e.fault("specversion", CodeUnsupported, "is "+quoted(unquote(v))+`, "1.0" is allowed`)
	}
	if ownMeter {
		// The record may do without a type, the event may not.
		if e.core[attrType] == nil {
			e.fault("type", usage.CodeRequired, "is required of an event")
		}
		e.text(attrType)
	}
	if ownStart {
		e.text(attrTime)
	}
	e.text(attrSubject)
	e.text(attrSchema)
	e.text(attrContentType)
	if v := e.core[attrContentType]; v != nil {
		text := unquote(v)
		media, params, err := mime.ParseMediaType(text)
		charset, has := params["charset"]
		if err != nil || !isJSON(media) || has && !isUTF8(charset) {
			e.fault("datacontenttype", CodeUnsupported, "is "+quoted(text)+", data is read as JSON in UTF-8")
		}
	}
	if e.core[attrDataBase64] != nil {
		e.fault("data_base64", CodeUnsupported, "is not read, data is JSON")
	}
}

// text sees that an attribute, if it is given, is a string and not empty.
func (e *event) text(core int) {
	switch v := e.core[core]; {
	case v == nil:
		return
	case v[0] != '"':
		e.fault(coreNames[core], usage.CodeType, "the attribute is no string")
	case len(v) == 2:
		e.fault(coreNames[core], usage.CodeSyntax, "the attribute is empty, leave it out")
	default:
		return
	}
	e.core[core] = nil
}

// data returns the members of the data.
func (r *eventReader) data(e *event) (out [dataCount][]byte) {
	data := e.core[attrData]
	if data == nil {
		return out
	}
	if data[0] != '{' {
		e.fault("data", usage.CodeType, "is no object")
		return out
	}
	var given [dataCount]bool
	s := scanner{data: data, pos: 1}
	for s.next('}') {
		key := s.key()
		value, _ := s.value()
		i := slices.IndexFunc(dataNames[:], func(n string) bool { return nameIs(key, n) })
		switch {
		case i < 0:
			e.fault("data."+short(unquote(key)), usage.CodeUnknownKey, "is no key of data, allowed are "+strings.Join(dataNames[:], ", "))
		case given[i]:
			e.fault("data."+dataNames[i], usage.CodeDuplicate, "the key is given twice")
		default:
			given[i] = true
			if value[0] != 'n' {
				out[i] = value
			}
		}
	}
	return out
}

// isVoid reports whether a correction is a void.
func isVoid(corrects []byte) bool {
	if corrects == nil || corrects[0] != '{' {
		return false
	}
	s := scanner{data: corrects, pos: 1}
	for s.next('}') {
		kind := nameIs(s.key(), "kind")
		if value, _ := s.value(); kind {
			return value[0] == '"' && nameIs(value, "void")
		}
	}
	return false
}

// tenantOf chooses the tenant of an event.
func (r *eventReader) tenantOf(e *event, data []byte) []byte {
	attribute := e.tenant
	if r.tenant == "subject" {
		attribute = e.core[attrSubject]
	}
	switch {
	case attribute == nil && data == nil:
		if slices.ContainsFunc(e.faults, func(f usage.Violation) bool { return f.Field == "tenant" }) {
			break // it is there, and cannot be read
		}
		e.fault("tenant", usage.CodeRequired, "is required: the event has neither the attribute "+r.tenant+" nor data.tenant")
	case attribute == nil:
		return data
	case data != nil && (data[0] != '"' || unquote(data) != unquote(attribute)):
		e.fault("tenant", usage.CodeDuplicate, "the attribute "+r.tenant+" and data.tenant differ")
	}
	return attribute
}

// dimensions writes the dimensions of an event: those of its data, and the
// attributes that are ones.
func (r *eventReader) dimensions(e *event, data []byte, void bool) {
	own := e.extensions
	if e.core[attrSubject] != nil && r.tenant != "subject" {
		own = append(own, extension{"subject", e.core[attrSubject]})
	}
	if void || len(own) == 0 || data != nil && data[0] != '{' {
		r.put("dimensions", data)
		return
	}
	r.put("dimensions", []byte{'{'})
	for _, x := range own {
		r.put(x.name, x.value)
	}
	if data == nil {
		r.text = append(r.text, '}')
		return
	}
	if s := (scanner{data: data, pos: 1}); s.space() != '}' {
		r.text = append(r.text, ',')
	}
	r.text = append(r.text, data[1:]...)
}

// short cuts a name from outside to what fits the field of a violation.
func short(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "")
}
