package uts

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// jobRow is a job as a list shows it: what matches of it.
type jobRow struct {
	job    *usage.Job
	status usage.JobStatus
	count  int
}

// listJobs answers GET /usagesJobs.
func (s *service) listJobs(c *httpadapter.Call) error {
	from, err := day(c)
	if err != nil {
		return err
	}
	p, err := readPage(c, 1, 10)
	if err != nil {
		return err
	}
	tenant, application, unit := c.Param("tenant"), c.Param("application"), c.Param("unit")
	match := func(l usage.JobLine) bool {
		has := func(name, want string) bool {
			got, _ := l.Labels.Get(name)
			return want == "" || got == want
		}
		return (tenant == "" || l.Tenant == tenant) && has(applicationDimension, application) && has(unitDimension, unit)
	}
	jobs, err := c.Book.Jobs(c.Context(), ownerOf(home(c)), usage.JobsQuery{From: from, To: from.Add(24 * time.Hour)})
	if err != nil {
		return err
	}
	var rows []jobRow
	for _, j := range jobs {
		if status, n := j.StatusOf(match); n > 0 {
			rows = append(rows, jobRow{j, status, n})
		}
	}
	return writeJobs(c, cut(&p, rows), &p)
}

// summary is a line of a job's usagesSummary.
type summary struct {
	application, unit, status string
	count                     int
}

// getJob answers GET /usagesJobs/{id}.
func (s *service) getJob(c *httpadapter.Call) error {
	p, err := readPage(c, 1, 200)
	if err != nil {
		return err
	}
	job, err := c.Book.Job(c.Context(), ownerOf(home(c)), c.Path("id"))
	if err != nil {
		return noJob(err)
	}
	lines := summaries(job)
	return writeJob(c, job, cut(&p, lines), &p)
}

// summaries counts the usages of a job, whatever their tenant.
func summaries(job *usage.Job) []summary {
	var out []summary
	for _, l := range job.Lines {
		x := summary{status: processStatus[l.State], count: l.Count}
		x.application, _ = l.Labels.Get(applicationDimension)
		x.unit, _ = l.Labels.Get(unitDimension)
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b summary) int {
		return cmp.Or(strings.Compare(a.application, b.application), strings.Compare(a.unit, b.unit), strings.Compare(a.status, b.status))
	})
	n := 0
	for _, x := range out {
		if n > 0 && out[n-1].application == x.application && out[n-1].unit == x.unit && out[n-1].status == x.status {
			out[n-1].count += x.count
			continue
		}
		out[n] = x
		n++
	}
	return out[:n]
}

// listErrors answers GET /usagesJobs/{id}/errors.
func (s *service) listErrors(c *httpadapter.Call) error {
	class, err := errorClass(c.Param("errorClass"))
	if err != nil {
		return err
	}
	p, err := readPage(c, 1, 10)
	if err != nil {
		return err
	}
	list, err := c.Book.JobErrors(c.Context(), ownerOf(home(c)), c.Path("id"))
	if err != nil {
		return noJob(err)
	}
	if class != 0 {
		list = slices.DeleteFunc(list, func(e usage.JobError) bool { return e.Kind != class })
	}
	return s.writeErrors(c, cut(&p, list), &p)
}

// errorClass reads the parameter: a class in any letter case, with or without
// Error at its end. Zero is every class.
func errorClass(text string) (usage.ErrorKind, error) {
	switch strings.TrimSuffix(strings.ToLower(text), "error") {
	case "validation":
		return usage.ValidationError, nil
	case "billing":
		return usage.BillingError, nil
	case "other":
		return usage.OtherError, nil
	}
	if text != "" {
		return 0, invalid("errorClass", text, "Allowed: validation, billing, other.")
	}
	return 0, nil
}

// noJob is the answer for a job that is not there, or is another operator's: one
// and the same.
func noJob(err error) error {
	if p := httpadapter.ProblemOf(err); p.Kind == httpadapter.NotFound {
		return &httpadapter.Problem{Kind: httpadapter.NotFound, Message: "There is no such job among the latest of this operator.", Err: err}
	}
	return err
}
