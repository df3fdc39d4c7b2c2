package usage

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/rules"
)

// taskForm is the version of what heads and bodies of tasks look like. A worker
// that meets a higher one leaves the task to a newer process.
const taskForm = 1

// shortestRecord is the length of {"id":"","source":"","tenant":""}, without
// which there is no record in the body of a job.
const shortestRecord = 33

// errNewerForm: the task was written by a newer release.
var errNewerForm = errors.New("the task has a form that this release does not know")

// jobHead is what the Head of a job holds.
type jobHead struct {
	Form     int       `json:"v"`
	Digest   string    `json:"digest"`
	Count    int       `json:"count"`
	Labels   []string  `json:"labels,omitempty"`
	Lines    []jobLine `json:"lines,omitempty"`
	Finished time.Time `json:"finished,omitzero"`
	// Lost tells why the body could not be read, if that is so.
	Lost string `json:"lost,omitempty"`
}

type jobLine struct {
	Tenant string      `json:"t"`
	Labels [][2]string `json:"l,omitempty"`
	State  ItemState   `json:"s"`
	Count  int         `json:"n"`
}

// jobBody is what the Body of a job holds: while it is on its way its records
// and those that failed from the start, after that only what failed.
type jobBody struct {
	Form    int             `json:"v"`
	Records json.RawMessage `json:"records,omitempty"`
	Notes   [][]byte        `json:"notes,omitempty"`
	Errors  []jobError      `json:"errors,omitempty"`
}

type jobError struct {
	Index      int             `json:"i"`
	State      ItemState       `json:"s"`
	Violations []jobViolation  `json:"x,omitempty"`
	BillingID  string          `json:"b,omitempty"`
	Message    string          `json:"m,omitempty"`
	Record     json.RawMessage `json:"r,omitempty"`
	Note       []byte          `json:"n,omitempty"`
}

// jobViolation is a Violation with the names that it is stored under.
type jobViolation struct {
	Code    string      `json:"c"`
	Field   string      `json:"f,omitempty"`
	Message string      `json:"m,omitempty"`
	Rule    string      `json:"r,omitempty"`
	Params  [][2]string `json:"p,omitempty"`
}

func storedViolations(list []Violation) []jobViolation {
	list = list[:min(len(list), maxJobViolations)]
	out := make([]jobViolation, len(list))
	for i, v := range list {
		out[i] = jobViolation{Code: v.Code, Field: v.Field, Message: v.Message, Rule: v.Rule}
		for _, p := range v.Params {
			out[i].Params = append(out[i].Params, [2]string{p.Name, p.Value})
		}
	}
	return out
}

func violationsOf(list []jobViolation) []Violation {
	if len(list) == 0 {
		return nil
	}
	out := make([]Violation, len(list))
	for i, v := range list {
		out[i] = Violation{Code: v.Code, Field: v.Field, Message: v.Message, Rule: v.Rule}
		for _, p := range v.Params {
			out[i].Params = append(out[i].Params, rules.Param{Name: p[0], Value: p[1]})
		}
	}
	return out
}

// MarshalText returns what String does.
func (s ItemState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes, and nothing else.
func (s *ItemState) UnmarshalText(text []byte) error {
	i := slices.Index(itemStateNames[:], string(text))
	if i < 1 {
		return fmt.Errorf("%w: %s is no state of a record of a job", ErrInvalid, quoted(string(text)))
	}
	*s = ItemState(i)
	return nil
}

// marshal is json.Marshal without the escapes that are for HTML.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

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
	var h jobHead
	if err := unmarshalForm(t.Head, &h.Form, &h); err != nil {
		return nil, fmt.Errorf("the head of job %s cannot be read: %w", quoted(t.ID), err)
	}
	if h.Count < 0 || h.Count > maxJobBody/shortestRecord {
		return nil, fmt.Errorf("the head of job %s cannot be read: it counts %d records", quoted(t.ID), h.Count)
	}
	return &h, nil
}

func digestOf(t *Task) (string, error) {
	h, err := headOfJob(t)
	if err != nil {
		return "", err
	}
	return h.Digest, nil
}

// jobOf reads a job from its task.
func jobOf(t *Task) (*Job, error) {
	h, err := headOfJob(t)
	if err != nil {
		return nil, err
	}
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
	return j, nil
}

// fillJob writes the head and the body of a new job.
func (b *Book) fillJob(t *Task, req *JobRequest) error {
	body := jobBody{Form: taskForm, Notes: req.Notes}
	w := &jobWork{head: jobHead{Form: taskForm, Count: len(req.Records), Labels: req.Labels}, states: make([]ItemState, len(req.Records))}
	text := append(make([]byte, 0, 2+256*len(req.Records)), '[')
	w.records = make([]Record, len(req.Records))
	open := false
	for i := range req.Records {
		if i > 0 {
			text = append(text, ',')
		}
		w.records[i], w.states[i] = req.Records[i], ItemAccepted
		r := &w.records[i]
		from := len(text)
		what := r.unwritable()
		if r.Values.Len() > maxMembers || r.Dimensions.Len() > maxMembers {
			what = "has too many members"
		}
		var err error
		if what == "" {
			if text, err = r.AppendJSON(text); err != nil {
				return err
			}
			if len(text)-from > maxRecordText {
				what = "is too long"
			}
		}
		if what != "" {
			e := b.normalize(r)
			if len(e.Violations) == 0 {
				// Not to be: what has no JSON form is nothing that the book takes.
				e.Violations = []Violation{{Code: CodeSyntax, Field: "record", Message: what}}
			}
			body.Errors = append(body.Errors, jobError{Index: i, State: ItemFailed, Violations: storedViolations(e.Violations)})
			w.records[i], w.states[i] = r.readable(), ItemFailed
			if text, err = r.AppendJSON(text[:from]); err != nil {
				return err
			}
		}
		open = open || !w.states[i].Failed()
		if len(text) > maxJobBody {
			return fmt.Errorf("%w: the job is longer than %d bytes", ErrTooLarge, maxJobBody)
		}
	}
	open = open || len(req.Records) == 0
	body.Records = append(text, ']')
	var err error
	if t.Body, err = marshal(&body); err != nil {
		return err
	}
	if len(t.Body) > maxJobBody {
		return fmt.Errorf("%w: the job has %d bytes, at most %d are allowed", ErrTooLarge, len(t.Body), maxJobBody)
	}
	if w.head.Digest = req.Digest; w.head.Digest == "" {
		sum := sha256.Sum256(t.Body)
		w.head.Digest = hex.EncodeToString(sum[:])
	}
	if now := b.Now(); open {
		t.Due = now
	} else {
		w.head.Finished = now
	}
	if t.Head, err = w.marshalHead(); err != nil {
		return err
	}
	if len(t.Head) > maxJobHead {
		return fmt.Errorf("%w: the job has %d combinations of tenant and labels, which take %d bytes of at most %d; use fewer labels",
			ErrTooLarge, len(w.head.Lines), len(t.Head), maxJobHead)
	}
	return nil
}

// readable returns what can be read of a record that has no JSON form, cut to
// what a record may have.
func (r Record) readable() Record {
	r.faults = nil
	text := func(s string) string {
		if len(s) > maxDimensionBytes {
			s = s[:maxDimensionBytes]
		}
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	r.Tenant, r.Source, r.ID, r.Meter = text(r.Tenant), text(r.Source), text(r.ID), text(r.Meter)
	for _, t := range []*time.Time{&r.Start, &r.End} {
		if outside(*t) {
			*t = time.Time{}
		}
	}
	var values Values
	for i, v := range r.Values.list {
		if i == maxValues {
			break
		}
		values = values.WithNumber(text(v.Name), v.Number)
	}
	r.Values = values
	var dimensions Dimensions
	for i, d := range r.Dimensions.list {
		if i == maxDimensions {
			break
		}
		dimensions = dimensions.With(text(d.Name), text(d.Value))
	}
	r.Dimensions = dimensions
	if c := r.Corrects; c != nil {
		r.Corrects = nil
		if c.Kind == Void || c.Kind == Replace {
			r.Corrects = &Correction{Kind: c.Kind, Source: text(c.Source), ID: text(c.ID)}
		}
	}
	return r
}

// marshalHead writes the head with the states as they are.
func (w *jobWork) marshalHead() ([]byte, error) {
	type line struct {
		tenant, labels string
		state          ItemState
	}
	counts := make(map[line]*jobLine)
	var buf []byte
	w.head.Lines = nil
	for i := range w.records {
		r := &w.records[i]
		own := r.Dimensions.Project(w.head.Labels)
		buf = own.AppendKey(buf[:0])
		at := line{r.Tenant, string(buf), w.states[i]}
		l := counts[at]
		if l == nil {
			l = &jobLine{Tenant: r.Tenant, State: w.states[i]}
			for name, v := range own.All() {
				l.Labels = append(l.Labels, [2]string{name, v})
			}
			counts[at] = l
		}
		l.Count++
	}
	for _, l := range counts {
		w.head.Lines = append(w.head.Lines, *l)
	}
	slices.SortFunc(w.head.Lines, func(a, b jobLine) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant),
			slices.CompareFunc(a.Labels, b.Labels, func(x, y [2]string) int { return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1])) }),
			cmp.Compare(a.State, b.State))
	})
	return marshal(&w.head)
}

// read reads the work from the body of a job that is on its way.
func (w *jobWork) read(data []byte) error {
	var body jobBody
	if err := unmarshalForm(data, &body.Form, &body); err != nil {
		return err
	}
	records, err := DecodeRecords(body.Records, &DecodeLimits{Bytes: max(len(body.Records), 1), Records: max(w.head.Count, 1)})
	switch {
	case err != nil:
		return err
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

// marshalErrors writes the body of a finished job. Where it gets longer than
// room, each error that follows has its first violation alone, and no record.
func (w *jobWork) marshalErrors(room int) ([]byte, error) {
	out := fmt.Appendf(nil, `{"v":%d,"errors":[`, taskForm)
	first := true
	for i := range w.records {
		e, failed := w.errors[i]
		if !failed {
			continue
		}
		if len(out) < room {
			text, err := w.records[i].AppendJSON(nil)
			if err != nil {
				return nil, err
			}
			e.Record = text
		} else if len(e.Violations) > 1 {
			e.Violations = e.Violations[:1]
		}
		if i < len(w.notes) {
			e.Note = w.notes[i]
		}
		text, err := marshal(&e)
		if err != nil {
			return nil, err
		}
		if !first {
			out = append(out, ',')
		}
		out, first = append(out, text...), false
	}
	return append(out, "]}"...), nil
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
