package usage

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// jobBodies are the buffers of bodies that stores have taken: a body is the
// largest thing that accepting a job makes, and of no use behind that.
var jobBodies sync.Pool

// maxPooledBody is the size of the largest buffer that is kept.
const maxPooledBody = 1 << 20

func jobBodyBuffer() []byte {
	if p, ok := jobBodies.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return nil
}

func reuseJobBody(body []byte) {
	if cap(body) > 0 && cap(body) <= maxPooledBody {
		jobBodies.Put(&body)
	}
}

// fillJob writes the head and the body of a new job.
func (b *Book) fillJob(t *Task, req *JobRequest) (*jobHead, error) {
	w := &jobWork{head: jobHead{Form: taskForm, Count: len(req.Records), Labels: append([]string(nil), req.Labels...)}, records: req.Records, states: make([]ItemState, len(req.Records))}
	body, faults, err := b.appendJobBody(jobBodyBuffer(), w, req)
	if err != nil {
		return nil, err
	}
	if t.Body = body; len(body) > maxJobBody {
		return nil, fmt.Errorf("%w: the job has %d bytes, at most %d are allowed", ErrTooLarge, len(body), maxJobBody)
	}
	if w.head.Digest = req.Digest; w.head.Digest == "" {
		sum := sha256.Sum256(body)
		w.head.Digest = hex.EncodeToString(sum[:])
	}
	if now := b.Now(); faults < len(req.Records) || len(req.Records) == 0 {
		t.Due = now
	} else {
		w.head.Finished = now
	}
	if t.Head, err = w.marshalHead(); err != nil {
		return nil, err
	}
	if len(t.Head) > maxJobHead {
		return nil, fmt.Errorf("%w: the job has %d combinations of tenant and labels, which take %d bytes of at most %d; use fewer labels",
			ErrTooLarge, len(w.head.Lines), len(t.Head), maxJobHead)
	}
	return &w.head, nil
}

// appendJobBody appends what marshal would make of the jobBody of a new job, in
// one pass and without a second copy: it is by far the largest part of accepting
// a job. It sets the states, and in the place of records that have no JSON form
// what can be read of them; faults is how many these are.
func (b *Book) appendJobBody(dst []byte, w *jobWork, req *JobRequest) (out []byte, faults int, err error) {
	dst = slices.Grow(dst, 64+400*len(req.Records))
	dst = fmt.Appendf(dst, `{"v":%d,"records":[`, taskForm)
	begin := len(dst)
	var failed []jobError
	// Records that were made together often share one set of dimensions, which
	// is most of their text: it is checked and written once, and copied.
	var shared Dimensions
	var sharedFrom, sharedTo int // none until it has been written
	for i := range req.Records {
		if i > 0 {
			dst = append(dst, ',')
		}
		r := &req.Records[i]
		w.states[i] = ItemAccepted
		from := len(dst)
		known := sharedTo > 0 && r.Dimensions.same(shared)
		what := r.unwritableMembers()
		if what == "" && !known {
			what = r.Dimensions.unwritable()
		}
		if r.Values.Len() > maxMembers || r.Dimensions.Len() > maxMembers {
			what = "has too many members"
		}
		if what == "" {
			dst = r.appendMembers(dst)
			if known {
				dst = append(dst, dst[sharedFrom:sharedTo]...)
			} else {
				shared, sharedFrom = r.Dimensions, len(dst)
				dst = r.Dimensions.appendMember(dst)
				sharedTo = len(dst)
			}
			if dst = r.Corrects.appendMember(dst); len(dst)-from > maxRecordText {
				what, sharedTo = "is too long", 0
			}
		}
		if what != "" {
			e := b.normalize(r)
			if len(e.Violations) == 0 {
				// Not to be: what has no JSON form is nothing that the book takes.
				e.Violations = []Violation{{Code: CodeSyntax, Field: "record", Message: what}}
			}
			failed = append(failed, jobError{Index: i, State: ItemFailed, Violations: storedViolations(e.Violations)})
			if len(failed) == 1 {
				w.records = slices.Clone(w.records) // the caller's stay as they are
			}
			w.records[i], w.states[i] = r.readable(), ItemFailed
			if dst, err = w.records[i].AppendJSON(dst[:from]); err != nil {
				return nil, 0, err
			}
		}
		if len(dst)-begin > maxJobBody {
			return nil, 0, fmt.Errorf("%w: the job is longer than %d bytes", ErrTooLarge, maxJobBody)
		}
	}
	dst = append(dst, ']')
	for i, note := range req.Notes {
		dst = append(dst, opening(i, `,"notes":[`)...)
		if note == nil {
			dst = append(dst, "null"...)
			continue
		}
		dst = append(base64.StdEncoding.AppendEncode(append(dst, '"'), note), '"')
	}
	if len(req.Notes) > 0 {
		dst = append(dst, ']')
	}
	if len(failed) > 0 {
		text, err := marshal(failed)
		if err != nil {
			return nil, 0, err
		}
		dst = append(append(dst, `,"errors":`...), text...)
	}
	return append(dst, '}'), len(failed), nil
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
	if outside(w.head.Finished) {
		return nil, fmt.Errorf("%w job: it was finished outside the years 1 to 9999", ErrInvalid)
	}
	w.countLines()
	return appendJobHead(make([]byte, 0, 256+96*len(w.head.Lines)), &w.head), nil
}

// countLines counts the records by tenant, labels and state.
func (w *jobWork) countLines() {
	places := make(map[string]int)
	var lines []jobLine
	var key []byte
	at := 0
	for i := range w.records {
		r := &w.records[i]
		if i > 0 {
			if last := &w.records[i-1]; w.states[i] == w.states[i-1] && r.Tenant == last.Tenant && r.Dimensions.same(last.Dimensions) {
				lines[at].Count++
				continue
			}
		}
		key = append(appendKeyText(key[:0], r.Tenant), byte(w.states[i]))
		for _, d := range r.Dimensions.list {
			if slices.Contains(w.head.Labels, d.Name) {
				key = appendKeyText(appendKeyText(key, d.Name), d.Value)
			}
		}
		known, ok := places[string(key)]
		if at = known; !ok {
			l := jobLine{Tenant: r.Tenant, State: w.states[i]}
			for name, v := range r.Dimensions.Project(w.head.Labels).All() {
				l.Labels = append(l.Labels, [2]string{name, v})
			}
			at = len(lines)
			places[string(key)] = at
			lines = append(lines, l)
		}
		lines[at].Count++
	}
	slices.SortFunc(lines, func(a, b jobLine) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant),
			slices.CompareFunc(a.Labels, b.Labels, func(x, y [2]string) int { return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1])) }),
			cmp.Compare(a.State, b.State))
	})
	w.head.Lines = lines
}

// appendJobHead appends what marshal would make of a head.
func appendJobHead(dst []byte, h *jobHead) []byte {
	dst = strconv.AppendInt(append(dst, `{"v":`...), int64(h.Form), 10)
	dst = appendJSONText(append(dst, `,"digest":`...), h.Digest)
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(h.Count), 10)
	for i, l := range h.Labels {
		dst = appendJSONText(append(dst, opening(i, `,"labels":[`)...), l)
	}
	if len(h.Labels) > 0 {
		dst = append(dst, ']')
	}
	for i := range h.Lines {
		l := &h.Lines[i]
		dst = appendJSONText(append(append(dst, opening(i, `,"lines":[`)...), `{"t":`...), l.Tenant)
		for k, d := range l.Labels {
			dst = appendJSONText(append(append(dst, opening(k, `,"l":[`)...), '['), d[0])
			dst = append(appendJSONText(append(dst, ','), d[1]), ']')
		}
		if len(l.Labels) > 0 {
			dst = append(dst, ']')
		}
		dst = append(append(append(dst, `,"s":"`...), l.State.String()...), '"')
		dst = append(strconv.AppendInt(append(dst, `,"n":`...), int64(l.Count), 10), '}')
	}
	if len(h.Lines) > 0 {
		dst = append(dst, ']')
	}
	if !h.Finished.IsZero() {
		dst = appendJSONInstant(append(dst, `,"finished":`...), h.Finished)
	}
	if h.Lost != "" {
		dst = appendJSONText(append(dst, `,"lost":`...), strings.ToValidUTF8(h.Lost, "\uFFFD"))
	}
	return append(dst, '}')
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
