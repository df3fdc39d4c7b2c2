package openapitest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	liberrors "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/helpers"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
)

// operation is what an exchange was matched with.
type operation struct {
	name    string // GET /path
	path    string // as documented
	item    *v3.PathItem
	methods []string // of the path
	node    node     // its value is nil where the path has no such method
	spelled string   // the path asked for, its fixed segments as documented
}

// find matches a path and method. It returns nil for a path that the document does not have.
func (d *document) find(method, path string, fold bool) *operation {
	asked := strings.Split(path, "/")
	var best *operation
	var rank string
	paths := d.get(d.root(), "paths")
	for _, documented := range paths.keys() {
		segments := strings.Split(documented, "/")
		if len(segments) != len(asked) {
			continue
		}
		spelled := slices.Clone(asked)
		kinds := make([]byte, len(segments))
		ok := true
		for i, s := range segments {
			given, err := url.PathUnescape(asked[i])
			switch {
			case err != nil:
				ok = false
			case strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}"):
				kinds[i] = 'b'
			case given == s || fold && strings.EqualFold(given, s):
				kinds[i], spelled[i] = 'a', s
			default:
				ok = false
			}
		}
		// The first segment that is fixed in one and a parameter in the other decides.
		if ok && (best == nil || string(kinds) < rank) {
			rank = string(kinds)
			item := d.get(paths, documented)
			best = &operation{
				name:    method + " " + documented,
				path:    documented,
				item:    d.model.Paths.PathItems.GetOrZero(documented),
				node:    d.get(item, strings.ToLower(method)),
				spelled: strings.Join(spelled, "/"),
			}
			for _, key := range item.keys() {
				if key != "parameters" && key != "servers" && key != "summary" && key != "description" {
					best.methods = append(best.methods, strings.ToUpper(key))
				}
			}
		}
	}
	return best
}

// parameters returns the names of the documented parameters of a kind: query, header.
func (d *document) parameters(o *operation, in string) (names []string) {
	for _, list := range []node{d.get(d.root(), "paths", o.path, "parameters"), d.get(o.node, "parameters")} {
		elements, _ := list.value.([]any)
		for i := range elements {
			p := d.get(list, strconv.Itoa(i))
			if d.get(p, "in").value == in {
				name, _ := d.get(p, "name").value.(string)
				names = append(names, name)
			}
		}
	}
	return names
}

// response returns the documented response of a status; its value is nil if there is none.
func (d *document) response(o *operation, status int) node {
	var n node
	for _, key := range []string{strconv.Itoa(status), fmt.Sprintf("%dXX", status/100), "default"} {
		if n = d.get(o.node, "responses", key); n.value != nil {
			break
		}
	}
	return n
}

// judge returns how an exchange breaks the document. The prefix is the path that the adapter was
// mounted under; of the API only its folding counts.
func (d *document) judge(e *golden.Exchange, a *httpadapter.API, prefix string) []string {
	r := e.Request()
	path, below := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	var o *operation
	if below {
		o = d.find(e.Method, path, a.FoldPath)
	}
	switch {
	case o == nil && e.Status == http.StatusNotFound:
		return nil
	case o == nil:
		return []string{fmt.Sprintf("the path %s is not documented, and the answer is %d", r.URL.Path, e.Status)}
	case o.node.value == nil:
		return o.judgeMethod(e)
	}
	faults := d.judgeResponse(e, o)
	if e.Status >= 200 && e.Status < 300 {
		faults = append(faults, d.judgeRequest(e, o, a)...)
	}
	return faults
}

// judgeMethod judges a request with a method that its path does not have.
func (o *operation) judgeMethod(e *golden.Exchange) []string {
	if e.Status != http.StatusMethodNotAllowed {
		return []string{fmt.Sprintf("%s is not documented, and the answer is %d", o.name, e.Status)}
	}
	allowed := strings.FieldsFunc(e.ResponseHeader.Get("Allow"), func(r rune) bool { return r == ',' || r == ' ' })
	slices.Sort(allowed)
	slices.Sort(o.methods)
	if !slices.Equal(allowed, o.methods) {
		return []string{fmt.Sprintf("%s has the methods %q, Allow says %q", o.path, o.methods, allowed)}
	}
	return nil
}

// Headers of any exchange, which no document lists.
var (
	plainRequestHeaders  = []string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Transfer-Encoding", "User-Agent"}
	plainResponseHeaders = []string{"Content-Encoding", "Content-Type", "X-Content-Type-Options"}
)

func (d *document) judgeResponse(e *golden.Exchange, o *operation) (faults []string) {
	documented := d.response(o, e.Status)
	if documented.value == nil {
		return []string{fmt.Sprintf("%s: the status %d is not documented", o.name, e.Status)}
	}
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s, status %d: ", o.name, e.Status)+fmt.Sprintf(format, args...))
	}
	for _, name := range slices.Sorted(maps.Keys(e.ResponseHeader)) {
		if !slices.Contains(plainResponseHeaders, name) {
			d.judgeHeader(documented, name, e.ResponseHeader[name], fault)
		}
	}
	body, err := inflated(e.ResponseHeader, e.ResponseBody)
	content := d.get(documented, "content")
	switch {
	case err != nil:
		fault("%v", err)
		return faults
	case len(body) == 0 && len(content.keys()) > 0:
		fault("the documented body is missing")
		return faults
	case len(body) > 0 && len(content.keys()) == 0:
		fault("documented without a body, and has %d bytes", len(body))
		return faults
	}
	response := e.Response(e.Request())
	response.Header.Del("Content-Encoding")
	response.Body = io.NopCloser(bytes.NewReader(body))
	_, errs := d.validator.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(e.Request(), response, o.item, o.path)
	media := d.get(content, mediaType(e.ResponseHeader))
	faults = append(faults, explain(d.about(errs, media, e.ResponseHeader))...)
	if len(body) > 0 {
		if err := d.judgeBody(media, e.ResponseHeader, body); err != nil {
			fault("%v", err)
		}
	}
	return faults
}

// judgeHeader holds a header of a response to its schema; the validator looks at required ones only.
func (d *document) judgeHeader(response node, name string, values []string, fault func(string, ...any)) {
	var header node
	for _, key := range d.get(response, "headers").keys() {
		if strings.EqualFold(key, name) {
			header = d.get(response, "headers", key)
		}
	}
	if header.value == nil {
		fault("the header %s is not documented", name)
		return
	}
	schema, err := d.schema(header)
	if err != nil || schema == nil {
		return // checkSchemas has said so; or it may be anything
	}
	for _, value := range values {
		// A header is text: what the schema wants as a number is one if it reads as one.
		number, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
		if fails := schema.Validate(value); fails != nil && (err != nil || schema.Validate(number) != nil) {
			fault("the header %s: %v", name, fails)
		}
	}
}

// about leaves out what the validator says of a body that it cannot judge: one whose schema refers
// to itself, and lines of JSON, which it takes for one value.
func (d *document) about(errs []*liberrors.ValidationError, media node, h http.Header) []*liberrors.ValidationError {
	if mediaType(h) != lineType && !d.recursive(media) {
		return errs
	}
	return slices.DeleteFunc(errs, func(e *liberrors.ValidationError) bool {
		body := e.ValidationType == helpers.RequestBodyValidation || e.ValidationType == helpers.ResponseBodyValidation
		return body && e.ValidationSubType == helpers.Schema
	})
}

// judgeBody holds a body to the schema of its media type a second time, with every digit of its
// numbers, and those that the validator cannot judge.
func (d *document) judgeBody(media node, h http.Header, body []byte) error {
	lines := mediaType(h) == lineType
	if t := mediaType(h); t != "application/json" && !strings.HasSuffix(t, "+json") && !lines {
		return nil
	}
	schema, err := d.schema(media)
	if schema == nil || err != nil {
		return err
	}
	if !lines {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
	if schema.Validate(string(body)) == nil {
		return nil
	}
	for i, line := range bytes.Split(body, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}

func (d *document) judgeRequest(e *golden.Exchange, o *operation, a *httpadapter.API) (faults []string) {
	query := e.Request().URL.Query()
	spelled := url.Values{}
	for name, values := range query {
		to, known := name, false
		for _, documented := range d.parameters(o, "query") {
			if name == documented || a.FoldNames && strings.EqualFold(name, documented) {
				to, known = documented, true
			}
		}
		switch {
		case known:
			spelled[to] = append(spelled[to], values...)
		case !strings.HasPrefix(name, "undocumented") && !strings.Contains(e.Title, "ignored"):
			faults = append(faults, fmt.Sprintf("%s: the query parameter %s is not documented", o.name, name))
		}
	}
	for name := range e.Header {
		// The attributes of a CloudEvent are an open set, with a standard of their own.
		if !slices.Contains(plainRequestHeaders, name) && !strings.HasPrefix(name, "Ce-") && !slices.ContainsFunc(d.parameters(o, "header"), func(p string) bool { return strings.EqualFold(p, name) }) {
			faults = append(faults, fmt.Sprintf("%s: the request header %s is not documented", o.name, name))
		}
	}
	slices.Sort(faults)
	body, err := inflated(e.Header, e.Body)
	if err != nil {
		return append(faults, "request: "+err.Error())
	}
	r := e.Request()
	path, err := url.PathUnescape(o.spelled)
	if err != nil {
		return append(faults, err.Error())
	}
	r.URL.Path, r.URL.RawPath = path, o.spelled
	r.URL.RawQuery = spelled.Encode()
	r.RequestURI = r.URL.RequestURI()
	r.Header.Del("Content-Encoding")
	r.Body, r.ContentLength = http.NoBody, 0
	if len(body) > 0 {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	_, errs := d.validator.ValidateHttpRequestSyncWithPathItem(r, o.item, o.path)
	media := d.get(o.node, "requestBody", "content", mediaType(e.Header))
	faults = append(faults, explain(d.about(errs, media, e.Header))...)
	if len(body) > 0 {
		if err := d.judgeBody(media, e.Header, body); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", o.name, err))
		}
	}
	return faults
}

// lineType is the media type of lines of JSON.
const lineType = "application/x-ndjson"

// mediaType returns the content type without its parameters.
func mediaType(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// inflated returns a body without its compression.
func inflated(h http.Header, body []byte) ([]byte, error) {
	if !strings.EqualFold(h.Get("Content-Encoding"), "gzip") {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
