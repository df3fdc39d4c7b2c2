package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// Judge says what the set makes of a record. now is the time of judging, which
// the greatest age and future are measured against. It reads the record and
// changes nothing; the same record, set and now give the same judgement.
func (s *Set) Judge(sub Subject, now time.Time) Judgement {
	if s == nil {
		return Judgement{}
	}
	j := s.judges.Get().(*judge)
	defer s.judges.Put(j)
	defer j.release()
	j.set, j.sub, j.now = s, sub, now

	j.found = s.index.find(j.found[:0], sub, s.units)
	start := sub.Start().UnixMicro()
	yes, no := false, false
	for _, i := range j.found {
		r := &s.compiled[i]
		if start < r.from || start >= r.until || !j.selected(r) {
			continue
		}
		covered, err := j.matches(r)
		if err != nil {
			j.violate(r, CodeFilter, "rules", "the filter of rule "+r.name+" cannot be evaluated: "+strings.TrimPrefix(err.Error(), "filter: "))
			j.applied = append(j.applied, i)
			continue
		}
		if !covered {
			continue
		}
		j.applied = append(j.applied, i)
		j.check(r)
		if r.billable != nil {
			yes = yes || *r.billable
			no = no || !*r.billable
		}
	}

	out := Judgement{Version: s.version, Rules: s.names.of(j.applied), Violations: j.violations}
	switch {
	case len(j.violations) > 0:
		out.Verdict = Refused
	case len(j.applied) > 0:
		out.Verdict = Verified
		out.Billable = yes && !no
	case s.strict:
		out.Verdict = Refused
		out.Violations = []Violation{j.noRule()}
	default:
		out.Verdict = NoRule
	}
	return out
}

// judge is one judging under way. It is reused, so that judging does not
// allocate, and used by one goroutine at a time.
type judge struct {
	set        *Set
	sub        Subject
	now        time.Time
	found      []int32 // rules that may cover the record
	applied    []int32 // rules that do
	violations []Violation

	// rule and dimension are what the loops over all dimensions and values are
	// about; the loops' bodies are bound once, as a new one would be allocated
	// for every record.
	rule        *compiled
	onDimension func(name, value string) bool
	onValue     func(name string, n aggregate.Number) bool
}

var _ filter.Row = (*judge)(nil)

func newJudge() *judge {
	j := &judge{found: make([]int32, 0, 16), applied: make([]int32, 0, 16)}
	j.onDimension, j.onValue = j.checkDimension, j.checkOther
	return j
}

// release lets go of everything that belongs to the caller.
func (j *judge) release() {
	j.set, j.sub, j.rule, j.violations = nil, nil, nil, nil
	j.applied = j.applied[:0]
}

// Value implements filter.Row for the filter of the rule that is being looked at.
func (j *judge) Value(slot int) filter.Value { return j.rule.fields[slot].of(j.sub) }

// selected compares the selectors with the record; the index only knows hashes.
func (j *judge) selected(r *compiled) bool {
	for i := range r.selectors {
		s := &r.selectors[i]
		if text, ok := s.read(j.sub, j.set.units); !ok || text != s.value {
			return false
		}
	}
	return true
}

func (j *judge) matches(r *compiled) (bool, error) {
	if r.program == nil {
		return true, nil
	}
	j.rule = r
	return r.program.Match(j)
}

func (j *judge) violate(r *compiled, code, field, message string, params ...Param) {
	j.violations = append(j.violations, Violation{Code: code, Field: field, Message: message, Rule: r.name, Params: params})
}

// check holds a record against everything that a rule demands.
func (j *judge) check(r *compiled) {
	if r.tenants != nil && !r.tenants.has(j.sub.Tenant()) {
		// The list stays out of the message: it would tell one tenant of others.
		tenant := j.sub.Tenant()
		j.violate(r, CodeTenants, "tenant", fmt.Sprintf("tenant %q is not among the rule's tenants", shorten(tenant)), Param{"tenant", tenant})
	}
	if r.userTypes != nil {
		text, ok := j.sub.Dimension(userTypeName)
		j.checkListed(r, r.userTypes, CodeUserTypes, "userTypes", userTypeName, text, ok)
	}
	if r.units != nil {
		text, ok := unitOf(j.sub, r.unitOf, j.set.units)
		j.checkListed(r, r.units, CodeUnits, "units", unitName, text, ok)
	}
	for _, name := range r.required {
		if _, ok := j.sub.Dimension(name); !ok {
			j.violate(r, CodeRequired, "dimensions."+name, "dimension "+name+" is required", Param{"required", name})
		}
	}
	for i := range r.values {
		if l := &r.values[i]; l.Required {
			if _, ok := j.sub.Value(l.name); !ok {
				j.violate(r, CodeRequired, "values."+l.name, "value "+l.name+" is required", Param{"required", l.name})
			}
		}
	}
	for _, name := range r.forbidden {
		if _, ok := j.sub.Dimension(name); ok {
			j.violate(r, CodeForbidden, "dimensions."+name, "dimension "+name+" is forbidden", Param{"forbidden", name})
		}
	}
	if r.allowed != nil {
		j.rule = r
		j.sub.Dimensions()(j.onDimension)
	}
	for i := range r.allowedValues {
		a := &r.allowedValues[i]
		if text, ok := j.sub.Dimension(a.dimension); ok {
			j.checkListed(r, a.list, CodeAllowedValues, "allowedValues", a.dimension, text, true)
		}
	}
	for i := range r.values {
		l := &r.values[i]
		if n, ok := j.sub.Value(l.name); ok && l.breaks(n) {
			j.checkLimits(r, l.name, &l.Limits, n)
		}
	}
	if r.others != nil {
		j.rule = r
		j.sub.Values()(j.onValue)
	}
	j.checkTimes(r)
}

func (j *judge) checkListed(r *compiled, l *list, code, key, dimension, text string, present bool) {
	if present && l.has(text) {
		return
	}
	field := "dimensions." + dimension
	if !present {
		j.violate(r, code, field, fmt.Sprintf("%s is absent, the rule allows %s", dimension, l), Param{key, l.String()})
		return
	}
	j.violate(r, code, field, fmt.Sprintf("%s %q is not allowed, the rule allows %s", dimension, shorten(text), l),
		Param{key, l.String()}, Param{dimension, text})
}

func (j *judge) checkDimension(name, _ string) bool {
	if !j.rule.allowed.has(name) {
		j.violate(j.rule, CodeAllowed, "dimensions."+name, fmt.Sprintf("dimension %s is not allowed, the rule allows %s", name, j.rule.allowed),
			Param{"allowed", j.rule.allowed.String()}, Param{"dimension", name})
	}
	return true
}

func (j *judge) checkOther(name string, n aggregate.Number) bool {
	if l := j.rule.others; l.breaks(n) && !j.rule.limitsOf(name) {
		j.checkLimits(j.rule, name, l, n)
	}
	return true
}

// checkLimits says which limits a number breaks.
func (j *judge) checkLimits(r *compiled, name string, l *Limits, n aggregate.Number) {
	field, actual := "values."+name, Param{name, n.String()}
	if l.Min != nil && n.Cmp(*l.Min) < 0 {
		j.violate(r, CodeMin, field, fmt.Sprintf("%s %s is below the rule's minimum %s", name, n, l.Min), Param{"min", l.Min.String()}, actual)
	}
	if l.Max != nil && n.Cmp(*l.Max) > 0 {
		j.violate(r, CodeMax, field, fmt.Sprintf("%s %s is above the rule's maximum %s", name, n, l.Max), Param{"max", l.Max.String()}, actual)
	}
	if l.Scale != nil && int(n.Scale()) > *l.Scale {
		j.violate(r, CodeScale, field, fmt.Sprintf("%s %s has %d decimal places, the rule allows %d", name, n, n.Scale(), *l.Scale),
			Param{"scale", fmt.Sprint(*l.Scale)}, actual)
	}
	if !l.Sign.allows(n.Sign()) {
		j.violate(r, CodeSign, field, fmt.Sprintf("%s %s is not %s, as the rule demands", name, n, signWords(l.Sign)), Param{"sign", l.Sign.String()}, actual)
	}
}

func signWords(s Sign) string {
	switch s {
	case NonNegative:
		return "zero or above"
	case NonPositive:
		return "zero or below"
	}
	return s.String()
}

func (j *judge) checkTimes(r *compiled) {
	if r.maxAge == nil && r.maxFuture == nil {
		return
	}
	start := j.sub.Start()
	if r.maxAge != nil && start.Before(j.now.Add(-*r.maxAge)) {
		j.violate(r, CodeMaxAge, "start", fmt.Sprintf("start %s is more than the rule's greatest age %s ago", formatTime(start), formatDuration(*r.maxAge)),
			Param{"maxAge", formatDuration(*r.maxAge)}, Param{"start", formatTime(start)})
	}
	if r.maxFuture != nil && start.After(j.now.Add(*r.maxFuture)) {
		j.violate(r, CodeMaxFuture, "start", fmt.Sprintf("start %s is more than the rule's %s ahead", formatTime(start), formatDuration(*r.maxFuture)),
			Param{"maxFuture", formatDuration(*r.maxFuture)}, Param{"start", formatTime(start)})
	}
}

// noRule is the violation of a record that no rule of a strict set covers.
func (j *judge) noRule() Violation {
	message := fmt.Sprintf("no rule covers meter %q", shorten(j.sub.Meter()))
	params := []Param{{"meter", j.sub.Meter()}}
	for _, name := range []string{applicationName, unitName} {
		if text, ok := j.sub.Dimension(name); ok {
			message += fmt.Sprintf(", %s %q", name, shorten(text))
			params = append(params, Param{name, text})
		}
	}
	message += " at " + formatTime(j.sub.Start())
	params = append(params, Param{"start", formatTime(j.sub.Start())})
	return Violation{Code: CodeNoRule, Field: "rules", Message: message, Params: params}
}
