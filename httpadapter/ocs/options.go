package ocs

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
	values   [len(figures)]string
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
	for i, name := range figures {
		if s.values[i] = name; o.Values[name] != "" {
			s.values[i] = o.Values[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Values)) {
		if !slices.Contains(figures[:], name) {
			faults = append(faults, fmt.Errorf("there is no value %q; there are %s", name, strings.Join(figures[:], ", ")))
		}
	}
	return s, errors.Join(faults...)
}
