package purecloud

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// ownerPrefix keeps executions apart from those that the host starts itself.
const ownerPrefix = "purecloud:"

// owner is whose executions the caller's are: those of its tenants. Route and
// client are in the plan and not in here, so that the book's bound on unfinished
// executions is one for all of them, however many clients are asked for.
func owner(c *httpadapter.Call) string { return ownerOf(c.Holders()) }

func ownerOf(tenants []string) string {
	digest := paginate.Digest(tenants...)
	return ownerPrefix + hex.EncodeToString(digest[:])
}

// plan is the note of an execution: which route may read it, and how rows are
// made of what the book answers. It says all of it, so that other options of a
// later process don't change what an execution means.
type plan struct {
	Form   int    `json:"v"`
	Kind   kind   `json:"kind"`
	Client string `json:"client,omitempty"`
	// Sources are the record fields behind the documented ones that the query
	// is grouped by.
	Sources httpadapter.Fields `json:"sources"`
	// Lists restrict rows by fields.
	Lists map[field][]string `json:"lists,omitempty"`
	// Fields and Figures are those of a row.
	Fields  []field  `json:"fields"`
	Figures []figure `json:"figures"`
	Date    dating   `json:"date,omitempty"`
	// From is the start of the interval.
	From time.Time `json:"from"`
}

// planForm changes when what is written down means something else.
const planForm = 1

// dating says which date a row has.
type dating string

const (
	undated dating = ""
	byStart dating = "start"  // the start of the interval
	byCut   dating = "window" // that of its day, week or month
)

// groups are those of the query, in its order.
func (p *plan) groups() *httpadapter.Groups {
	var names, extra []string
	for f, name := range fieldNames {
		if p.Sources[name] == nil {
			continue
		}
		names = append(names, name)
		if field(f) == clientName {
			extra = append(extra, "tenant") // whose registry has the name
		}
	}
	return p.Sources.Groups(names, extra...)
}

// start executes a request and answers when it is finished, or after the time to
// wait.
func (s *service) start(c *httpadapter.Call, r *request) error {
	scope, query, p := s.plan(c, r)
	note, err := marshal(p)
	if err != nil {
		return err
	}
	who := owner(c)
	x, err := c.Book.Execute(c.Context(), who, scope, usage.ExecutionRequest{Query: query, Note: note})
	if err != nil {
		return err
	}
	if s.wait > 0 {
		// It is accepted, whatever becomes of the wait.
		later, err := c.Book.AwaitExecution(c.Context(), who, x.ID, s.wait)
		if err == nil {
			x = later
		} else {
			c.Log.Debug("the end of an execution could not be awaited", "execution", x.ID, "error", err)
		}
	}
	status := 200
	if x.State == usage.ExecutionRunning {
		status = 202
	}
	b := httpadapter.AppendString([]byte(`{"executionId":`), x.ID)
	b = httpadapter.AppendString(append(b, `,"resultsUri":`...), resultsURI(r, x.ID))
	return c.JSON(status, append(b, '}'))
}

// resultsURI is the path on which an execution is read, from the root of the API.
func resultsURI(r *request, id string) string {
	switch r.kind {
	case clientQuery:
		return "/api/v2/oauth/clients/" + url.PathEscape(r.client) + "/usage/query/results/" + id
	case simpleSearch:
		return "/api/v2/usage/simplesearch/" + id + "/results"
	}
	return "/api/v2/usage/query/" + id + "/results"
}

// maxCondition is the length of the lists that are part of the filter. Longer
// ones are looked at in the rows alone.
const maxCondition = 2 << 10

// plan makes the query of a request, and the plan for its rows.
func (s *service) plan(c *httpadapter.Call, r *request) (usage.Scope, usage.Query, *plan) {
	p := &plan{Form: planForm, Kind: r.kind, Client: r.client, Sources: httpadapter.Fields{}, Lists: r.lists, Fields: r.fields, Figures: r.figures, Date: byStart, From: r.from}
	switch {
	case r.undated:
		p.Date = undated
	case r.unit != aggregate.None:
		p.Date = byCut
	}
	conditions := []string{httpadapter.MeterFilter(s.meters)}
	need := func(f field) { p.Sources[fieldNames[f]] = s.fields[fieldNames[f]] }
	for _, f := range r.fields {
		need(f)
	}
	for f := range fieldCount {
		if r.lists[f] == nil {
			continue
		}
		need(f)
		// A name may be the registry's, which no filter knows.
		if text := s.fields.Condition(fieldNames[f], r.lists[f]...); f != clientName && len(text) <= maxCondition {
			conditions = append(conditions, text)
		}
	}
	if p.Sources[fieldNames[clientName]] != nil {
		need(clientID)
	}
	scope := c.Principal.Scope()
	if r.kind == clientQuery {
		from := s.fields[fieldNames[clientID]]
		if name, ok := dimension(from[0]); ok && len(from) == 1 {
			scope = scope.With(name, r.client)
		} else {
			conditions = append(conditions, s.fields.Condition(fieldNames[clientID], r.client))
		}
	}
	q := usage.Query{From: r.from, To: r.to, Filter: httpadapter.And(conditions...), GroupBy: p.groups().GroupBy(), Window: aggregate.Window{Unit: r.unit}}
	// All figures, selected or not: a record that has none is not part of the API.
	for i, name := range figureNames {
		q.Measures = append(q.Measures, usage.Measure{Name: name, Of: s.values[i]})
	}
	return scope, q, p
}

// dimension returns the name of a dimension that a scope can be narrowed by;
// other fields of a record are none.
func dimension(from string) (string, bool) {
	name, ok := strings.CutPrefix(from, "dimensions/")
	return name, ok || !slices.Contains([]string{"tenant", "meter", "source", "id"}, from)
}

// execution returns an execution of the caller that was started on this route's
// kind, for this client.
func (s *service) execution(c *httpadapter.Call, k kind) (*usage.Execution, *plan, error) {
	id := c.Path("executionId")
	missing := httpadapter.Missing("The query execution %s was not found.", clip(id))
	if k == clientQuery {
		if _, err := readClient(c); err != nil {
			return nil, nil, err
		}
	}
	x, err := c.Book.Execution(c.Context(), owner(c), id)
	if err != nil {
		if httpadapter.ProblemOf(err).Kind == httpadapter.NotFound {
			return nil, nil, missing
		}
		return nil, nil, err
	}
	var p plan
	if err := json.Unmarshal(x.Note, &p); err != nil {
		return nil, nil, fmt.Errorf("the note of the execution %s cannot be read: %w", id, err)
	}
	if p.Form != planForm {
		return nil, nil, fmt.Errorf("the note of the execution %s is of version %d; this one reads %d", id, p.Form, planForm)
	}
	if p.Kind != k || p.Client != c.Path("clientId") {
		return nil, nil, missing
	}
	return x, &p, nil
}

// marshal writes a plan without escapes for HTML, which would make it larger
// than what was sent.
func marshal(p *plan) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("write down an execution: %w", err)
	}
	return b.Bytes(), nil
}
