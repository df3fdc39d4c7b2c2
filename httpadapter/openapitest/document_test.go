package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	liberrors "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi/datamodel"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is a served document that has been read.
type document struct {
	raw       any // the JSON, numbers as they are written
	model     *v3.Document
	validator validator.Validator
	schemas   *jsonschema.Compiler
}

const resource = "https://document.invalid/openapi.json"

// readDocument reads a document and returns every fault of it.
func readDocument(text []byte) (*document, []string) {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, []string{"not JSON: " + err.Error()}
	}
	doc, err := libopenapi.NewDocumentWithConfiguration(text, &datamodel.DocumentConfiguration{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, []string{err.Error()}
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		return nil, []string{err.Error()}
	}
	v, errs := validator.NewValidator(doc, config.WithFormatAssertions(), config.WithContentAssertions())
	if len(errs) > 0 {
		return nil, []string{errors.Join(errs...).Error()}
	}
	d := &document{raw: raw, model: &model.Model, validator: v, schemas: jsonschema.NewCompiler()}
	d.schemas.AssertFormat()
	d.schemas.DefaultDraft(jsonschema.Draft2020)
	if err := d.schemas.AddResource(resource, raw); err != nil {
		return nil, []string{err.Error()}
	}
	var faults []string
	if ok, errs := v.ValidateDocument(); !ok {
		faults = append(faults, explain(errs)...)
	}
	return d, append(faults, d.checkSchemas()...)
}

// explain renders what the validator found.
func explain(errs []*liberrors.ValidationError) []string {
	var out []string
	for _, e := range errs {
		text := e.Message
		if e.Reason != "" && e.Reason != e.Message {
			text += ": " + e.Reason
		}
		for _, s := range e.SchemaValidationErrors {
			text += fmt.Sprintf("\n    %s: %s", s.FieldPath, s.Reason)
			if s.OriginalJsonSchemaError != nil && len(s.OriginalJsonSchemaError.Causes) > 0 {
				text += "\n    " + strings.ReplaceAll(s.OriginalJsonSchemaError.Error(), "\n", "\n    ")
			}
		}
		out = append(out, text)
	}
	return out
}

// node is a place in the document.
type node struct {
	at    string // a JSON pointer
	value any
}

func (d *document) root() node { return node{"", d.raw} }

// get goes down from a node, through references. The value is nil where there is nothing.
func (d *document) get(n node, keys ...string) node {
	for _, key := range keys {
		n = d.follow(n)
		n.at += "/" + escapePointer(key)
		switch v := n.value.(type) {
		case map[string]any:
			n.value = v[key]
		case []any:
			n.value = nil
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(v) {
				n.value = v[i]
			}
		default:
			n.value = nil
		}
	}
	return d.follow(n)
}

// follow replaces a reference by what it refers to; one to nothing is nil, which
// ValidateDocument reports.
func (d *document) follow(n node) node {
	for range 16 {
		object, _ := n.value.(map[string]any)
		ref, ok := object["$ref"].(string)
		if !ok {
			return n
		}
		pointer, ok := strings.CutPrefix(ref, "#/")
		if !ok {
			break
		}
		n = d.root()
		for _, key := range strings.Split(pointer, "/") {
			key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
			n.at += "/" + escapePointer(key)
			object, _ := n.value.(map[string]any)
			n.value = object[key]
		}
	}
	return node{n.at, nil}
}

// keys returns the names of an object, sorted.
func (n node) keys() []string {
	object, _ := n.value.(map[string]any)
	return slices.Sorted(maps.Keys(object))
}

// schema compiles the schema of a node, nil where it has none.
func (d *document) schema(n node) (*jsonschema.Schema, error) {
	object, _ := n.value.(map[string]any)
	if _, ok := object["schema"]; !ok {
		return nil, nil
	}
	return d.schemas.Compile(resource + "#" + n.at + "/schema")
}

// recursive says whether the schema of a node refers to itself: the validator cannot judge such a
// one, and says so of every body.
func (d *document) recursive(media node) bool {
	var within func(n node, open []string) bool
	within = func(n node, open []string) bool {
		switch v := n.value.(type) {
		case map[string]any:
			if _, ok := v["$ref"]; ok {
				to := d.follow(n)
				return slices.Contains(open, to.at) || within(to, append(slices.Clip(open), to.at))
			}
			for _, key := range n.keys() {
				if within(node{n.at + "/" + escapePointer(key), v[key]}, open) {
					return true
				}
			}
		case []any:
			for i, e := range v {
				if within(node{fmt.Sprintf("%s/%d", n.at, i), e}, open) {
					return true
				}
			}
		}
		return false
	}
	object, _ := media.value.(map[string]any)
	return within(node{media.at + "/schema", object["schema"]}, nil)
}

// checkSchemas holds every schema of the document to JSON Schema 2020-12, which the schema of
// OpenAPI 3.1 itself leaves open, and every example to its schema.
func (d *document) checkSchemas() (faults []string) {
	d.walk(d.root(), func(n node) {
		schema, err := d.schema(n)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s/schema: %v", n.at, err))
		}
		if schema == nil {
			return
		}
		object := n.value.(map[string]any)
		examples := map[string]any{}
		if example, ok := object["example"]; ok {
			examples["/example"] = example
		}
		for _, name := range d.get(n, "examples").keys() {
			examples["/examples/"+name] = d.get(n, "examples", name, "value").value
		}
		if inline, ok := object["schema"].(map[string]any); ok {
			list, _ := inline["examples"].([]any)
			for i, example := range list {
				examples[fmt.Sprintf("/schema/examples/%d", i)] = example
			}
		}
		for _, at := range slices.Sorted(maps.Keys(examples)) {
			if err := schema.Validate(examples[at]); err != nil {
				faults = append(faults, fmt.Sprintf("%s%s: %v", n.at, at, err))
			}
		}
	})
	named := d.get(d.root(), "components", "schemas")
	for _, name := range named.keys() {
		at := named.at + "/" + escapePointer(name)
		if _, err := d.schemas.Compile(resource + "#" + at); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", at, err))
		}
	}
	return faults
}

// walk visits every object of the document that is not part of a schema or an example.
func (d *document) walk(n node, visit func(node)) {
	switch v := n.value.(type) {
	case map[string]any:
		visit(n)
		for _, key := range n.keys() {
			if key != "schema" && key != "schemas" && !strings.HasPrefix(key, "example") {
				d.walk(node{n.at + "/" + escapePointer(key), v[key]}, visit)
			}
		}
	case []any:
		for i, e := range v {
			d.walk(node{fmt.Sprintf("%s/%d", n.at, i), e}, visit)
		}
	}
}

// escapePointer writes a key for the fragment of a URI.
func escapePointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "%", "%25", "{", "%7B", "}", "%7D", " ", "%20", "#", "%23", "\"", "%22").Replace(key)
}
