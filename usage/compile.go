package usage

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
)

const (
	defaultPageSize = 1000
	maxPageSize     = 10_000
	maxGroupFields  = 32
	maxMeasures     = 64
	maxFilledRows   = 100_000
)

// query is a Query that was understood: names resolved, conditions compiled,
// the moment fixed.
type query struct {
	book  *Book
	scope Scope
	src   Query

	mark  Mark
	state State
	// assume: the query may be read as of a state that the store assumes; assumed:
	// it is, and the first read has to confirm it.
	assume, assumed bool

	// records: the answer is records, not rows of figures.
	records bool

	// from and to bound event time in Unix microseconds, half-open; openPast
	// and openFuture where the query leaves it open.
	from, to int64
	// since and until are what the filter says of event time besides, half-open:
	// bounds for reading records, not those of rows. They count where bounded.
	since, until int64
	bounded      bool

	filter     *filter.Checked
	filterText string    // as checked, with now() as such
	now        time.Time // what now() means: the time of the first page
	// hint is the part of the filter that stores may apply by the names in it:
	// former names are known here alone.
	hint *filter.Checked
	// The filter in three parts, nil where empty: what is decided once for a
	// series, once for a series and class of verdict, and once for a record.
	bySeries, byClass, byRecord *condition

	meters   []string // every spelling of the meters that can match; nil: all
	required []requiredDimension
	groups   []*field
	measures []measure
	columns  []Column

	// values are the names that summaries are taken of, valueSlot their places.
	values []string
	// needs are the dimension names that a projection must have to serve.
	needs []string
	// extra are fields beside the groups that the fold needs of a series: the
	// ones that are counted distinctly.
	extra []*field
	// pivot: a measure is narrowed to a meter.
	pivot bool
	// edges: a measure is first or last.
	edges bool
	// raw says why rollups cannot serve, empty when they can.
	raw []string
	// scan: the raw part cannot be pushed down to a Grouper.
	scan bool
	// where is what byRecord says, for the Grouper; nil where nothing is left to it.
	where *filter.Checked

	order []orderKey
	token *paginate.Token
	// execution is the one whose result is read; empty for a plain query.
	execution string

	scratch seriesRow // a query is read by one goroutine
	common  *answer   // of its rows
}

const (
	openPast   = math.MinInt64
	openFuture = math.MaxInt64
)

// condition is a compiled expression with the fields of its slots.
type condition struct {
	program *filter.Program
	fields  []*field
}

// requiredDimension is a Requirement that was resolved.
type requiredDimension struct {
	field  *field
	admits func(value string) bool
}

func (r *requiredDimension) holds(v filter.Value) bool { return !v.IsNull() && r.admits(v.Str()) }

// measure is a Measure that was resolved.
type measure struct {
	Measure
	// slot is the place of its value in query.values; -1 for a count of
	// records and for distinct counts.
	slot int
	// field is what is read from a record.
	field *field
	// extra is the place in query.extra of a distinct count that is decided by
	// series, -1 otherwise.
	extra int
	// meters are the spellings of its meter; nil: every meter.
	meters []string
}

func (f *fields) condition(c *filter.Checked) *condition {
	if c == nil {
		return nil
	}
	p := c.Compile()
	return &condition{program: p, fields: f.bind(p.Fields())}
}

func (b *Book) compile(ctx context.Context, scope Scope, src Query) (*query, error) {
	return b.compileAt(ctx, scope, src, b.Now())
}

// compileAt is compile with what now() means on a first page.
func (b *Book) compileAt(ctx context.Context, scope Scope, src Query, now time.Time) (*query, error) {
	q := b.newQuery(scope, src, now)
	if err := q.compile(ctx); err != nil {
		return nil, err
	}
	return q, nil
}

func (b *Book) newQuery(scope Scope, src Query, now time.Time) *query {
	return &query{book: b, scope: scope, src: src, from: openPast, to: openFuture, now: now}
}

// compile understands the query. A token that it has already is that of a first
// page whose moment was fixed before.
func (q *query) compile(ctx context.Context) error {
	if err := q.scope.Check(); err != nil {
		return err
	}
	for _, step := range []func() error{q.compileRange, q.compileFilter, q.compileGroups, q.compileMeasures, q.compileNames, q.compileOrder, q.compilePage, q.compileConditions} {
		if err := step(); err != nil {
			return err
		}
	}
	return q.fix(ctx)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w query: "+format, append([]any{ErrInvalid}, args...)...)
}

func (q *query) compileRange() error {
	s := &q.src
	if s.On > RecordedTime {
		return invalid("unknown clock %d", s.On)
	}
	for _, t := range []*time.Time{&s.From, &s.To, &s.AsOf.Time} {
		if !t.IsZero() && (t.Before(minTime) || t.After(maxTime)) {
			return invalid("the range or AsOf reaches outside the years 1 to 9999")
		}
		if !t.Equal(maxTime) {
			*t = ceilMicro(*t)
		}
	}
	if !s.From.IsZero() && !s.To.IsZero() && s.To.Before(s.From) {
		return invalid("the range ends at %s, before it begins at %s", s.To.Format(time.RFC3339Nano), s.From.Format(time.RFC3339Nano))
	}
	if s.On == EventTime {
		if !s.From.IsZero() {
			q.from = s.From.UnixMicro()
		}
		if !s.To.IsZero() {
			q.to = s.To.UnixMicro()
		}
	} else if !s.From.IsZero() || !s.To.IsZero() {
		q.raw = append(q.raw, "a range on recorded time")
	}
	if err := s.Window.Validate(); err != nil {
		return invalid("%w", err)
	}
	return nil
}

func (q *query) compileFilter() error {
	b := q.book
	for _, r := range q.scope.Requirements() {
		f := b.fields.dimension(r.Dimension)
		q.required = append(q.required, requiredDimension{f, r.matcher()})
		q.needs = append(q.needs, f.names()...)
	}
	if strings.TrimSpace(q.src.Filter) == "" {
		return nil
	}
	e, err := filter.Parse(q.src.Filter, nil)
	if err != nil {
		return fmt.Errorf("%w query: %w", ErrInvalid, err)
	}
	c, err := filter.Check(e, b.fields)
	if err != nil {
		return fmt.Errorf("%w query: %w", ErrInvalid, err)
	}
	return q.takeFilter(c)
}

// takeFilter takes in a condition that was checked against the Book's fields.
func (q *query) takeFilter(c *filter.Checked) error {
	q.filter, q.filterText = c, c.String()
	if _, err := q.book.formerMeter(c); err != nil {
		return invalid("filter: %w", err)
	}
	for _, ff := range c.Fields() {
		if f, ok := q.book.fields.resolve(ff.Name); ok && f.kind == dimensionField {
			q.needs = append(q.needs, f.names()...)
		}
	}
	q.meters = q.book.metersOf(c)
	return nil
}

// metersOf returns every spelling of the meters that a condition leaves; nil:
// all.
func (b *Book) metersOf(c *filter.Checked) []string {
	values, ok := c.Constraint("meter")
	if !ok {
		return nil
	}
	meters := []string{}
	for _, v := range values {
		if v.Type() == filter.TypeString {
			meters = append(meters, b.catalogue.spellings(v.Str())...)
		}
	}
	return meters
}

// compileConditions compiles what is evaluated. It comes after the token is
// open: now() means the time of the first page on all pages.
func (q *query) compileConditions() error {
	if q.token != nil {
		q.now = q.token.Issued
	}
	for i := range q.order {
		q.order[i].compile(q, q.now)
	}
	if q.filter == nil {
		return nil
	}
	f := q.book.fields
	is := func(test func(*field) bool) func(filter.Field) bool {
		return func(ff filter.Field) bool {
			x, ok := f.resolve(ff.Name)
			return ok && test(x)
		}
	}
	q.filter = q.filter.At(q.now)
	q.hint, _ = q.filter.Split(is(func(x *field) bool { return !x.former() }))
	series, rest := q.filter.Split(is((*field).perSeries))
	var class *filter.Checked
	if rest != nil {
		class, rest = rest.Split(is((*field).perVerdict))
	}
	q.bySeries, q.byClass, q.byRecord = f.condition(series), f.condition(class), f.condition(rest)
	if q.byRecord != nil {
		q.raw = append(q.raw, "a condition on values, instants or ids")
		if !q.bound(rest) && !q.push(rest) {
			q.scan = true
		}
	}
	return nil
}

// push leaves a condition on records to the store's Grouper, and reports whether that
// takes it. The former names of fields are known here alone.
func (q *query) push(c *filter.Checked) bool {
	g, ok := q.book.store.(FilterGrouper)
	if !ok {
		return false
	}
	for _, f := range q.book.fields.bind(c.Fields()) {
		if f.former() {
			return false
		}
	}
	if g.Filters(c) {
		q.where = c
	}
	return q.where != nil
}

// bound takes over the bounds that a condition sets to event time, so that records
// outside of them are not read. It reports whether the condition is nothing else:
// then the records that are read meet it.
func (q *query) bound(c *filter.Checked) bool {
	from, to, fromIn, toIn := c.Range("start")
	q.since, q.until, q.bounded = openPast, openFuture, true
	if from.Type() == filter.TypeTime {
		// Starts are whole microseconds.
		if q.since = micro(from.Time()).UnixMicro(); !fromIn || from.Time().After(micro(from.Time())) {
			q.since++
		}
	}
	if to.Type() == filter.TypeTime {
		if q.until = micro(to.Time()).UnixMicro(); toIn || to.Time().After(micro(to.Time())) {
			q.until++
		}
	}
	if max(q.from, q.since) >= min(q.to, q.until) {
		// Nothing is left. Stores are not asked for ranges that end before they begin.
		q.bounded = false
		return false
	}
	only := true
	filter.Walk(c.Expr(), func(e filter.Expr) bool {
		switch e := e.(type) {
		case *filter.Logic:
			only = only && !e.Or
			return only
		case *filter.Binary:
			name, ok := e.X.(*filter.Name)
			value, literal := e.Y.(*filter.Literal)
			only = only && ok && name.Var == 0 && name.Field.Name == "start" && literal && value.Value.Type() == filter.TypeTime &&
				filter.OpGt <= e.Op && e.Op <= filter.OpLe
		default:
			only = false
		}
		return false
	})
	return only
}

// formerMeter refuses a comparison of the meter with a name that it no longer
// has, and says where it stands: records of that name are read as those of the
// present one, so the condition would never hold.
func (b *Book) formerMeter(c *filter.Checked) (at filter.Span, fault error) {
	if !b.catalogue.renamed {
		return at, nil
	}
	check := func(x filter.Expr, values ...filter.Expr) {
		name, ok := x.(*filter.Name)
		if !ok || name.Field == nil || name.Field.Name != "meter" {
			return
		}
		for _, v := range values {
			if l, ok := v.(*filter.Literal); ok && fault == nil && l.Value.Type() == filter.TypeString {
				at, fault = l.Span(), b.catalogue.refuseFormer(l.Value.Str())
			}
		}
	}
	filter.Walk(c.Expr(), func(e filter.Expr) bool {
		switch e := e.(type) {
		case *filter.Binary:
			check(e.X, e.Y)
			check(e.Y, e.X)
		case *filter.In:
			for _, l := range e.List {
				check(e.X, l)
			}
		}
		return true
	})
	return at, fault
}

func (q *query) compileGroups() error {
	if len(q.src.GroupBy) > maxGroupFields {
		return invalid("%d fields to group by, at most %d are allowed", len(q.src.GroupBy), maxGroupFields)
	}
	for _, name := range q.src.GroupBy {
		names, err := groupNames(name)
		if err != nil {
			return err
		}
		for _, n := range names {
			f, ok := q.book.fields.resolve(n)
			if !ok {
				return invalid("group by: unknown field %s", quoted(n))
			}
			if slices.ContainsFunc(q.groups, func(g *field) bool { return g.name == f.name }) {
				return invalid("group by: the field %s is given twice", quoted(n))
			}
			q.groups = append(q.groups, f)
			q.columns = append(q.columns, Column{Name: n})
			if f.kind == dimensionField {
				q.needs = append(q.needs, f.names()...)
			}
			if !f.perVerdict() {
				q.raw = append(q.raw, "groups by "+n)
				q.scan = true
			}
		}
	}
	return nil
}

// groupNames reads an entry of GroupBy: a list of names as the filter language
// writes them, or one name that it cannot write, such as "app.kubernetes.io".
func groupNames(text string) ([]string, error) {
	list, err := filter.ParseGroupBy(text, nil)
	if err != nil {
		if checkText("name", text, maxNameBytes) == nil && !strings.ContainsAny(text, ", \t'()$") {
			return []string{text}, nil
		}
		return nil, fmt.Errorf("%w query: group by: %w", ErrInvalid, err)
	}
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = n.String()
	}
	return names, nil
}

func (q *query) compileMeasures() error {
	ms := q.src.Measures
	if len(ms) > maxMeasures {
		return invalid("%d measures, at most %d are allowed", len(ms), maxMeasures)
	}
	if len(ms) == 0 {
		if len(q.groups) == 0 && q.src.Window.Unit == aggregate.None && !q.src.ZeroFill {
			q.records = true
			for _, name := range reservedNames {
				q.columns = append(q.columns, Column{Name: name})
			}
			return nil
		}
		var err error
		if ms, err = q.defaultMeasures(); err != nil {
			return err
		}
	}
	for i := range ms {
		if err := q.compileMeasure(ms[i]); err != nil {
			return err
		}
	}
	seen := map[string]bool{"start": true, "end": true}
	for _, c := range q.columns {
		if seen[c.Name] && (c.Measure != nil || c.Name != "start" && c.Name != "end") {
			return invalid("two columns are named %s; name measures apart with \"as\"", quoted(c.Name))
		}
		seen[c.Name] = true
	}
	return nil
}

func (q *query) compileMeasure(in Measure) error {
	b := q.book
	m := measure{Measure: in, slot: -1, extra: -1}
	if m.Name == "" {
		m.Name = m.defaultName()
	}
	for what, name := range map[string]string{"value": strings.TrimPrefix(strings.TrimPrefix(in.Of, valuesPrefix), dimensionsPrefix), "meter": in.Meter} {
		if v := checkText(what, name, maxNameBytes); v != nil && (name != "" || what == "value" && in.Of != "") {
			return invalid("measure %s: the %s %s %s", quoted(m.Name), what, quoted(name), v.Message)
		}
	}
	if v := checkText("name", m.Name, 4*maxNameBytes); v != nil {
		return invalid("measure: the name %s %s", quoted(m.Name), v.Message)
	}
	if m.Meter != "" {
		if err := b.catalogue.refuseFormer(m.Meter); err != nil {
			return invalid("measure %s: %w", quoted(m.Name), err)
		}
		m.meters = b.catalogue.spellings(m.Meter)
		q.pivot = true
	}
	switch {
	case in.Aggregation > CountDistinct:
		return invalid("measure %s: unknown aggregation %d", quoted(m.Name), in.Aggregation)
	case in.Of == "" && in.Aggregation != Count:
		return invalid("measure %s: %s needs a value to aggregate", quoted(m.Name), in.Aggregation)
	case in.Of == "":
	case in.Aggregation == CountDistinct:
		q.compileDistinct(&m)
	default:
		name := strings.TrimPrefix(in.Of, valuesPrefix)
		if slices.Contains(reservedNames, in.Of) || strings.HasPrefix(in.Of, dimensionsPrefix) || name == "" {
			return invalid("measure %s: %s is no value; %s takes a value", quoted(m.Name), quoted(in.Of), in.Aggregation)
		}
		m.field = b.fields.value(name)
		if m.field.former() {
			// A record that carries both names counts once, which only the
			// record itself can tell.
			q.raw = append(q.raw, "the value "+name+" has former names")
			q.scan = true
		}
		m.slot = q.valueSlot(m.field.key)
		if in.Aggregation == First || in.Aggregation == Last {
			q.edges, q.scan = true, true
		}
	}
	q.measures = append(q.measures, m)
	own := m.Measure
	q.columns = append(q.columns, Column{Name: m.Name, Measure: &own})
	return nil
}

func (q *query) compileDistinct(m *measure) {
	f := q.book.fields
	field, ok := f.resolve(m.Of)
	if !ok {
		field = f.dimension(m.Of)
	}
	m.field = field
	if !field.declared && !strings.Contains(m.Of, "/") {
		// Nobody said whether the name is a value or a dimension. The fold counts
		// it as a dimension, which rollups can serve, and looks at the value of
		// that name too: should there be one, the records are read instead.
		own := *field
		own.kind = eitherField
		m.field = &own
		m.slot = q.valueSlot(m.Of)
		q.needs = append(q.needs, field.names()...)
		m.extra = len(q.extra)
		q.extra = append(q.extra, field)
		return
	}
	if !m.field.perVerdict() {
		q.raw = append(q.raw, "a distinct count of "+m.Of)
		q.scan = true
		return
	}
	if m.field.kind == dimensionField {
		q.needs = append(q.needs, m.field.names()...)
	}
	m.extra = len(q.extra)
	q.extra = append(q.extra, m.field)
}

func (q *query) valueSlot(name string) int {
	if i := slices.Index(q.values, name); i >= 0 {
		return i
	}
	q.values = append(q.values, name)
	return len(q.values) - 1
}

func (m *Measure) defaultName() string {
	of := strings.TrimPrefix(strings.TrimPrefix(m.Of, valuesPrefix), dimensionsPrefix)
	switch {
	case of == "":
		return m.Aggregation.String()
	case m.Aggregation == Sum:
		return of
	}
	return m.Aggregation.String() + "_" + of
}

// defaultMeasures are the declared aggregations of the values of the meters
// that the query selects.
func (q *query) defaultMeasures() ([]Measure, error) {
	type choice struct {
		m      Measure
		meters []string
	}
	var order []string
	byValue := map[string][]choice{}
	for i := range q.book.catalogue.meters {
		meter := &q.book.catalogue.meters[i]
		if q.meters != nil && !slices.Contains(q.meters, meter.Name) {
			continue
		}
		for _, v := range meter.Values {
			m := Measure{Aggregation: v.Aggregation, Of: v.Name, Name: v.Name}
			if v.Aggregation == CountDistinct && v.DistinctOf != "" {
				m.Of = v.DistinctOf
			}
			have := byValue[v.Name]
			if have == nil {
				order = append(order, v.Name)
			}
			k := slices.IndexFunc(have, func(c choice) bool { return c.m == m })
			if k < 0 {
				byValue[v.Name] = append(have, choice{m, []string{meter.Name}})
			} else {
				have[k].meters = append(have[k].meters, meter.Name)
			}
		}
	}
	// A meter that nobody declared has nothing to default to but the quantity of
	// a plain measurement.
	if byValue[QuantityName] == nil && (q.undeclared() || len(order) == 0) {
		order = append(order, QuantityName)
		byValue[QuantityName] = []choice{{m: Measure{Name: QuantityName, Of: QuantityName}}}
	}
	var out []Measure
	for _, name := range order {
		c := byValue[name]
		if len(c) > 1 {
			var parts []string
			for _, x := range c {
				parts = append(parts, fmt.Sprintf("%s of meter %s", x.m.Aggregation, strings.Join(x.meters, ", ")))
			}
			return nil, invalid("the meters aggregate the value %s differently (%s): name the measures, or narrow the query to one meter",
				quoted(name), strings.Join(parts, "; "))
		}
		out = append(out, c[0].m)
	}
	return out, nil
}

// undeclared reports whether the query can select a meter that nobody declared.
func (q *query) undeclared() bool {
	return q.meters == nil || slices.ContainsFunc(q.meters, func(m string) bool { return q.book.catalogue.byName[m] == nil })
}

// allClosed returns the meters of some names if all of them are declared and
// closed, nil otherwise.
func (c *catalogue) allClosed(names []string) []*Meter {
	var closed []*Meter
	for _, name := range names {
		m := c.byName[name]
		if m == nil || !m.Closed {
			return nil
		}
		closed = append(closed, m)
	}
	return closed
}

// compileNames refuses names that no meter of the query can have: all meters
// that it selects are declared and closed, and none declares the name.
func (q *query) compileNames() error {
	closed := q.book.catalogue.allClosed(q.meters)
	if len(closed) == 0 {
		return nil
	}
	check := func(f *field) error {
		if f == nil || f.kind < valueField {
			return nil
		}
		for _, m := range closed {
			if m.declares(f) {
				return nil
			}
		}
		name := f.key
		what := "dimension"
		if f.kind == valueField {
			what = "value"
		}
		return invalid("unknown %s %s: the meter %s declares no such name and is closed; it has %s",
			what, quoted(name), quoted(closed[0].Name), strings.Join(closed[0].names(), ", "))
	}
	if q.filter != nil {
		for _, f := range q.book.fields.bind(q.filter.Fields()) {
			if err := check(f); err != nil {
				return err
			}
		}
	}
	for _, f := range q.groups {
		if err := check(f); err != nil {
			return err
		}
	}
	for i := range q.measures {
		if err := check(q.measures[i].field); err != nil {
			return err
		}
	}
	return nil
}

func (m *Meter) declares(f *field) bool {
	if f.kind != dimensionField && slices.ContainsFunc(m.Values, func(v MeterValue) bool { return v.Name == f.key || slices.Contains(v.Aliases, f.key) }) {
		return true
	}
	return f.kind != valueField && slices.ContainsFunc(m.Dimensions, func(d MeterDimension) bool { return d.Name == f.key || slices.Contains(d.Aliases, f.key) })
}

func (m *Meter) names() []string {
	var out []string
	for _, v := range m.Values {
		out = append(out, v.Name)
	}
	for _, d := range m.Dimensions {
		out = append(out, d.Name)
	}
	return out
}

func (q *query) compilePage() error {
	s := &q.src
	switch {
	case s.Limit < 0:
		return invalid("the limit is %d, at least 0 is allowed", s.Limit)
	case s.PageSize < 0:
		return invalid("the page size is %d, at least 0 is allowed", s.PageSize)
	case s.PageSize > maxPageSize:
		return invalid("the page size is %d, at most %d is allowed", s.PageSize, maxPageSize)
	case s.PageSize == 0:
		s.PageSize = defaultPageSize
	}
	if s.ZeroFill && s.Window.Unit != aggregate.None && (q.from == openPast || q.to == openFuture) {
		return invalid("zero fill with a window needs both ends of a range on event time")
	}
	if s.Token == "" {
		return nil
	}
	t, err := q.book.tokens.Open(s.Token, q.binding())
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	q.token = &t
	return nil
}

// binding is what a page token of this query is bound to: the scope, and the
// query as it was understood, whatever its spelling.
func (q *query) binding() paginate.Binding {
	var b []byte
	text := func(s string) { b = appendKeyText(b, s) }
	number := func(n int64) { text(strconv.FormatInt(n, 10)) }
	number(q.from)
	number(q.to)
	number(int64(q.src.On))
	if q.src.On == RecordedTime {
		text(q.src.From.String())
		text(q.src.To.String())
	}
	text(q.filterText)
	number(int64(len(q.groups)))
	for i, g := range q.groups {
		text(g.name)
		text(q.columns[i].Name)
	}
	w := q.src.Window
	number(int64(w.Unit))
	if w.Unit != aggregate.None {
		number(int64(w.AnchorDay))
		number(int64(w.AnchorHour))
		// Two zones may have one name; what counts is what their clocks show.
		loc := w.Location
		if loc == nil {
			loc = time.UTC
		}
		text(loc.String())
		for _, at := range []int64{0, 1_000_000_000, 1_720_000_000, 1_735_000_000, 4_000_000_000} {
			_, offset := time.Unix(at, 0).In(loc).Zone()
			number(int64(offset))
		}
	}
	number(int64(len(q.measures)))
	for i := range q.measures {
		m := &q.measures[i]
		text(m.Name)
		number(int64(m.Aggregation))
		if m.field != nil {
			text(m.field.name)
		} else {
			text("")
		}
		text(m.Meter)
	}
	number(int64(len(q.order)))
	for _, o := range q.order {
		text(o.text)
		text(strconv.FormatBool(o.desc))
	}
	text(strconv.FormatBool(q.src.ZeroFill))
	number(int64(q.src.Limit))
	if q.execution != "" {
		text(q.execution)
	}
	return paginate.Binding{Scope: paginate.Digest("scope", string(q.scope.appendKey(nil))), Query: paginate.Digest("query", string(b))}
}

// fix decides the moment that the answer speaks of.
func (q *query) fix(ctx context.Context) error {
	at := q.src.AsOf
	if !at.Time.IsZero() && at.Sequence != 0 {
		return invalid("AsOf has both a time and a sequence; give one")
	}
	if q.token == nil && at.Time.After(q.now) {
		at = AsOf{} // what will have been booked by then is not known yet
	}
	if s := &q.src; q.token == nil && at.IsZero() && s.On == RecordedTime && !s.To.IsZero() && !s.To.After(q.now) {
		// The range has ended: once it is settled, nothing is missing from it and
		// the mark that is asked for next is above all of it.
		if err := q.book.settle(ctx, s.To); err != nil {
			return err
		}
	}
	if q.token != nil {
		if err := q.sameMoment(ctx, at); err != nil {
			return err
		}
		at = AsOf{Sequence: q.token.Mark}
		if q.token.Mark == 0 {
			// The first page saw an empty book, and so do the others.
			q.mark = Mark{Extra: q.token.Extra}
			return nil
		}
	}
	if a, ok := q.book.store.(Assumer); ok && q.assume && at.IsZero() && !q.records {
		if q.state, q.assumed = a.Assume(); q.assumed {
			q.mark = q.state.Mark
			return nil
		}
	}
	var err error
	if q.state, err = q.book.store.Checkpoint(ctx, at); err != nil {
		return err
	}
	q.mark = q.state.Mark
	if at.Sequence > q.mark.Sequence {
		return invalid("AsOf asks for the sequence %d, the newest one is %d", at.Sequence, q.mark.Sequence)
	}
	if q.token != nil {
		q.mark = Mark{Sequence: q.token.Mark, Extra: q.token.Extra}
	}
	return nil
}

// sameMoment refuses a token beside an AsOf of another moment. An instant in the
// future of the first page had no moment of its own yet, and asks for nothing.
func (q *query) sameMoment(ctx context.Context, at AsOf) error {
	if at.IsZero() || !at.Time.IsZero() && !at.Time.Before(q.token.Issued) {
		return nil
	}
	if at.Sequence == 0 {
		st, err := q.book.store.Checkpoint(ctx, at)
		if err != nil {
			return err
		}
		at.Sequence = st.Mark.Sequence
	}
	if at.Sequence != q.token.Mark {
		return invalid("the token is of the moment %d, the query asks for %d", q.token.Mark, at.Sequence)
	}
	return nil
}

// tenantAdmits guards against a store that yields what the scope does not
// hold: a fault of the store must not show one tenant another's figures.
func (q *query) tenantAdmits(tenant string) bool { return q.scope.Holds(tenant) }

// seriesAdmits decides everything that a series alone decides.
func (q *query) seriesAdmits(tenant, meter string, dims Dimensions) (bool, error) {
	if !q.tenantAdmits(tenant) || q.meters != nil && !slices.Contains(q.meters, meter) {
		return false, nil
	}
	for i := range q.required {
		r := &q.required[i]
		if !r.holds(r.field.ofSeries(tenant, meter, dims, 0)) {
			return false, nil
		}
	}
	if q.bySeries == nil {
		return true, nil
	}
	q.scratch = seriesRow{fields: q.bySeries.fields, tenant: tenant, meter: meter, dims: dims}
	return q.bySeries.program.Match(&q.scratch)
}

// classAdmits decides what the verdict adds to a series.
func (q *query) classAdmits(tenant, meter string, dims Dimensions, class VerdictClass) (bool, error) {
	if q.byClass == nil {
		return true, nil
	}
	q.scratch = seriesRow{fields: q.byClass.fields, tenant: tenant, meter: meter, dims: dims, class: class}
	return q.byClass.program.Match(&q.scratch)
}

// recordAdmits decides what only the record itself decides. The row is the
// caller's scratch space.
func (q *query) recordAdmits(s *Stored, row *recordRow) (bool, error) {
	if ok, err := q.classAdmits(s.Tenant, s.Meter, s.Dimensions, s.Verdict.Class()); !ok || err != nil {
		return false, err
	}
	if q.byRecord == nil {
		return true, nil
	}
	row.fields, row.record = q.byRecord.fields, s
	return q.byRecord.program.Match(row)
}

// selection is the query's conditions as a store takes them.
func (q *query) selection() Selection {
	sel := Selection{Scope: q.scope, Mark: q.mark, Meters: q.meters, Filter: q.hint}
	if q.src.On == RecordedTime {
		sel.RecordedFrom, sel.RecordedTo = q.src.From, q.src.To
	}
	from, to := q.from, q.to
	if q.bounded {
		from, to = max(from, q.since), min(to, q.until)
	}
	sel.From, sel.To = q.bounds(from, to)
	return sel
}

func (q *query) bounds(from, to int64) (a, b time.Time) {
	if from != openPast {
		a = time.UnixMicro(from).UTC()
	}
	if to != openFuture {
		b = time.UnixMicro(to).UTC()
	}
	return a, b
}
