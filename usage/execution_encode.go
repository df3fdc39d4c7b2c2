package usage

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/paginate"
)

// executionHead is what the Head of an execution holds.
type executionHead struct {
	Form     int            `json:"v"`
	State    ExecutionState `json:"state"`
	Reason   string         `json:"reason,omitempty"`
	Mark     uint64         `json:"mark"`
	Rows     int64          `json:"rows,omitempty"`
	Finished time.Time      `json:"finished,omitzero"`
	Note     []byte         `json:"note,omitempty"`
}

// executionBody is what its Body holds: the question.
type executionBody struct {
	Form  int         `json:"v"`
	Scope storedScope `json:"scope"`
	Query storedQuery `json:"query"`
	Mark  uint64      `json:"mark"`
	Extra []byte      `json:"extra,omitempty"`
	Now   int64       `json:"now"` // what now() means, in Unix microseconds
}

type storedScope struct {
	All      bool                `json:"all,omitempty"`
	Tenants  []string            `json:"tenants,omitempty"`
	Required []storedRequirement `json:"required,omitempty"`
}

type storedRequirement struct {
	Dimension string   `json:"dimension"`
	Values    []string `json:"values"`
	Fold      bool     `json:"fold,omitempty"`
}

// storedQuery is a Query without its token, page size and AsOf.
type storedQuery struct {
	From     *int64          `json:"from,omitempty"` // Unix microseconds; absent: open
	To       *int64          `json:"to,omitempty"`
	Recorded bool            `json:"recorded,omitempty"` // on recorded time
	Filter   string          `json:"filter,omitempty"`
	GroupBy  []string        `json:"groupBy,omitempty"`
	Window   storedWindow    `json:"window,omitzero"`
	Measures []storedMeasure `json:"measures,omitempty"`
	OrderBy  string          `json:"orderBy,omitempty"`
	Limit    int             `json:"limit,omitempty"`
	ZeroFill bool            `json:"zeroFill,omitempty"`
	Count    bool            `json:"count,omitempty"`
}

type storedWindow struct {
	Unit       aggregate.Unit `json:"unit"`
	Zone       string         `json:"zone,omitempty"`
	Offset     *int           `json:"offset,omitempty"` // of a zone that no database has, in seconds
	AnchorDay  int            `json:"anchorDay,omitempty"`
	AnchorHour int            `json:"anchorHour,omitempty"`
}

type storedMeasure struct {
	Name        string `json:"name,omitempty"`
	Aggregation string `json:"aggregation"`
	Of          string `json:"of,omitempty"`
	Meter       string `json:"meter,omitempty"`
}

// MarshalText returns what String does.
func (s ExecutionState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes, and nothing else.
func (s *ExecutionState) UnmarshalText(text []byte) error {
	i := slices.Index(executionStateNames[:], string(text))
	if i < 1 {
		return fmt.Errorf("%w: %s is no state of an execution", ErrInvalid, quoted(string(text)))
	}
	*s = ExecutionState(i)
	return nil
}

func headOfExecution(t *Task) (*executionHead, error) {
	var h executionHead
	if err := unmarshalForm(t.Head, &h.Form, &h); err != nil {
		return nil, fmt.Errorf("the head of execution %s cannot be read: %w", quoted(t.ID), err)
	}
	return &h, nil
}

func executionOf(t *Task) (*Execution, error) {
	h, err := headOfExecution(t)
	if err != nil {
		return nil, err
	}
	return &Execution{ID: t.ID, Owner: t.Owner, Created: t.Created, Finished: h.Finished, Expires: t.Expires, State: h.State,
		Reason: h.Reason, AsOf: asOfMark(Mark{Sequence: h.Mark}), Rows: h.Rows, Note: h.Note}, nil
}

// bodyOfExecution writes down a query that was understood.
func bodyOfExecution(q *query) ([]byte, error) {
	body := executionBody{Form: taskForm, Scope: storeScope(q.scope), Mark: q.mark.Sequence, Extra: []byte(q.mark.Extra), Now: q.now.UnixMicro()}
	var err error
	if body.Query, err = storeQuery(&q.src); err != nil {
		return nil, err
	}
	// JSON would put other characters in the place of those it cannot write.
	if back := body.Scope.scope(); !bytes.Equal(back.appendKey(nil), q.scope.appendKey(nil)) || !body.Query.valid() {
		return nil, invalid("it has texts that are not valid UTF-8")
	}
	return marshal(&body)
}

func storeScope(s Scope) storedScope {
	var out storedScope
	out.Tenants, out.All = s.Tenants()
	text := func(s string) string {
		if !utf8.ValidString(s) {
			return "" // which makes another scope of it
		}
		return s
	}
	out.Tenants = slices.Clone(out.Tenants)
	for i, t := range out.Tenants {
		out.Tenants[i] = text(t)
	}
	for _, r := range s.Requirements() {
		stored := storedRequirement{Dimension: text(r.Dimension), Values: slices.Clone(r.Values), Fold: r.Fold}
		for i, v := range stored.Values {
			stored.Values[i] = text(v)
		}
		out.Required = append(out.Required, stored)
	}
	return out
}

// scope returns the scope that was stored.
func (s *storedScope) scope() Scope {
	out := ForTenants(s.Tenants...)
	if s.All {
		out = AllTenants()
	}
	for _, r := range s.Required {
		if r.Fold {
			out = out.WithFold(r.Dimension, r.Values...)
		} else {
			out = out.WithAny(r.Dimension, r.Values...)
		}
	}
	return out
}

func storeQuery(q *Query) (storedQuery, error) {
	out := storedQuery{Recorded: q.On == RecordedTime, Filter: q.Filter, GroupBy: q.GroupBy, OrderBy: q.OrderBy, Limit: q.Limit, ZeroFill: q.ZeroFill, Count: q.Count}
	instant := func(t time.Time) *int64 {
		if t.IsZero() {
			return nil
		}
		us := t.UnixMicro()
		return &us
	}
	out.From, out.To = instant(q.From), instant(q.To)
	for _, m := range q.Measures {
		out.Measures = append(out.Measures, storedMeasure{Name: m.Name, Aggregation: m.Aggregation.String(), Of: m.Of, Meter: m.Meter})
	}
	w := q.Window
	out.Window = storedWindow{Unit: w.Unit, AnchorDay: w.AnchorDay, AnchorHour: w.AnchorHour}
	var err error
	out.Window.Zone, out.Window.Offset, err = storeZone(w.Location)
	return out, err
}

func (s *storedQuery) valid() bool {
	texts := append([]string{s.Filter, s.OrderBy, s.Window.Zone}, s.GroupBy...)
	for _, m := range s.Measures {
		texts = append(texts, m.Name, m.Of, m.Meter)
	}
	return !slices.ContainsFunc(texts, func(t string) bool { return !utf8.ValidString(t) })
}

// query returns the query that was stored.
func (s *storedQuery) query() (Query, error) {
	q := Query{Filter: s.Filter, GroupBy: s.GroupBy, OrderBy: s.OrderBy, Limit: s.Limit, ZeroFill: s.ZeroFill, Count: s.Count}
	if s.Recorded {
		q.On = RecordedTime
	}
	if s.From != nil {
		q.From = time.UnixMicro(*s.From).UTC()
	}
	if s.To != nil {
		q.To = time.UnixMicro(*s.To).UTC()
	}
	for _, m := range s.Measures {
		a, ok := parseAggregation(m.Aggregation)
		if !ok {
			return Query{}, invalid("unknown aggregation %s", quoted(m.Aggregation))
		}
		q.Measures = append(q.Measures, Measure{Name: m.Name, Aggregation: a, Of: m.Of, Meter: m.Meter})
	}
	q.Window = aggregate.Window{Unit: s.Window.Unit, AnchorDay: s.Window.AnchorDay, AnchorHour: s.Window.AnchorHour}
	switch {
	case s.Window.Offset != nil:
		q.Window.Location = time.FixedZone(s.Window.Zone, *s.Window.Offset)
	case s.Window.Zone != "":
		loc, err := time.LoadLocation(s.Window.Zone)
		if err != nil {
			return Query{}, err
		}
		q.Window.Location = loc
	}
	return q, nil
}

// storeZone returns the name by which a zone is found in the database of zones
// wherever the query is read, or its offset where it is the same at all times.
func storeZone(loc *time.Location) (name string, offset *int, err error) {
	if loc == nil || loc == time.UTC {
		return "", nil, nil
	}
	name = loc.String()
	if name != "" && name != "Local" {
		if known, err := time.LoadLocation(name); err == nil && sameClocks(known, loc) {
			return name, nil, nil
		}
	}
	_, seconds := time.Unix(0, 0).In(loc).Zone()
	if sameClocks(time.FixedZone(name, seconds), loc) {
		return name, &seconds, nil
	}
	return "", nil, invalid("the zone %s of its window is in no database of zones; use one of time.LoadLocation", quoted(name))
}

// sameClocks reports whether the clocks of two zones show the same in every
// week of two centuries.
func sameClocks(a, b *time.Location) bool {
	const week = 7 * 24 * 3600
	for at, end := int64(-2208988800), int64(4102444800); at < end; at += week {
		t := time.Unix(at, 0)
		_, x := t.In(a).Zone()
		_, y := t.In(b).Zone()
		if x != y {
			return false
		}
	}
	return true
}

// compileExecution reads the query of an execution, whose moment was fixed when
// it was accepted, for a page of some size that follows a token.
func (b *Book) compileExecution(ctx context.Context, t *Task, size int, token string) (*query, error) {
	var body executionBody
	if err := unmarshalForm(t.Body, &body.Form, &body); err != nil {
		return nil, fmt.Errorf("the body of execution %s cannot be read: %w", quoted(t.ID), err)
	}
	src, err := body.Query.query()
	if err != nil {
		return nil, err
	}
	src.PageSize, src.Token = size, token
	q := &query{book: b, scope: body.Scope.scope(), src: src, from: openPast, to: openFuture, execution: t.ID}
	q.now = time.UnixMicro(body.Now).UTC()
	q.token = &paginate.Token{Mark: body.Mark, Extra: string(body.Extra), Issued: q.now, Expires: t.Expires}
	return q, q.compile(ctx)
}
