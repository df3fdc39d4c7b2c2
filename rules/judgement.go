package rules

import "strings"

// Verdict is what a Set says of a record.
type Verdict uint8

// The verdicts.
const (
	// Unverified: there was no Set to judge by. The zero value.
	Unverified Verdict = iota
	// NoRule: no rule covers the record, and the Set accepts that.
	NoRule
	// Verified: at least one rule covers the record, and it satisfies all that do.
	Verified
	// Refused: the record violates a rule, or no rule covers it and the Set is strict.
	Refused
)

var verdictNames = [...]string{"unverified", "no rule", "verified", "refused"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "invalid"
}

// Judgement is what a Set says of one record. It is a value; its slices must not
// be changed, as Rules is shared between judgements.
type Judgement struct {
	Verdict Verdict
	// Billable is true when a rule that applied says so and none says otherwise.
	// Never for refused usage.
	Billable bool
	// Version is the version of the Set; empty when there was none.
	Version string
	// Violations are everything that is wrong, in the order of the rules. Empty
	// unless the verdict is Refused.
	Violations []Violation
	// Rules are the names of the rules that applied, in the order of the Set.
	Rules []string
}

// Violation is one thing that is wrong with a record.
type Violation struct {
	// Code is for programs; the package comment lists the codes of rules.
	Code string
	// Field is what the violation is about: tenant, start, dimensions.NAME,
	// values.NAME, or rules where it is no single field.
	Field string
	// Message is a sentence for a person, lower case and without a full stop.
	Message string
	// Rule is the name of the rule that was broken; empty where it was none.
	Rule string
	// Params are the figures of the message: what the rule says, then what the
	// record says.
	Params []Param
}

// Param is one figure of a message.
type Param struct {
	Name, Value string
}

// String returns the violation in one line: field, message and code.
func (v Violation) String() string {
	var b strings.Builder
	if v.Field != "" {
		b.WriteString(v.Field)
		b.WriteString(": ")
	}
	b.WriteString(v.Message)
	b.WriteString(" (")
	b.WriteString(v.Code)
	b.WriteString(")")
	return b.String()
}

// The codes of violations, as the table in the package comment explains them.
const (
	CodeFilter        = "filter"
	CodeTenants       = "tenants"
	CodeUserTypes     = "user_types"
	CodeUnits         = "units"
	CodeRequired      = "required"
	CodeForbidden     = "forbidden"
	CodeAllowed       = "allowed"
	CodeAllowedValues = "allowed_values"
	CodeMin           = "min"
	CodeMax           = "max"
	CodeScale         = "scale"
	CodeSign          = "sign"
	CodeMaxAge        = "max_age"
	CodeMaxFuture     = "max_future"
	CodeNoRule        = "no_rule"
)
