package purecloud

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
)

// Options are the settings of the API. Nil and the zero value both work.
type Options struct {
	// Meters are the meters whose records the API reads. Defaults to
	// api-requests.
	Meters []string

	// Fields says which fields of a record clientId, clientName, organizationId,
	// userId, templateUri and httpMethod are. Defaults to the dimensions of these
	// names, and to tenant for organizationId.
	Fields httpadapter.Fields

	// Values says which value of a record each of status200, status300,
	// status400, status500, status429 and requests is. Defaults to the values of
	// these names.
	Values map[string]string

	// Rounding makes totals integers. Defaults to none: a total with a fraction
	// is our fault, and answered with 500.
	Rounding httpadapter.Rounding

	// Wait is how long a request that starts an execution waits for its end: 200
	// then, 202 otherwise. It should be well below httpadapter.Options.Timeout.
	// Defaults to one second.
	Wait time.Duration

	// NoWait answers at once, whatever Wait is.
	NoWait bool
}

// field is a field by which rows are grouped, by its place in a row.
type field int

const (
	clientID field = iota
	clientName
	organizationID
	userID
	templateURI
	httpMethod
	fieldCount
)

// fieldNames are the fields as documented, in the order of a row.
var fieldNames = [fieldCount]string{"clientId", "clientName", "organizationId", "userId", "templateUri", "httpMethod"}

// figure is a number of a row, by its place among them.
type figure int

const (
	status200 figure = iota
	status300
	status400
	status500
	status429
	requests
	figureCount
)

// figureNames are the figures as documented, in the order of a row.
var figureNames = [figureCount]string{"status200", "status300", "status400", "status500", "status429", "requests"}

// service is the options made ready.
type service struct {
	meters   []string
	fields   httpadapter.Fields
	values   []string
	rounding httpadapter.Rounding
	wait     time.Duration
}

func (o *Options) compile() (*service, error) {
	if o == nil {
		o = &Options{}
	}
	s := &service{meters: slices.Clone(o.Meters), rounding: o.Rounding, wait: o.Wait}
	if len(s.meters) == 0 {
		s.meters = []string{httpadapter.APIRequests}
	}
	var faults []error
	defaults := httpadapter.Fields{}
	for _, name := range fieldNames {
		defaults[name] = []string{name}
	}
	defaults[fieldNames[organizationID]] = []string{"tenant"}
	var err error
	if s.fields, err = o.Fields.Over(defaults); err != nil {
		faults = append(faults, err)
	}
	if s.values, err = httpadapter.ValueNames(o.Values, figureNames[:]); err != nil {
		faults = append(faults, err)
	}
	if s.wait < 0 {
		faults = append(faults, fmt.Errorf("the wait is %s, at least 0 is allowed", s.wait))
	}
	if s.wait == 0 {
		s.wait = time.Second
	}
	if o.NoWait {
		s.wait = 0
	}
	return s, errors.Join(faults...)
}
