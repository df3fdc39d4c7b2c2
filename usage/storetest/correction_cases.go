package storetest

import (
	"fmt"
	"strings"

	"github.com/usagebook/usagebook/usage"
)

var correctionCases = []aCase{
	{
		name: "K1_targets_know_their_correction",
		rule: "A corrected record is read back with the sequence, kind, source and id of the one correction that it has, and an uncorrected one with none.",
		run:  targetsKnowTheirCorrection,
	},
	{
		name: "K2_chains_and_heads",
		rule: "Corrections form a chain: a correction can be corrected itself, and whoever targets a record inside the chain is told its head, however long the chain is.",
		run:  chainsAndHeads,
	},
	{
		name: "K3_a_void_cannot_be_replaced",
		rule: "A replace cannot target a void.",
		run:  aVoidCannotBeReplaced,
	},
	{
		name: "K4_missing_and_foreign_targets_are_one",
		rule: "A target that is missing and one that another tenant has booked are one and the same answer, and neither books anything.",
		run:  missingAndForeignTargets,
	},
	{
		name: "K4_malformed_targets",
		rule: "A correction that was refused before its target was looked at is Rejected by itself, whatever bytes it names the target with; the others of its batch are booked.",
		run:  malformedTargets,
	},
	{
		name: "K5_targets_in_the_same_batch",
		rule: "Records that stand earlier in a batch are there for the corrections that stand later in it, and not the other way round.",
		run:  targetsInTheSameBatch,
	},
	{
		name: "K6_corrections_have_identities",
		rule: "A correction is a record with its own identity: a retry is a Duplicate and never a second correction, also after it was corrected itself.",
		run:  correctionsHaveIdentities,
	},
}

// corrected checks what a record knows of its correction.
func (b *bench) corrected(target usage.Record, by *usage.Record) {
	b.k.Helper()
	got := b.find(target.Identity()).CorrectedBy
	if by == nil {
		if got != nil {
			b.k.Fatalf("%v is corrected by %+v, want nothing", target.Identity(), *got)
		}
		return
	}
	want := usage.CorrectedBy{Sequence: b.find(by.Identity()).Sequence, Kind: by.Corrects.Kind, Source: by.Source, ID: by.ID}
	if got == nil || *got != want {
		b.k.Fatalf("%v is corrected by %+v, want %+v", target.Identity(), got, want)
	}
}

func targetsKnowTheirCorrection(k *kit) {
	b := k.open(nil)
	one, two, three := use("one", 1), use("two", 2), use("three", 3)
	b.must(one, two, three, of("globex", one))
	void, replace := voidOf("v", one), replaceOf("r", two, 5)
	b.must(replace)
	b.must(void)
	b.corrected(one, &void)
	b.corrected(two, &replace)
	b.corrected(three, nil)
	b.corrected(void, nil)
	b.corrected(replace, nil)
	b.corrected(of("globex", one), nil)
}

func chainsAndHeads(k *kit) {
	b := k.open(nil)
	root := use("root", 0)
	b.must(root)
	chain := []usage.Record{root}
	for i := range 9 {
		last := chain[len(chain)-1]
		// Replaced twice, then voided over and over.
		next := voidOf(fmt.Sprintf("c%d", i), last)
		if i < 2 {
			next = replaceOf(fmt.Sprintf("c%d", i), last, int64(i))
		}
		b.must(next)
		chain = append(chain, next)
	}
	head := chain[len(chain)-1]
	for i := range chain[:len(chain)-1] {
		b.corrected(chain[i], &chain[i+1])
		out := b.append(voidOf(fmt.Sprintf("late%d", i), chain[i]))
		b.alreadyCorrected(out[0], head.Identity())
	}
	b.corrected(head, nil)
	if got := len(b.everything()); got != len(chain) {
		k.Fatalf("%d records are booked, want %d", got, len(chain))
	}
}

func (b *bench) refused(what, code string, r usage.Record) usage.ReceiptEntry {
	b.k.Helper()
	e := b.append(r)[0]
	if e.Outcome != usage.Rejected || len(e.Violations) != 1 || e.Violations[0].Code != code {
		b.k.Fatalf("%s is %s with %v, want rejected with %s", what, e.Outcome, e.Violations, code)
	}
	return e
}

func aVoidCannotBeReplaced(k *kit) {
	b := k.open(nil)
	target := use("t", 0)
	void := voidOf("v", target)
	b.must(target)
	b.must(void)
	replace := replaceOf("r", target, 2)
	replace.Corrects = &usage.Correction{Kind: usage.Replace, Source: void.Source, ID: void.ID}
	b.refused("a replace of a void", usage.CodeReplacesVoid, replace)
	b.holds("after a refused replace", target, void)
	b.must(voidOf("vv", void))
}

func missingAndForeignTargets(k *kit) {
	b := k.open(nil)
	mine, theirs := use("mine", 0), of("globex", use("theirs", 0))
	b.must(mine, theirs)
	// The same source and id, once booked by another tenant and once by nobody.
	foreign := b.refused("a void of another tenant's record", usage.CodeTarget, voidOf("v", use("theirs", 0)))
	b = k.open(nil)
	b.must(mine)
	missing := b.refused("a void of nothing", usage.CodeTarget, voidOf("v", use("theirs", 0)))
	if got, want := fmt.Sprint(foreign.Violations, foreign.Head), fmt.Sprint(missing.Violations, missing.Head); got != want {
		k.Fatalf("another tenant's target is answered with %s, a missing one with %s", got, want)
	}
	b.refused("a replace of nothing", usage.CodeTarget, replaceOf("r", use("theirs", 0), 1))
	b.refused("a void of another source", usage.CodeTarget, func() usage.Record {
		r := voidOf("w", mine)
		r.Corrects.Source = "elsewhere"
		return r
	}())
	b.holds("after refused corrections", mine)
	b.corrected(mine, nil)
	// The record may come after all.
	b.must(use("theirs", 0))
	b.want("the same correction, now that its target is booked", []usage.Outcome{usage.Inserted}, voidOf("v", use("theirs", 0)))
}

func targetsInTheSameBatch(k *kit) {
	b := k.open(nil)
	one, two := use("one", 1), use("two", 2)
	void, undo := voidOf("v", one), usage.Record{}
	undo = voidOf("vv", void)
	b.want("a chain in one batch", []usage.Outcome{usage.Inserted, usage.Inserted, usage.Rejected, usage.Inserted, usage.Rejected, usage.Inserted},
		one, void, voidOf("again", one), undo, voidOf("early", two), two)
	b.holds("after a chain in one batch", one, void, undo, two)
	b.corrected(one, &void)
	b.corrected(void, &undo)
	b.corrected(two, nil)
	out := b.append(voidOf("late", one))
	b.alreadyCorrected(out[0], undo.Identity())
}

func correctionsHaveIdentities(k *kit) {
	b := k.open(nil)
	target := use("t", 0)
	void := voidOf("v", target)
	b.must(target)
	b.must(void)
	b.want("a retry of a void", []usage.Outcome{usage.Duplicate, usage.Duplicate}, void, void)
	undo := voidOf("vv", void)
	b.must(undo)
	b.want("retries of a chain", []usage.Outcome{usage.Duplicate, usage.Duplicate, usage.Duplicate}, undo, target, void)
	redo := voidOf("vvv", undo)
	b.must(redo)
	b.corrected(target, &void)
	b.corrected(void, &undo)
	b.corrected(undo, &redo)
	b.holds("at the end", target, void, undo, redo)
}

func malformedTargets(k *kit) {
	b := k.open(nil)
	old := use("old", 0)
	b.must(old)
	var records []usage.Record
	var want []usage.Outcome
	for i, name := range []string{"", "a\x00b", "a\xff", "\n", strings.Repeat("x", 1000)} {
		good, byID, bySource := use(fmt.Sprint("good", i), i), voidOf(fmt.Sprint("id", i), old), voidOf(fmt.Sprint("source", i), old)
		byID.Corrects.ID, bySource.Corrects.Source = name, name
		records = append(records, good, byID, bySource)
		want = append(want, usage.Inserted, usage.Rejected, usage.Rejected)
	}
	b.want("malformed targets", want, records...)
	b.want("a sound correction afterwards", []usage.Outcome{usage.Inserted}, voidOf("void", old))
}
