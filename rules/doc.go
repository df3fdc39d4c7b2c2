// Package rules decides which records of usage are valid and billable.
//
// Three nouns:
//
//   - A Rule names what it applies to (a meter, a unit, an application, any
//     dimension, a condition, a period) and what must hold there.
//   - A Set is a list of rules, compiled once, with a version. It is immutable.
//   - A Judgement is what a Set says of one record: a verdict, whether the usage
//     is billable, the rules that applied, and every violation.
//
// Rules are written in Go or read from JSON, and a Holder lets a service swap
// its Set while it runs:
//
//	list, err := rules.Parse(file)
//	set, err := rules.New("2026-03", list, &rules.Options{Strict: true})
//	var holder rules.Holder
//	holder.Swap(set)
//	...
//	judgement := holder.Judge(subject, time.Now())
//
// # Which rules apply
//
// A rule covers a record when all of its selectors equal the record's own
// values (byte by byte), its filter is true, and the record's event time (its
// start) is in [From, Until). A record is judged by the rules in force when the
// usage happened, so a late record meets the rules of its own day. Every rule
// that covers a record applies: the record has to satisfy all of them, and the
// judgement lists the violations of all of them, in the order of the rules and
// within a rule in the order of the table below. A rule that changes keeps its
// name: give a second rule of that name whose period begins where the first's
// ends. Rules of one name whose periods overlap are refused by New.
//
// A record that no rule covers has the verdict NoRule and is accepted, unless
// Options.Strict refuses it.
//
// # Which usage is billable
//
// Usage is billable when a rule that applies says so and none says that it is
// not: usage is billed because somebody said so, and one exception (a free
// tier, a test account) is enough to leave it out. Rules without Billable have
// no say. Refused usage and usage without a rule is not billable.
//
// # Violations
//
// The code of a violation is the JSON key of what was broken, in snake case.
//
//	code            the record is refused because                     field
//	filter          the rule's filter cannot be evaluated on it       rules
//	tenants         its tenant is not listed                          tenant
//	user_types      its dimension userType is absent or not listed    dimensions.userType
//	units           its unit is absent or not listed                  dimensions.unit
//	required        a dimension or value is absent                    dimensions.X, values.X
//	forbidden       a dimension is present                            dimensions.X
//	allowed         a dimension is present that is not listed         dimensions.X
//	allowed_values  a dimension has a value that is not listed        dimensions.X
//	min, max        a value is below or above the bound               values.X
//	scale           a value has more decimal places                   values.X
//	sign            a value has another sign                          values.X
//	max_age         its start is too long ago at the time of judging  start
//	max_future      its start is too far ahead of that time           start
//	no_rule         no rule covers it, in a strict set                rules
//
// Params hold the figures of the message: first what the rule says under the
// rule's own key, then what the record says.
//
// # KPIs
//
// A KPI defines a monthly figure: which records are of it, how the records of a
// day and the days of a month add up, and what a silent day counts. KPIs are
// written in Go or read by ParseKPIs, and a KPISet finds them by provider,
// application and name. They judge no record; usage.Book.KPI works them out.
//
// # Names in filters
//
// A rule's filter is an expression of package filter over the fields of a
// record that is not booked yet: id, source, tenant, meter, start, end,
// values/NAME and dimensions/NAME. Any other name is a value if Options.Values
// lists it and else a dimension. What is absent is null. The names of fields
// that only a booked record has (recorded, sequence, verified, billable) are
// unknown here.
//
// # What it does not do
//
// It reads no store and no clock: the time of judging is an argument. It does
// not look at other records, so there are no quotas or uniqueness checks, and it
// changes no record. Shape (required fields, lengths, digits) is not its matter
// either.
//
// # Caveats
//
// A limit on a value says nothing about records without that value; say that
// the value is required as well. A filter that fails on a record (by dividing
// by zero) refuses it, as nobody can tell whether the rule covers it.
// Renaming a dimension changes what a rule selects.
//
// # Performance
//
// Rules are indexed by the values of their selectors, so a record is compared
// with the rules of its own meter, application and unit, not with all of them;
// only rules without any selector are looked at for every record. Judging a
// record that passes does not allocate. BenchmarkJudge takes 0.1 microseconds a
// record with one rule and 0.6 with 1,000 or 10,000, of which two apply and one
// has a filter (a virtual Xeon core, Go 1.26).
package rules
