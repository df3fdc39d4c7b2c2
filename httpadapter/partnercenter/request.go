package partnercenter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter"
)

// maxRows is the number of rows in a page, by default and at most.
const maxRows = 10_000

// request is what was asked for, checked.
type request struct {
	top, skip int64
	// topName and skipName are the parameters as documented that the client used.
	topName, skipName string
	from, to          time.Time
	condition         *filter.Program
	// fields are those of a row, in its order; grouped tells whether they were
	// named.
	fields  []field
	grouped bool
	// level cuts usageDate in grouped rows.
	level aggregate.Window
	order []key
}

// key is one key of the order.
type key struct {
	field field
	desc  bool
}

// given returns a parameter that may be spelled with a $, and the name it has.
func given(c *httpadapter.Call, name string) (value, as string, err error) {
	plain, ok := c.Lookup(name)
	odata, ok2 := c.Lookup("$" + name)
	switch {
	case ok && ok2:
		return "", "", &httpadapter.Problem{Kind: httpadapter.Twice, Field: name, Message: fmt.Sprintf("The parameter '%s' is given more than once.", name)}
	case ok2:
		return odata, "$" + name, nil
	}
	return plain, name, nil
}

func (s *service) request(c *httpadapter.Call) (*request, error) {
	q := &request{top: maxRows}
	var err error
	var text string
	if text, q.topName, err = given(c, "top"); err != nil {
		return nil, err
	}
	if text != "" {
		if q.top, err = number("top", text, 1); err != nil {
			return nil, err
		}
		q.top = min(q.top, maxRows)
	}
	if text, q.skipName, err = given(c, "skip"); err != nil {
		return nil, err
	}
	if text != "" {
		if q.skip, err = number("skip", text, 0); err != nil {
			return nil, err
		}
	}
	if err = q.readRange(c); err != nil {
		return nil, err
	}
	if err = q.readGroups(c); err != nil {
		return nil, err
	}
	if err = q.readOrder(c); err != nil {
		return nil, err
	}
	if text, _, err = given(c, "filter"); err != nil || text == "" {
		return q, err
	}
	tree, err := filter.Parse(text, nil)
	if err != nil {
		return nil, err
	}
	checked, err := filter.Check(tree, s.schema)
	if err != nil {
		return nil, err
	}
	q.condition = checked.Compile()
	return q, nil
}

// number reads a count; one that is too large for any answer is the largest.
func number(name, text string, least int64) (int64, error) {
	digits := strings.TrimLeft(text, "0")
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, httpadapter.Bad(name, "'%s' is not a whole number of at least %d: %q.", name, least, clip(text))
	}
	if len(digits) > 15 {
		return 1e15, nil
	}
	n, _ := strconv.ParseInt("0"+digits, 10, 64) // digits alone, and few
	if n < least {
		return 0, httpadapter.Bad(name, "'%s' is %d; at least %d is allowed.", name, n, least)
	}
	return n, nil
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

func (q *request) readRange(c *httpadapter.Call) error {
	var err error
	if text := c.Param("startDate"); text != "" {
		if q.from, _, err = instant("startDate", text); err != nil {
			return err
		}
	}
	if text := c.Param("endDate"); text != "" {
		day := false
		if q.to, day, err = instant("endDate", text); err != nil {
			return err
		}
		if day {
			q.to = q.to.AddDate(0, 0, 1)
		}
		if q.from.After(q.to) || day && !q.from.Before(q.to) {
			return httpadapter.Bad("endDate", "'startDate' is after 'endDate'.")
		}
	}
	return nil
}

// dates and instants are the layouts that are understood.
var (
	dates    = []string{"2006-01-02", "2006/01/02", "1/2/2006", "2006/1/2"}
	instants = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "1/2/2006 15:04:05", "1/2/2006 3:04:05 PM"}
)

// instant reads a date, in which case day is true, or an instant.
func instant(name, text string) (t time.Time, day bool, err error) {
	bad := httpadapter.Bad(name, "'%s' is not a date: %q. Give one such as 2018-05-27 or 2018-05-27T00:00:00Z.", name, clip(text))
	if len(text) > 64 {
		return t, false, bad
	}
	// The zero time would be no bound at all.
	ok := func(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9998 && !t.IsZero() }
	for _, layout := range dates {
		if t, err := time.Parse(layout, text); err == nil && ok(t) {
			return t, true, nil
		}
	}
	for _, layout := range instants {
		// A plus that was not escaped arrives as a blank.
		for _, spelled := range []string{text, strings.Replace(text, " ", "+", 1)} {
			if t, err := time.Parse(layout, spelled); err == nil && ok(t.UTC()) {
				return t.UTC(), false, nil
			}
		}
	}
	return t, false, bad
}

// fieldList reads a list of names.
func fieldList(name, text string) ([]field, error) {
	var out []field
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		f, ok := fieldOf(item)
		if !ok {
			return nil, httpadapter.Bad(name, "'%s' names %q, which is no field. Allowed: %s.", name, clip(item), strings.Join(names[:], ", "))
		}
		if slices.Contains(out, f) {
			return nil, httpadapter.Bad(name, "'%s' names %s twice.", name, item)
		}
		out = append(out, f)
	}
	return out, nil
}

func (q *request) readGroups(c *httpadapter.Call) error {
	text, level := strings.TrimSpace(c.Param("groupby")), c.Param("aggregationLevel")
	q.level = aggregate.Window{Unit: aggregate.Day}
	switch strings.ToLower(level) {
	case "", "day":
	case "week":
		q.level.Unit = aggregate.Week
	case "month":
		q.level.Unit = aggregate.Month
	default:
		return httpadapter.Bad("aggregationLevel", "'aggregationLevel' is %q. Allowed: day, week, month.", clip(level))
	}
	if text == "" {
		if level != "" {
			return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "800002", Field: "aggregationLevel", Message: "aggregationLevel is not supported without groupby."}
		}
		for f := range fieldCount {
			q.fields = append(q.fields, f)
		}
		return nil
	}
	var err error
	q.grouped = true
	if q.fields, err = fieldList("groupby", text); err != nil {
		return err
	}
	slices.Sort(q.fields)
	return nil
}

func (q *request) readOrder(c *httpadapter.Call) error {
	text, _, err := given(c, "orderby")
	if err != nil {
		return err
	}
	if strings.TrimSpace(text) != "" {
		for item := range strings.SplitSeq(text, ",") {
			name, direction, _ := strings.Cut(strings.TrimSpace(item), " ")
			list, err := fieldList("orderby", name)
			if err != nil {
				return err
			}
			k := key{field: list[0]}
			switch strings.ToLower(strings.TrimSpace(direction)) {
			case "", "asc":
			case "desc":
				k.desc = true
			default:
				return httpadapter.Bad("orderby", "'orderby' has %q after %s. Allowed: asc, desc.", clip(direction), name)
			}
			if slices.ContainsFunc(q.order, func(o key) bool { return o.field == k.field }) {
				return httpadapter.Bad("orderby", "'orderby' names %s twice.", name)
			}
			if !slices.Contains(q.fields, k.field) {
				return httpadapter.Bad("orderby", "'orderby' names %s, which is not in 'groupby'.", name)
			}
			q.order = append(q.order, k)
		}
	}
	// The rest makes the order total: usageDate, then the other fields.
	for _, f := range append([]field{usageDate}, q.fields...) {
		if slices.Contains(q.fields, f) && !slices.ContainsFunc(q.order, func(o key) bool { return o.field == f }) {
			q.order = append(q.order, key{field: f})
		}
	}
	return nil
}
