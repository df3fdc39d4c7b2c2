package uts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// processStatus is the documented word for a state. What is refused for its
// shape, or as a conflict, has none of its own and is among those that were not
// verified; its error says OtherError.
var processStatus = [...]string{
	usage.ItemAccepted:           "ACCEPTED",
	usage.ItemVerified:           "VERIFIED",
	usage.ItemNoRule:             "NOVERIFICATION",
	usage.ItemVerificationFailed: "VERIFICATIONFAILED",
	usage.ItemFailed:             "VERIFICATIONFAILED",
	usage.ItemBooked:             "AGGREGATED",
	usage.ItemBilled:             "SENTFORBILLING",
	usage.ItemBillingFailed:      "FAILEDTOSENDFORBILLING",
}

var jobStatus = [...]string{
	usage.JobAccepted:   "ACCEPTED",
	usage.JobInProgress: "INPROGRESS",
	usage.JobWithErrors: "ERRORS",
	usage.JobCompleted:  "COMPLETED",
}

var errorTypes = [...]string{
	usage.ValidationError: "ValidationError",
	usage.BillingError:    "BillingError",
	usage.OtherError:      "OtherError",
}

// seconds is the layout of a job's time.
const seconds = "2006-01-02T15:04:05Z"

// appendJob appends the members that every job has.
func appendJob(b []byte, j *usage.Job, status usage.JobStatus, count int) []byte {
	b = httpadapter.AppendString(append(b, `"id":`...), j.ID)
	b = httpadapter.AppendTime(append(b, `,"time":`...), j.Created, seconds)
	b = append(append(append(b, `,"status":"`...), jobStatus[status]...), '"')
	return strconv.AppendInt(append(b, `,"usagesCount":`...), int64(count), 10)
}

// writePaged answers with an object that has a page of a list: begin appends what
// stands before its items, and end what stands between them and the page.
func writePaged(c *httpadapter.Call, p *page, n int, begin func([]byte) []byte, item func(b []byte, i int) []byte, end func([]byte) []byte) error {
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error {
		if err := out.Append(begin); err != nil {
			return err
		}
		if err := out.List(n, item); err != nil {
			return err
		}
		return out.Append(func(b []byte) []byte {
			if b = append(b, ']'); end != nil {
				b = end(b)
			}
			return append(p.append(append(b, `,"page":`...)), '}')
		})
	})
}

func writeJobs(c *httpadapter.Call, rows []jobRow, p *page) error {
	begin := func(b []byte) []byte { return append(b, `{"jobs":[`...) }
	return writePaged(c, p, len(rows), begin, func(b []byte, i int) []byte {
		r := &rows[i]
		return append(appendJob(append(b, '{'), r.job, r.status, r.count), '}')
	}, nil)
}

func writeJob(c *httpadapter.Call, j *usage.Job, lines []summary, p *page) error {
	begin := func(b []byte) []byte {
		return append(appendJob(append(b, '{'), j, j.Status(), j.Count), `,"usagesSummary":[`...)
	}
	return writePaged(c, p, len(lines), begin, func(b []byte, i int) []byte {
		l := &lines[i]
		b = httpadapter.AppendString(append(b, `{"application":`...), l.application)
		b = httpadapter.AppendString(append(b, `,"unit":`...), l.unit)
		b = strconv.AppendInt(append(b, `,"usagesCount":`...), int64(l.count), 10)
		return append(append(append(b, `,"processStatus":"`...), l.status...), `"}`...)
	}, nil)
}

func (s *service) writeErrors(c *httpadapter.Call, list []usage.JobError, p *page) error {
	begin := func(b []byte) []byte { return append(b, `{"errors":[`...) }
	return writePaged(c, p, len(list), begin, func(b []byte, i int) []byte { return s.appendError(b, &list[i], home(c)) }, nil)
}

// appendError appends what became of one usage.
func (s *service) appendError(b []byte, e *usage.JobError, operator string) []byte {
	get := func(name, without string) string {
		if v, ok := e.Record.Dimensions.Get(name); ok {
			return v
		}
		return without
	}
	code, message, figures := reasons(e)
	code = fmt.Sprintf("mdsp.%s.%s.%s", get(providerDimension, operator), get(applicationDimension, ""), code)
	b = httpadapter.AppendString(append(b, `{"code":`...), code)
	b = httpadapter.AppendString(append(b, `,"message":`...), message)
	b = appendFigures(append(b, `,"messageParameters":`...), figures)
	b = httpadapter.AppendString(append(b, `,"logref":`...), string(e.Note))
	b = append(append(append(b, `,"errorType":"`...), errorTypes[e.Kind]...), `","info":"","errorData":[`...)
	if e.Record.Tenant != "" { // else it could not be read
		b = s.appendUser(b, &e.Record)
	}
	return append(b, "]}"...)
}

// reasons are the code of the first thing that is wrong, all of it in sentences,
// and the figures in them, each once.
func reasons(e *usage.JobError) (code, message string, figures []httpadapter.Figure) {
	var sentences []string
	for _, v := range e.Violations {
		if code == "" {
			code = v.Code
		}
		sentences = append(sentences, sentence(v.Message))
		for _, p := range v.Params {
			if f := (httpadapter.Figure{Name: p.Name, Value: p.Value}); !slices.Contains(figures, f) {
				figures = append(figures, f)
			}
		}
	}
	if e.BillingID != "" {
		figures = append(figures, httpadapter.Figure{Name: "billingId", Value: e.BillingID})
	}
	if len(sentences) == 0 {
		sentences = []string{sentence(e.Message)}
	}
	if code == "" {
		code = "other"
		if e.Kind == usage.BillingError {
			code = "billing"
		}
	}
	return code, strings.Join(sentences, " "), figures
}

func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// appendUser appends the one usage of a record in the long form of POST
// /usagesJobs.
func (s *service) appendUser(b []byte, r *usage.Record) []byte {
	text := func(key, value string) {
		b = httpadapter.AppendString(append(b, key...), value)
	}
	dimension := func(key, name string) {
		value, _ := r.Dimensions.Get(name)
		text(key, value)
	}
	text(`{"tenantId":`, r.Tenant)
	dimension(`,"userId":`, s.userID)
	dimension(`,"userType":`, s.userType)
	dimension(`,"resources":[{"application":`, applicationDimension)
	dimension(`,"alias":`, s.alias)
	if resource, ok := r.Dimensions.Get(s.resource); ok {
		text(`,"resource":`, resource)
	}
	value, _ := r.Values.Number(usage.QuantityName)
	b = value.AppendText(append(b, `,"usages":[{"value":`...))
	dimension(`,"unit":`, unitDimension)
	b = httpadapter.AppendTime(append(b, `,"datetime":`...), r.Start, httpadapter.ISO)
	return append(b, "}]}]}"...)
}

func appendFigures(b []byte, figures []httpadapter.Figure) []byte {
	b = append(b, '[')
	for i, f := range figures {
		b = httpadapter.AppendString(append(comma(b, i), `{"name":`...), f.Name)
		b = httpadapter.AppendString(append(b, `,"value":`...), f.Value)
		b = append(b, '}')
	}
	return append(b, ']')
}

func writeConsumer(c *httpadapter.Call, k *usage.KPIResult) error {
	b := httpadapter.AppendString([]byte(`{"consumer":`), k.Consumers[0].Tenant)
	b = httpadapter.AppendDecimal(append(b, `,"value":`...), k.Consumers[0].Value)
	b = append(appendDefinition(append(b, ','), k), ',')
	return c.JSON(200, append(appendFunctions(b, k), '}'))
}

func writeProvider(c *httpadapter.Call, k *usage.KPIResult, consumers []usage.KPIConsumer, p *page) error {
	begin := func(b []byte) []byte { return append(appendDefinition(append(b, '{'), k), `,"aggregatedUsages":[`...) }
	return writePaged(c, p, len(consumers), begin, func(b []byte, i int) []byte {
		b = httpadapter.AppendString(append(b, `{"consumer":`...), consumers[i].Tenant)
		return append(httpadapter.AppendDecimal(append(b, `,"value":`...), consumers[i].Value), '}')
	}, func(b []byte) []byte { return appendFunctions(append(b, ','), k) })
}

// appendDefinition appends what both aggregates say of a KPI and its month.
func appendDefinition(b []byte, k *usage.KPIResult) []byte {
	d := &k.Definition
	b = httpadapter.AppendString(append(b, `"provider":`...), d.Provider)
	b = httpadapter.AppendString(append(b, `,"application":`...), d.Application)
	b = httpadapter.AppendString(append(b, `,"applicationDisplayName":`...), d.ApplicationDisplayName)
	b = httpadapter.AppendString(append(b, `,"KPIName":`...), d.Name)
	b = httpadapter.AppendString(append(b, `,"KPIDisplayName":`...), d.DisplayName)
	b = httpadapter.AppendTime(append(b, `,"aggregationUntilDate":`...), k.Until, time.DateOnly)
	return fmt.Appendf(b, `,"year":"%04d","month":"%s"`, k.Year, monthNames[k.Month-1])
}

// appendFunctions appends how a KPI adds up. The key is misspelled in the
// documents, and has to be.
func appendFunctions(b []byte, k *usage.KPIResult) []byte {
	d := &k.Definition
	return fmt.Appendf(b, `"aggragationFunction":{"aggregationFunctionDaily":"%s","aggregationFunctionMonthly":"%s","preFill":"%s"}`, d.Daily, d.Monthly, d.PreFill)
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}
