package uts

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/httpadapter"
)

// Options are the settings of the API. Nil and the zero value both work.
type Options struct {
	// Meter is the meter that usages are booked on. Defaults to app-usage. What
	// the aggregates read is said by each KPI.
	Meter string

	// Fields says under which dimension alias, resource, userId and userType are
	// booked: the first of each list. Defaults to dimensions of the same names.
	// provider, application and unit have theirs for ever, as rules and KPIs go
	// by them.
	Fields httpadapter.Fields

	// NewID makes the first part of job ids, which has to differ for each job:
	// at most 64 bytes, without a slash. Defaults to random UUIDs.
	NewID func() string
}

// The dimensions that do not depend on Options.Fields.
const (
	providerDimension    = "provider"
	applicationDimension = "application"
	unitDimension        = "unit"
)

// defaults are the dimensions that usages are booked with.
var defaults = httpadapter.Fields{
	"alias":    {"alias"},
	"resource": {"resource"},
	"userId":   {"userId"},
	"userType": {"userType"},
}

// service is the options made ready.
type service struct {
	meter string
	newID func() string
	// The names of dimensions.
	alias, resource, userID, userType string
}

func (o *Options) compile() (*service, error) {
	if o == nil {
		o = &Options{}
	}
	s := &service{meter: o.Meter, newID: o.NewID}
	if s.meter == "" {
		s.meter = httpadapter.AppUsage
	}
	if s.newID == nil {
		s.newID = httpadapter.NewUUID
	}
	fields, err := o.Fields.Over(defaults)
	if err != nil {
		return s, err
	}
	var faults []error
	taken := map[string]string{providerDimension: providerDimension, applicationDimension: applicationDimension, unitDimension: unitDimension}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		name, spelled := strings.CutPrefix(fields[field][0], "dimensions/")
		if !spelled && slices.Contains([]string{"tenant", "meter", "source", "id"}, name) {
			faults = append(faults, fmt.Errorf("the field %q cannot be booked as %q, which is no dimension", field, name))
		}
		if other, twice := taken[name]; twice {
			faults = append(faults, fmt.Errorf("the fields %q and %q would both be booked as the dimension %q", other, field, name))
		}
		taken[name] = field
		switch field {
		case "alias":
			s.alias = name
		case "resource":
			s.resource = name
		case "userId":
			s.userID = name
		case "userType":
			s.userType = name
		}
	}
	return s, errors.Join(faults...)
}
