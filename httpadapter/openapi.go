package httpadapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// part is an API's part of the document.
type part struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components map[string]map[string]json.RawMessage `json:"components"`
	Tags       []json.RawMessage                     `json:"tags"`
}

// openAPI puts the parts of all APIs together into one OpenAPI 3.1 document.
// Routes and operations have to match one to one.
func (a *Adapter) openAPI() ([]byte, error) {
	type object = map[string]any
	paths := map[string]map[string]json.RawMessage{}
	components := map[string]map[string]json.RawMessage{
		"securitySchemes": {"bearer": json.RawMessage(`{"type":"http","scheme":"bearer"}`)},
	}
	var tags []json.RawMessage
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("OpenAPI: "+format, args...))
	}
	for _, x := range a.apis {
		var p part
		dec := json.NewDecoder(bytes.NewReader(x.Document))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil {
			fault("the document of %s: %w", x.Name, err)
			continue
		}
		routed := map[string]bool{}
		for _, r := range x.routes {
			path, method := documentPath(r.Path), strings.ToLower(r.Method)
			routed[method+" "+path] = true
			if p.Paths[path][method] == nil {
				fault("%s does not describe %s %s", x.Name, r.Method, path)
			}
		}
		for _, path := range slices.Sorted(maps.Keys(p.Paths)) {
			if paths[path] != nil {
				fault("%s describes %s, which another API does too", x.Name, path)
			}
			for method := range p.Paths[path] {
				if method != "parameters" && !routed[method+" "+path] {
					fault("%s describes %s %s, which it does not serve", x.Name, strings.ToUpper(method), path)
				}
			}
			paths[path] = p.Paths[path]
		}
		for kind, list := range p.Components {
			if components[kind] == nil {
				components[kind] = map[string]json.RawMessage{}
			}
			for name, c := range list {
				if old := components[kind][name]; old != nil && !bytes.Equal(old, c) {
					fault("%s has another component %s/%s than an API before it", x.Name, kind, name)
				}
				components[kind][name] = c
			}
		}
		tags = append(tags, p.Tags...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	server := a.opts.BaseURL + a.opts.Prefix
	if server == "" {
		server = "/"
	}
	document := object{
		"openapi":    "3.1.0",
		"info":       object{"title": "Usagebook", "version": "1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers":    []object{{"url": server}},
		"security":   []object{{"bearer": []string{}}},
		"paths":      paths,
		"components": components,
	}
	if len(tags) > 0 {
		document["tags"] = tags
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document); err != nil {
		return nil, fmt.Errorf("OpenAPI: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// documentPath is a route's path as the document spells it.
func documentPath(path string) string { return strings.ReplaceAll(path, "?}", "}") }
