# The targets a contributor needs; `make help` lists them. Modules, packages, fuzz targets and
# benchmarks are discovered, so that adding one needs no edit here.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Every module of the tree but the pinned tools, which are a module of their own so that their
# requirements never reach ours.
MODULES := $(sort $(patsubst ./%,%,$(patsubst %/go.mod,%,$(shell \
	find . \( -path './.*' -o -name testdata -o -name node_modules \) -prune -o -name go.mod -print))))

# Modules whose tests are a step of their own, without the race detector: vendor clients whose C
# parts it cannot see into, or work that would take minutes under it. Write the reason beside each.
# openapitest: its validator takes minutes to build for the race detector, which has nothing to find
# there. bench: what it measures is another program under the race detector. clienttest: a client of
# 6,500 files takes minutes to build, and the server it drives is a process of its own.
HEAVY := httpadapter/clienttest httpadapter/openapitest examples/bench
LIGHT := $(filter-out $(HEAVY),$(MODULES))

# RACE= runs the tests without the race detector, where there is no C compiler to be had.
#
# SQLite in Go is C that was translated: what it does to memory under its own locks the detector
# cannot follow, only slow down tenfold. Ours around it is watched.
RACE      ?= -race '-gcflags=modernc.org/...=-race=false -d=checkptr=0'
TIMEOUT   ?= 10m
TESTFLAGS ?=
FUZZTIME  ?= 20s
BENCH     ?= .
BENCHTIME ?= 1s
BENCHFLAGS ?=

CACHE := $(CURDIR)/.ci/cache
BIN   := $(CACHE)/bin
SKIPS := $(CACHE)/skips

# each runs one command in every module of a list, goes on after a failure so that one run shows
# all faults, and fails at the end. Checks run with GOWORK=off: a module has to stand on its own
# go.mod, because that is all its users get.
define each
	@failed=; for module in $(1); do \
		echo "== $(2): $$module"; \
		( cd "$$module" && $(3) ) || failed="$$failed $$module"; \
	done; \
	if [ -n "$$failed" ]; then echo "$(2) failed in:$$failed" >&2; exit 1; fi
endef

# tests is the command of one module's tests. go test -v is the only way to see skips; testlog.awk
# folds its output to go test's own ok lines, the skips, and all of a package that failed.
testlog = awk -v skips='$(SKIPS)' -f '$(CURDIR)/.ci/testlog.awk'
tests   = go test -v $(1) -shuffle=on -timeout=$(TIMEOUT) $(TESTFLAGS) ./... | $(testlog)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: test
test: prepare test-ci ## install what tests need where missing, run every module's tests with -race and shuffle
	@rm -f '$(SKIPS)'; failed=0; \
	$(MAKE) --no-print-directory test-light || failed=1; \
	$(MAKE) --no-print-directory test-alloc || failed=1; \
	$(if $(RACE),$(MAKE) --no-print-directory test-compare || failed=1;) \
	$(if $(HEAVY),$(MAKE) --no-print-directory test-heavy || failed=1;) \
	.ci/skips '$(SKIPS)' .ci/allowed-skips || failed=1; \
	exit $$failed

.PHONY: test-light
test-light:
	$(call each,$(LIGHT),test,$(if $(RACE),CGO_ENABLED=1) $(call tests,$(RACE)))

# With GOWORK=off, so that what takes long to build is built once for this and for the checks.
.PHONY: test-heavy
test-heavy:
	$(call each,$(HEAVY),test without -race,GOWORK=off $(call tests,))

# The race detector allocates on its own and makes pools forget, so tests that count allocations
# skip under it (see allowed-skips) and run once more here, by their names.
.PHONY: test-alloc
test-alloc:
	@echo '== test of allocations, without -race'; \
	go test -v -run Alloc -shuffle=on -timeout=$(TIMEOUT) $(TESTFLAGS) \
		$$(grep -rl --include='*_test.go' AllocsPerRun . | xargs -n 1 dirname | sort -u) | $(testlog)

# Comparisons of stores ask a quarter of their questions under the race detector, and all of them here.
.PHONY: test-compare
test-compare:
	@echo '== test of comparisons, without -race'; \
	cd usage/durabletest && GOWORK=off go test -v -run Compare -shuffle=on -timeout=$(TIMEOUT) $(TESTFLAGS) . | $(testlog)

.PHONY: test-ci
test-ci: ## test the scripts that fold test output and judge skips
	@.ci/testlog_test

.PHONY: prepare
prepare:
	@mkdir -p '$(CACHE)'
	@RACE='$(if $(RACE),-race)' .ci/prepare

.PHONY: check
check: ## all checks below; goes on after a failure
	@$(MAKE) --no-print-directory --keep-going fmt-check tidy vet staticcheck govulncheck

.PHONY: fmt-check
fmt-check: ## fail where gofmt would change a file
	@echo '== gofmt'; files=$$(gofmt -l .); \
	if [ -n "$$files" ]; then echo "gofmt would change (make fmt does):" >&2; echo "$$files" >&2; exit 1; fi

.PHONY: tidy
tidy: ## fail where go mod tidy would change a go.mod or go.sum
	$(call each,$(MODULES) .ci/tools,tidy,GOWORK=off go mod tidy -diff)
	@echo '== workspace'; .ci/workspace $(MODULES)

.PHONY: vet
vet: ## go vet
	$(call each,$(MODULES),vet,GOWORK=off go vet ./...)

.PHONY: staticcheck
staticcheck: tools ## staticcheck, pinned in .ci/tools
	$(call each,$(MODULES),staticcheck,GOWORK=off '$(BIN)/staticcheck' ./...)

.PHONY: govulncheck
govulncheck: tools ## govulncheck, pinned in .ci/tools; database: $GOVULNDB when set, else its default
	$(call each,$(MODULES),govulncheck,GOWORK=off '$(BIN)/govulncheck' $${GOVULNDB:+-db "$$GOVULNDB"} ./...)

# The tools may need a newer Go than the library does; GOTOOLCHAIN=auto fetches one for building
# them alone, where the installed one is too old.
.PHONY: tools
tools:
	@mkdir -p '$(BIN)'
	@GOWORK=off GOTOOLCHAIN=auto go -C .ci/tools build -buildvcs=false -o '$(BIN)/' tool

.PHONY: apidiff
apidiff: ## compare the exported API of HEAD with the last tag
	@.ci/apidiff $(MODULES)

.PHONY: bench
bench: ## run the benchmarks BENCH (a regexp) for BENCHTIME each
	$(call each,$(MODULES),bench,go test -run '^$$' -bench '$(BENCH)' -benchtime '$(BENCHTIME)' -benchmem $(BENCHFLAGS) ./...)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	$(call each,$(MODULES),fuzz,'$(CURDIR)/.ci/fuzz' '$(FUZZTIME)')

.PHONY: fmt
fmt: ## gofmt every file
	@gofmt -w .

.PHONY: clean
clean: ## remove built tools and logs
	@rm -rf '$(CACHE)'
