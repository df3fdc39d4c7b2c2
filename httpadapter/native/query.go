package native

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// maxPage is the highest pageSize.
const maxPage = 10_000

// question is what the parameters of a reading route ask for.
type question struct {
	scope usage.Scope
	query usage.Query
	apply string
	// none: $top=0 asks for no rows at all.
	none bool
}

func readQuestion(c *httpadapter.Call) (*question, error) {
	q := &question{}
	switch tenant := c.Param("tenant"); tenant {
	case "":
		return nil, httpadapter.Bad("tenant", "'tenant' is missing; give one, or * for all that the token is for")
	case httpadapter.Everything:
		q.scope = c.Principal.Scope()
	default:
		q.scope = usage.ForTenant(tenant)
	}
	zone := time.UTC
	if name := c.Param("tz"); name != "" {
		var err error
		if zone, err = time.LoadLocation(name); err != nil || name == "Local" {
			return nil, httpadapter.Bad("tz", "'tz' is %q, which is no IANA zone such as Europe/Zurich", clip(name))
		}
	}
	x := &q.query
	var err error
	if x.From, err = moment(c, "from", zone); err != nil {
		return nil, err
	}
	if x.To, err = moment(c, "to", zone); err != nil {
		return nil, err
	}
	switch on := c.Param("on"); on {
	case "", "event":
	case "recorded":
		x.On = usage.RecordedTime
	default:
		return nil, httpadapter.Bad("on", "'on' is %q; event and recorded are allowed", clip(on))
	}
	if text := c.Param("window"); text != "" && text != "none" {
		unit, err := aggregate.ParseUnit(text)
		if err != nil || unit == aggregate.BillingCycle {
			return nil, httpadapter.Bad("window", "'window' is %q; none, hour, day, week, month, quarter and year are allowed", clip(text))
		}
		x.Window = aggregate.Window{Unit: unit, Location: zone}
	}
	if text := c.Param("measures"); text != "" {
		if x.Measures, err = usage.ParseMeasures(text); err != nil {
			return nil, in("measures", err)
		}
	}
	x.Filter, x.OrderBy, x.Token = c.Param("$filter"), c.Param("$orderby"), c.Param("$skiptoken")
	if text := c.Param("$groupby"); text != "" {
		x.GroupBy = []string{text}
	}
	if q.apply = c.Param("$apply"); q.apply != "" && (len(x.GroupBy) > 0 || len(x.Measures) > 0) {
		return nil, httpadapter.Bad("$apply", "'$apply' is given with 'measures' or '$groupby'; it has its own")
	}
	if x.Count, err = flagParam(c, "$count"); err != nil {
		return nil, err
	}
	if x.ZeroFill, err = flagParam(c, "zeroFill"); err != nil {
		return nil, err
	}
	if q.apply != "" && x.ZeroFill {
		return nil, httpadapter.Bad("zeroFill", "'zeroFill' is not possible with '$apply'")
	}
	if x.PageSize, _, err = count(c, "pageSize", 1, maxPage); err != nil {
		return nil, err
	}
	top, given, err := count(c, "$top", 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	q.none = given && top == 0
	x.Limit = top
	if text := c.Param("asOf"); text != "" {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && n > 0 {
			x.AsOf.Sequence = n
		} else if x.AsOf.Time, err = moment(c, "asOf", zone); err != nil {
			return nil, httpadapter.Bad("asOf", "'asOf' is %q, which is neither a sequence nor an instant", clip(text))
		}
	}
	return q, nil
}

// in names the parameter that an error is about.
func in(parameter string, err error) error {
	p := *httpadapter.ProblemOf(err)
	p.Field = parameter
	return &p
}

// count reads a number of rows.
func count(c *httpadapter.Call, name string, least, most int) (n int, given bool, err error) {
	text := c.Param(name)
	if text == "" {
		return 0, false, nil
	}
	n, err = strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, false, httpadapter.Bad(name, "'%s' is %q; %d to %d are allowed", name, clip(text), least, most)
	}
	return n, true, nil
}

// moment reads an instant; a date is its midnight in the zone.
func moment(c *httpadapter.Call, name string, zone *time.Location) (time.Time, error) {
	text := c.Param(name)
	if text == "" {
		return time.Time{}, nil
	}
	bad := httpadapter.Bad(name, "'%s' is %q, which is no instant such as 2026-01-31T00:00:00Z and no date", name, clip(text))
	if len(text) > 64 {
		return time.Time{}, bad
	}
	// A plus that was not escaped arrives as a blank.
	t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1))
	if err != nil {
		if t, err = time.ParseInLocation(time.DateOnly, text, zone); err != nil {
			return time.Time{}, bad
		}
	}
	if t.IsZero() {
		return time.Time{}, bad // it would be no bound at all
	}
	return t.UTC(), nil
}

// where finds the parameter that an expression at fault came from.
func where(c *httpadapter.Call, err error) error {
	var fe *filter.Error
	if errors.As(err, &fe) && fe.Text != "" {
		for _, name := range []string{"$filter", "$apply", "$groupby", "$orderby"} {
			if c.Param(name) == fe.Text {
				return in(name, err)
			}
		}
	}
	if errors.Is(err, paginate.ErrToken) {
		return in("$skiptoken", err)
	}
	return err
}

func usageRows(c *httpadapter.Call) error {
	q, err := readQuestion(c)
	if err != nil {
		return err
	}
	if q.apply != "" {
		return applyRows(c, q)
	}
	page, err := c.Book.Query(c.Context(), q.scope, q.query)
	if err != nil {
		return where(c, err)
	}
	o := &RowsOptions{Count: q.query.Count}
	switch {
	case q.none:
		page.Rows = nil
	case page.Next != "":
		o.NextLink = c.Link(httpadapter.Figure{Name: "$skiptoken", Value: page.Next})
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error { return WriteRows(out, page, o) })
}

func applyRows(c *httpadapter.Call, q *question) error {
	x := q.query
	page, err := c.Book.Apply(c.Context(), q.scope, usage.ApplyQuery{From: x.From, To: x.To, On: x.On, Window: x.Window, Apply: q.apply, Filter: x.Filter, OrderBy: x.OrderBy,
		Limit: x.Limit, PageSize: x.PageSize, Token: x.Token, AsOf: x.AsOf, Count: x.Count})
	if err != nil {
		return where(c, err)
	}
	o := &RowsOptions{Count: x.Count}
	switch {
	case q.none:
		page.Rows = nil
	case page.Next != "":
		o.NextLink = c.Link(httpadapter.Figure{Name: "$skiptoken", Value: page.Next})
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error { return WriteApplied(out, page, o) })
}
