package usage_test

import (
	"context"
	"fmt"
	"log"

	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleBook_Submit() {
	ctx := context.Background()
	list, _ := rules.Parse([]byte(`[{"name":"sane","meter":"requests","max":1000}]`))
	set, _ := rules.New("v1", list, nil)
	book, _ := usage.New(memstore.New(nil), &usage.Options{Rules: set})

	// The ids of the records derive from the job, so that working on it twice
	// books nothing twice; the Key makes a client's retry answer this job.
	job, _, err := book.Submit(ctx, "operator", usage.JobRequest{
		ID: "job-1", Key: "the client's Idempotency-Key", Digest: "the digest of its request",
		Records: []usage.Record{
			request("acme", "job-1/0", "eu", march, "12"),
			request("acme", "job-1/1", "eu", march, "5000"),
			request("globex", "job-1/2", "us", march, "7"),
		},
		Labels: []string{"region"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status(), job.Count)

	// Run does this in the background.
	if _, err := book.Work(ctx); err != nil {
		log.Fatal(err)
	}
	job, err = book.Job(ctx, "operator", "job-1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status())
	for _, l := range job.Lines {
		fmt.Println(l.Tenant, l.Labels, l.State, l.Count)
	}
	failed, _ := book.JobErrors(ctx, "operator", "job-1")
	for _, f := range failed {
		fmt.Println(f.Index, f.Record.ID, f.Message)
	}
	// Output:
	// accepted 3
	// errors
	// acme {region="eu"} verification_failed 1
	// acme {region="eu"} booked 1
	// globex {region="us"} booked 1
	// 1 job-1/1 values.quantity: quantity 5000 is above the rule's maximum 1000 (max)
}

func ExampleBook_Execute() {
	ctx := context.Background()
	book, _ := usage.New(memstore.New(nil), nil)
	book.Append(ctx, request("acme", "1", "eu", march, "2"), request("acme", "2", "us", march, "3"))

	x, err := book.Execute(ctx, "acme", usage.ForTenant("acme"), usage.ExecutionRequest{
		Query: usage.Query{GroupBy: []string{"region"}, Measures: []usage.Measure{{Of: "quantity"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(x.State)

	// What is booked from now on is not in the answer.
	book.Append(ctx, request("acme", "3", "eu", march, "100"))

	// Run does this in the background, and AwaitExecution waits for it.
	if _, err := book.Work(ctx); err != nil {
		log.Fatal(err)
	}
	x, _ = book.Execution(ctx, "acme", x.ID)
	fmt.Println(x.State, x.Rows)
	for row, err := range book.ExecutionRows(ctx, "acme", x.ID) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row.Get("region"), row.Get("quantity"))
	}
	// Output:
	// running
	// complete 2
	// eu 2
	// us 3
}
