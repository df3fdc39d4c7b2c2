package ocs

import (
	"errors"
	"slices"

	"github.com/usagebook/usagebook/httpadapter"
)

// Options are the settings of the API. Nil and the zero value both work.
type Options struct {
	// Meters are the meters whose records the API reads. Defaults to
	// stream-events.
	Meters []string

	// Fields says which dimensions the namespaceId and streamId of a record are.
	// Defaults to the dimensions of these names.
	Fields httpadapter.Fields

	// Values says which value of a record each of ingressEvents, egressEvents,
	// ingressStreamsAccessed and egressStreamsAccessed is. Defaults to the
	// values of these names.
	Values map[string]string

	// Rounding makes totals integers. Defaults to none: a total with a fraction
	// is our fault, and answered with 500.
	Rounding httpadapter.Rounding
}

const (
	namespaceID = "namespaceId"
	streamID    = "streamId"
)

// figures are the values of a row, in the order in which queries ask for them.
var figures = [...]string{"ingressEvents", "egressEvents", "ingressStreamsAccessed", "egressStreamsAccessed"}

const (
	ingress = iota
	egress
	ingressStreams
	egressStreams
)

// service is the options made ready.
type service struct {
	meters   []string
	fields   httpadapter.Fields
	values   []string
	rounding httpadapter.Rounding
}

func (o *Options) compile() (*service, error) {
	if o == nil {
		o = &Options{}
	}
	s := &service{meters: slices.Clone(o.Meters), rounding: o.Rounding}
	if len(s.meters) == 0 {
		s.meters = []string{httpadapter.StreamEvents}
	}
	var faults []error
	var err error
	if s.fields, err = o.Fields.Over(httpadapter.Fields{namespaceID: {namespaceID}, streamID: {streamID}}); err != nil {
		faults = append(faults, err)
	}
	if s.values, err = httpadapter.ValueNames(o.Values, figures[:]); err != nil {
		faults = append(faults, err)
	}
	return s, errors.Join(faults...)
}
