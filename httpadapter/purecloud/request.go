package purecloud

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
)

// kind is the route that an execution was started on, and can be read on.
type kind string

const (
	organizationQuery kind = "organization"
	simpleSearch      kind = "simplesearch"
	clientQuery       kind = "client" // its summaries too
)

// request is what was asked for, checked.
type request struct {
	kind     kind
	client   string // of clientQuery
	from, to time.Time
	unit     aggregate.Unit // None: the whole interval is one row for each group
	undated  bool           // rows show no date
	fields   []field        // of a row, in its order
	figures  []figure       // of a row, in its order
	// lists restrict the records by fields: one of the texts each.
	lists map[field][]string
}

const (
	// maxItems bounds the lists of a body.
	maxItems = 1000
	// maxClient is the length of the longest dimension: no longer id has a record.
	maxClient = 4 << 10
)

var (
	granularities = []string{"Day", "Week", "Month"}
	units         = []aggregate.Unit{aggregate.Day, aggregate.Week, aggregate.Month}

	groups       = []string{"OAuthClientId", "OrganizationId", "UserId", "TemplateUri", "HttpMethod"}
	clientGroups = []string{"OAuthClientId", "OrganizationId", "TemplateUri", "HttpMethod"}
	groupFields  = map[string][]field{"OAuthClientId": {clientID, clientName}, "OrganizationId": {organizationID}, "UserId": {userID},
		"TemplateUri": {templateURI}, "HttpMethod": {httpMethod}}

	metrics       = []string{"Status200", "Status300", "Status400", "Status500", "Status429", "Requests"}
	searchMetrics = []string{"Date", "ClientName", "HttpMethod", "TemplateUri", "Status200", "Status300", "Status400", "Status500", "Status429"}

	methods = []string{"GET", "POST", "DELETE", "PATCH", "PUT", "HEAD", "CONNECT", "OPTIONS", "TRACE"}
)

func (s *service) postOrganizationQuery(c *httpadapter.Call) error {
	r, err := readQuery(c.Body(), organizationQuery, groups)
	if err != nil {
		return err
	}
	return s.start(c, r)
}

func (s *service) postClientQuery(c *httpadapter.Call) error {
	r, err := readQuery(c.Body(), clientQuery, clientGroups)
	if err != nil {
		return err
	}
	if r.client, err = readClient(c); err != nil {
		return err
	}
	return s.start(c, r)
}

func (s *service) postSimpleSearch(c *httpadapter.Call) error {
	r, err := readSearch(c.Body())
	if err != nil {
		return err
	}
	return s.start(c, r)
}

// getSummary starts a query for the last complete days.
func (s *service) getSummary(c *httpadapter.Call) error {
	days := 7
	if text := c.Param("days"); text != "" {
		var err error
		if days, err = readNumber("days", text, 1, 365); err != nil {
			return err
		}
	}
	client, err := readClient(c)
	if err != nil {
		return err
	}
	today := c.Now().Truncate(24 * time.Hour)
	return s.start(c, &request{kind: clientQuery, client: client, from: today.AddDate(0, 0, -days), to: today, unit: aggregate.Day,
		fields: []field{clientID, clientName, templateURI, httpMethod}, figures: allFigures(figureCount)})
}

// readNumber reads a whole number of a query parameter.
func readNumber(name, text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || strings.Trim(text, "0123456789") != "" || n < least || n > most {
		return 0, badForm(invalidParam, name, text, "a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	return n, nil
}

// readClient returns the client of the path. With a registry it has to be one of
// the caller's tenants; without, any text may be the id of one.
func readClient(c *httpadapter.Call) (string, error) {
	id := c.Path("clientId")
	known := len(c.Catalogue.Clients) == 0
	for _, k := range c.Catalogue.ClientsOf(id) {
		known = known || c.Principal.HoldsTenant(k.Tenant)
	}
	if !known || len(id) > maxClient || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return "", httpadapter.Missing("The OAuth client %s was not found.", clip(id))
	}
	return id, nil
}

func allFigures(n figure) []figure {
	list := make([]figure, n)
	for f := range list {
		list[f] = figure(f)
	}
	return list
}

// readQuery reads the body of both queries, which differ in their groups alone.
func readQuery(body []byte, k kind, allowed []string) (*request, error) {
	r := &request{kind: k}
	var grouped, selected []string
	err := readObject(body, map[string]func(json.RawMessage) error{
		"interval":    r.readInterval,
		"granularity": r.readGranularity,
		"metrics":     func(v json.RawMessage) (err error) { selected, err = readEnum("metrics", v, metrics); return err },
		"groupBy":     func(v json.RawMessage) (err error) { grouped, err = readEnum("groupBy", v, allowed); return err },
	})
	if err != nil {
		return nil, err
	}
	if k == clientQuery {
		r.fields = append(r.fields, clientID, clientName)
	}
	for _, name := range grouped {
		r.fields = append(r.fields, groupFields[name]...)
	}
	slices.Sort(r.fields)
	r.fields = slices.Compact(r.fields)
	for i, name := range metrics {
		if len(selected) == 0 || slices.Contains(selected, name) {
			r.figures = append(r.figures, figure(i))
		}
	}
	return r, r.hasInterval()
}

// readSearch reads the body of a simple search.
func readSearch(body []byte) (*request, error) {
	r := &request{kind: simpleSearch, lists: map[field][]string{}}
	var selected []string
	list := func(f field, name string, allowed []string) func(json.RawMessage) error {
		return func(v json.RawMessage) error {
			items, err := readEnum(name, v, allowed)
			if len(items) > 0 {
				r.lists[f] = items
			}
			return err
		}
	}
	err := readObject(body, map[string]func(json.RawMessage) error{
		"interval":         r.readInterval,
		"metrics":          func(v json.RawMessage) (err error) { selected, err = readEnum("metrics", v, searchMetrics); return err },
		"oauthClientNames": list(clientName, "oauthClientNames", nil),
		"httpMethods":      list(httpMethod, "httpMethods", methods),
		"templateUris":     list(templateURI, "templateUris", nil),
	})
	if err != nil {
		return nil, err
	}
	has := func(name string) bool { return len(selected) == 0 || slices.Contains(selected, name) }
	if r.undated = !has("Date"); !r.undated {
		r.unit = aggregate.Day
	}
	for _, f := range []field{clientName, templateURI, httpMethod} {
		if has(strings.ToUpper(fieldNames[f][:1]) + fieldNames[f][1:]) {
			r.fields = append(r.fields, f)
		}
	}
	for f := status200; f <= status429; f++ {
		if has(metrics[f]) {
			r.figures = append(r.figures, f)
		}
	}
	return r, r.hasInterval()
}

func (r *request) hasInterval() error {
	if r.to.IsZero() {
		return refuse(constraint, "interval", "The property [interval] is required.")
	}
	return nil
}

func (r *request) readInterval(v json.RawMessage) error {
	text, ok := readText(v)
	if !ok {
		return badForm(invalidValue, "interval", string(v), intervalForm)
	}
	var err error
	r.from, r.to, err = readInterval(text)
	return err
}

func (r *request) readGranularity(v json.RawMessage) error {
	text, ok := readText(v)
	i := slices.Index(granularities, text)
	if !ok {
		text = string(v)
	}
	if i < 0 {
		return badValue("granularity", text, granularities)
	}
	r.unit = units[i]
	return nil
}

// readObject hands the properties of a JSON object over, each once; those that
// are null are absent. The text is held against the syntax as a whole before
// anything of it counts.
func readObject(body []byte, properties map[string]func(json.RawMessage) error) error {
	malformed := refuse(badRequest, "", "The request could not be understood by the server due to malformed syntax.")
	if !utf8.Valid(body) || !json.Valid(body) {
		return malformed
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return malformed
	}
	seen := map[string]bool{}
	for d.More() {
		var value json.RawMessage
		key, err := d.Token()
		if err == nil {
			err = d.Decode(&value)
		}
		name, ok := key.(string)
		if err != nil || !ok {
			return malformed
		}
		read := properties[name]
		switch {
		case read == nil:
			return refuse(invalidProperty, name, "The property ["+clip(name)+"] is not known.")
		case seen[name]:
			return refuse(invalidProperty, name, "The property ["+name+"] is given more than once.")
		}
		seen[name] = true
		if string(value) == "null" {
			continue
		}
		if err := read(value); err != nil {
			return err
		}
	}
	return nil
}

func readText(v json.RawMessage) (text string, ok bool) {
	if len(v) == 0 || v[0] != '"' {
		return "", false
	}
	return text, json.Unmarshal(v, &text) == nil
}

// readEnum reads a list of texts, each of the allowed ones where there are such.
// What is in it more than once is there once.
func readEnum(name string, v json.RawMessage, allowed []string) ([]string, error) {
	var items []json.RawMessage
	if json.Unmarshal(v, &items) != nil {
		return nil, badForm(invalidValue, name, string(v), "a list of texts")
	}
	if len(items) > maxItems {
		return nil, refuse(constraint, name, "The property ["+name+"] has "+strconv.Itoa(len(items))+" entries. At most "+strconv.Itoa(maxItems)+" are allowed.")
	}
	seen := map[string]bool{}
	var out []string
	for _, item := range items {
		text, ok := readText(item)
		switch {
		case !ok && allowed == nil:
			return nil, badForm(invalidValue, name, string(item), "a list of texts")
		case !ok:
			return nil, badValue(name, string(item), allowed)
		case allowed != nil && !slices.Contains(allowed, text):
			return nil, badValue(name, text, allowed)
		}
		if !seen[text] {
			seen[text] = true
			out = append(out, text)
		}
	}
	return out, nil
}
