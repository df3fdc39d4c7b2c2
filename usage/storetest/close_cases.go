package storetest

import (
	"errors"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

var closeCases = []aCase{
	{
		name: "X1_closing_twice",
		rule: "Close releases what the store holds; closing twice is not an error.",
		run: func(k *kit) {
			b := k.open(nil)
			b.must(uses("r", 3)...)
			for range 2 {
				if err := b.store.Close(); err != nil {
					k.Fatalf("Close: %v", err)
				}
			}
		},
	},
	{
		name: "X2_calls_after_close",
		rule: "Calls after Close return ErrClosed.",
		run:  callsAfterClose,
	},
}

func callsAfterClose(k *kit) {
	b := k.open(nil)
	b.must(uses("r", 3)...)
	mark := b.settled().Mark
	batch := b.prepare(use("late", 9))
	if err := b.store.Close(); err != nil {
		k.Fatalf("Close: %v", err)
	}
	check := func(what string, err error) {
		k.Helper()
		if !errors.Is(err, usage.ErrClosed) {
			k.Fatalf("%s after Close returned %v, want %v", what, err, usage.ErrClosed)
		}
	}
	_, err := b.store.Append(b.ctx(), batch)
	check("Append", err)
	_, err = b.store.Checkpoint(b.ctx(), usage.AsOf{})
	check("Checkpoint", err)
	check("Commit", b.commit(&usage.Commit{To: 1}))
	err = nil
	for r, e := range b.store.Scan(b.ctx(), usage.Selection{Scope: usage.AllTenants(), Mark: mark}) {
		if e == nil {
			k.Fatalf("Scan after Close yields %s", showStored(r))
		}
		err = e
	}
	check("Scan", err)
	err = nil
	for _, e := range b.store.ScanRollups(b.ctx(), usage.RollupSelection{Scope: usage.AllTenants(), Projection: "p", Level: aggregate.Hour}) {
		err = e
	}
	check("ScanRollups", err)
	if g, ok := b.store.(usage.Grouper); ok {
		err = nil
		for _, e := range g.Group(b.ctx(), usage.GroupRead{
			Selection: usage.Selection{Scope: usage.AllTenants(), Mark: mark, Class: usage.Plain},
			Group:     func(*usage.Series, usage.VerdictClass) int { return 0 },
		}) {
			err = e
		}
		check("Group", err)
	}
	if s, ok := b.store.(usage.TaskStore); ok {
		check("PutTask", s.PutTask(b.ctx(), newTask("late")))
		_, err = s.Task(b.ctx(), "job", "late")
		check("Task", err)
		_, err = s.Tasks(b.ctx(), usage.TaskSelection{Kind: "job", Owner: taskOwner})
		check("Tasks", err)
		_, err = s.ClaimTask(b.ctx(), "job", epoch, time.Minute)
		check("ClaimTask", err)
		_, err = s.DeleteTasks(b.ctx(), epoch)
		check("DeleteTasks", err)
	}
}
