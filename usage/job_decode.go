package usage

import (
	"encoding/json"
	"fmt"
)

// unmarshalForm reads a head or body whose form this release knows.
func unmarshalForm(data []byte, form *int, v any) error {
	err := json.Unmarshal(data, v)
	if err != nil {
		// A newer form may be of another shape throughout.
		var probe struct {
			Form int `json:"v"`
		}
		if json.Unmarshal(data, &probe) == nil && probe.Form > taskForm {
			return errNewerForm
		}
		return err
	}
	switch {
	case *form > taskForm:
		return errNewerForm
	case *form != taskForm:
		return fmt.Errorf("it has the form %d, which is unknown", *form)
	}
	return nil
}

func headOfJob(t *Task) (*jobHead, error) {
	h, ok := scanJobHead(t.Head)
	if !ok {
		h = &jobHead{}
		if err := unmarshalForm(t.Head, &h.Form, h); err != nil {
			return nil, fmt.Errorf("the head of job %s cannot be read: %w", quoted(t.ID), err)
		}
	}
	if h.Count < 0 || h.Count > maxJobBody/shortestRecord {
		return nil, fmt.Errorf("the head of job %s cannot be read: it counts %d records", quoted(t.ID), h.Count)
	}
	return h, nil
}

// jobOf reads a job from its task.
func jobOf(t *Task) (*Job, error) {
	h, err := headOfJob(t)
	if err != nil {
		return nil, err
	}
	return newJobOf(t, h), nil
}

// newJobOf makes a job of its task and the head of that.
func newJobOf(t *Task, h *jobHead) *Job {
	j := &Job{ID: t.ID, Owner: t.Owner, Key: t.Key, Created: t.Created, Count: h.Count, Started: t.Attempts > 0, Finished: h.Finished, Labels: h.Labels}
	for _, l := range h.Lines {
		line := JobLine{Tenant: l.Tenant, State: l.State, Count: l.Count}
		// A worker that was stopped in order does not count as an attempt, and
		// has begun all the same. Records with a fault fail without any.
		j.Started = j.Started || l.State != ItemAccepted && l.State != ItemFailed
		for _, d := range l.Labels {
			line.Labels = line.Labels.With(d[0], d[1])
		}
		j.Lines = append(j.Lines, line)
	}
	return j
}

// read reads the work from the body of a job that is on its way.
func (w *jobWork) read(data []byte) error {
	body, records, ok := scanJobBody(data, w.head.Count)
	if !ok {
		var err error
		if body, records, err = unmarshalJobBody(data, w.head.Count); err != nil {
			return err
		}
	}
	switch {
	case len(records) != w.head.Count:
		return fmt.Errorf("%d records, %d were accepted", len(records), w.head.Count)
	case len(body.Notes) > 0 && len(body.Notes) != len(records):
		return fmt.Errorf("%d notes for %d records", len(body.Notes), len(records))
	}
	w.records, w.notes = records, body.Notes
	w.states = make([]ItemState, len(records))
	w.errors = make(map[int]jobError, len(body.Errors))
	for i := range w.states {
		w.states[i] = ItemAccepted
		if r := &records[i]; r.unwritable() != "" {
			return fmt.Errorf("record %d: %s", i, r.unwritable())
		}
	}
	for _, e := range body.Errors {
		if e.Index < 0 || e.Index >= len(records) {
			return fmt.Errorf("an error of record %d of %d", e.Index, len(records))
		}
		w.states[e.Index] = e.State
		w.errors[e.Index] = e
	}
	return nil
}

// unmarshalJobBody is scanJobBody for what that does not take.
func unmarshalJobBody(data []byte, count int) (*jobBody, []Record, error) {
	var body jobBody
	if err := unmarshalForm(data, &body.Form, &body); err != nil {
		return nil, nil, err
	}
	records, err := DecodeRecords(body.Records, &DecodeLimits{Bytes: max(len(body.Records), 1), Records: max(count, 1)})
	return &body, records, err
}

// jobErrorsOf reads the failed records of a job, however far it is.
func jobErrorsOf(t *Task) ([]JobError, error) {
	h, err := headOfJob(t)
	if err != nil {
		return nil, err
	}
	if h.Lost != "" {
		out := make([]JobError, h.Count)
		for i := range out {
			out[i] = JobError{Index: i, State: ItemFailed, Kind: OtherError, Message: h.Lost}
		}
		return out, nil
	}
	unreadable := func(err error) error { return fmt.Errorf("the body of job %s cannot be read: %w", quoted(t.ID), err) }
	var body jobBody
	if err := unmarshalForm(t.Body, &body.Form, &body); err != nil {
		return nil, unreadable(err)
	}
	var records []Record
	if body.Records != nil && len(body.Errors) > 0 {
		if records, err = DecodeRecords(body.Records, &DecodeLimits{Bytes: len(body.Records), Records: max(h.Count, 1)}); err != nil {
			return nil, unreadable(err)
		}
	}
	out := make([]JobError, len(body.Errors))
	for i, e := range body.Errors {
		x := JobError{Index: e.Index, Note: e.Note, State: e.State, Kind: OtherError, Violations: violationsOf(e.Violations), BillingID: e.BillingID, Message: e.Message}
		switch e.State {
		case ItemVerificationFailed:
			x.Kind = ValidationError
		case ItemBillingFailed:
			x.Kind = BillingError
		}
		switch {
		case e.Record != nil:
			if x.Record, err = DecodeRecord(e.Record); err != nil {
				return nil, unreadable(err)
			}
		case e.Index >= 0 && e.Index < len(records):
			x.Record = records[e.Index]
			if e.Index < len(body.Notes) {
				x.Note = body.Notes[e.Index]
			}
		}
		if x.Message == "" && len(x.Violations) > 0 {
			x.Message = x.Violations[0].String()
		}
		out[i] = x
	}
	return out, nil
}
