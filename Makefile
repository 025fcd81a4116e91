# make help lists the targets. PG runs a command with a throw-away PostgreSQL; the tests skip it without.
PG := .ci/with-postgres
SIZES ?= 1000,100000,1000000
comma := ,
LINT := go tool -modfile=.ci/tools/go.mod golangci-lint

# Gin's MessagePack, which nobody speaks to us, would be a seventh of the binary.
export GOFLAGS := $(GOFLAGS) -tags=nomsgpack

# Releases search for secrets with RE2, which takes a fifth of the time; go run and go test work without it.
RELEASE_TAGS := nomsgpack,gore2regex

.PHONY: help build systems check test race plans engines traces bench bench-logins bench-scan bombs growth eval chaos upgrade failover structure lint vuln rules e2e e2e-gitea docs run demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## one static binary: bin/scanhook (TAGS=otel: with traces for OpenTelemetry)
	CGO_ENABLED=0 go build -trimpath -tags $(RELEASE_TAGS)$(addprefix $(comma),$(TAGS)) -ldflags "-s -w" -o bin/scanhook ./cmd/scanhook

systems: ## checks the types on Windows, where CI jobs upload reports, and on macOS, where people run serve
	go run -C .ci/tools ./systems windows darwin

check: lint vuln race plans ## most of what CI checks; .ci/run is all of it

test: ## tests on SQLite, and on PostgreSQL where SCANHOOK_TEST_POSTGRES is set
	go test ./...

race: ## all tests, with the race detector where goroutines meet, on SQLite and PostgreSQL (which need not sync: no test cuts the power)
	SCANHOOK_TEST_POSTGRES_REQUIRED=1 SCANHOOK_TEST_POSTGRES_SETTINGS='fsync=off full_page_writes=off' $(PG) .ci/race

plans: ## every statement on the way of a push finds its rows by a key, on both engines
	SCANHOOK_TEST_POSTGRES_REQUIRED=1 $(PG) go test -count=1 -run PlansByKey ./store

engines: ## the release's engine for secrets, RE2, finds what the standard library's does (a minute)
	CGO_ENABLED=0 go test -tags $(RELEASE_TAGS) ./internal/runner/gitleaks ./internal/runner/rules ./internal/reports

traces: ## a binary with OpenTelemetry tells of each push as one trace over all processes
	go vet -tags nomsgpack,otel ./internal/trace/... ./cmd/scanhook
	go test -count=1 -tags nomsgpack,otel -run 'Trace|Environment' ./internal/trace/... ./cmd/scanhook

bench: ## calls: verification only, a transaction each, and ours; then as a database grows (30 minutes; PUSHES=3000 STATUSES=30000: 5)
	$(PG) go test -v -count=1 -timeout 1h ./internal/bench -bench.pushes=$(or $(PUSHES),30000)
	$(PG) go test -v -count=1 -timeout 2h ./internal/growth \
		-growth.pushes=$(or $(PUSHES),30000) -growth.statuses=$(or $(STATUSES),300000)

growth: ## what each step of a push costs with 1,000 scans, 100,000 and 1,000,000, a claim with 100,000 jobs waiting, and how many indexes a push changes (15 minutes; SIZES=1000,100000: 3)
	$(PG) go test -v -count=1 -timeout 2h -run 'Sizes|Claims|IndexesOfAPush|AlertLists' ./internal/growth \
		-growth.sizes=$(SIZES) -growth.alerts=$(or $(ALERTS),1000000) -growth.waiting=$(or $(WAITING),100000)

bombs: ## how long commits of a few objects that unfold to too many paths take to be refused, beside the time in which git counts them (a minute)
	go test -v -count=1 -run BombsTakeNoMemory ./internal/mirror -bombs.count

bench-logins: ## how much longer a right login takes while 1,000 addresses try 10,000 wrong ones, on both engines (6 minutes; GUESSES=1000: 1)
	$(PG) go test -v -count=1 -timeout 1h ./internal/bench -run TestLogins -bench.guesses=$(or $(GUESSES),10000) -bench.rounds=1

bench-scan: ## what scans cost beside the gitleaks command on the same tree; and damaged mirrors under load (1 hour; FILES=1000 ROUNDS=1: 20 minutes; TAGS=gore2regex)
	go test -v -count=1 -timeout 3h ./internal/scanbench -scanbench.files=$(or $(FILES),1000$(comma)5000) \
		-scanbench.rounds=$(or $(ROUNDS),3) -scanbench.tags=$(TAGS) -scanbench.damages=$(or $(DAMAGES),100)

eval: ## anomalies on planted series, fingerprints on real histories (15 minutes)
	SCANHOOK_EVAL=1 go test -run Eval -v -count=1 -timeout 90m ./core/... ./internal/runner

chaos: ## kill -9, database restarts and a hostile platform under 20,000 deliveries: nothing is lost (5 minutes)
	go test -v -count=1 -timeout 2h ./internal/chaos -chaos.duration=$(or $(DURATION),5m)

upgrade: ## the last release beside this source, whose migration adds to the schema, under load: nothing fails (PREVIOUS=commit; 5 minutes)
	go test -v -count=1 -timeout 1h ./internal/upgrade -upgrade.deliveries=$(or $(DELIVERIES),4000) -upgrade.previous=$(PREVIOUS)

failover: ## a PostgreSQL primary is killed and its standby promoted under load, again and again: nothing acknowledged is lost (4 minutes)
	go test -v -count=1 -timeout 1h ./internal/failover -failover.deliveries=$(or $(DELIVERIES),9000) -failover.times=$(or $(TIMES),4)

structure: ## files, functions and their ties, beside the budgets (ARGS=-v: the places; ARGS=-h: what is measured)
	@go run ./.ci/structure $(ARGS)

lint: ## format and the linters of .golangci.yml, go vet's among them
	test -z "$$(gofmt -l .)"
	$(LINT) run ./...

vuln: ## known vulnerabilities in what we call, where their database can be reached
	.ci/vulncheck

rules: ## the alerts fire when they should, and the dashboard's queries are right, by Prometheus itself (builds it, 4 minutes)
	cd .ci/rules && GOFLAGS= go test -count=1 ./...

e2e-gitea: ## a real Gitea pushes and shows our status (builds Gitea, about 3 minutes)
	SCANHOOK_TEST_GITEA=$$(.ci/gitea) go test -run Gitea -v ./cmd/scanhook

e2e: ## the pages in a real Chromium; pictures in bin/screenshots
	mkdir -p bin/screenshots
	SCANHOOK_SCREENSHOTS=$(CURDIR)/bin/screenshots go test -count=1 -run Browser -v ./cmd/scanhook

docs: ## writes the schema and the pages of docs/reference that are made of the program
	go test -count=1 ./internal/config -run Schema -update
	go test -count=1 ./cmd/scanhook -run DocumentsOf -update

run: ## serve with config.yaml
	go run ./cmd/scanhook serve

demo: ## a push becomes a commit status
	go run ./cmd/scanhook demo --once

clean: ## remove what was built
	rm -rf bin
