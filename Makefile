# make help lists the targets. PG runs a command with a throw-away PostgreSQL; the tests skip it without.
PG := .ci/with-postgres
LINT := go tool -modfile=.ci/tools/go.mod golangci-lint

# Gin's MessagePack, which nobody speaks to us, would be a seventh of the binary.
export GOFLAGS := $(GOFLAGS) -tags=nomsgpack

.PHONY: help build systems check test race plans bench eval chaos structure lint vuln e2e e2e-gitea run demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## one static binary: bin/scanhook
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/scanhook ./cmd/scanhook

systems: ## builds for Windows, and type checks for macOS
	GOOS=windows CGO_ENABLED=0 go build -o /dev/null ./cmd/scanhook
	GOOS=darwin CGO_ENABLED=0 go vet ./cmd/scanhook ./internal/health ./internal/runner/...

check: lint vuln race plans ## what CI checks

test: ## tests on SQLite, and on PostgreSQL where SCANHOOK_TEST_POSTGRES is set
	go test ./...

race: ## tests with the race detector, on SQLite and PostgreSQL
	SCANHOOK_TEST_POSTGRES_REQUIRED=1 $(PG) .ci/race

plans: ## every statement on the way of a push finds its rows by a key, on both engines
	SCANHOOK_TEST_POSTGRES_REQUIRED=1 $(PG) go test -count=1 -run PlansByKey ./store

bench: ## intake: verification only, a transaction each, and ours; then as a database grows (25 minutes; PUSHES=3000 STATUSES=30000: 4)
	$(PG) go test -run '^$$' -bench Intake -benchtime 5000x ./webhooks
	$(PG) go test -v -count=1 -timeout 2h ./internal/growth \
		-growth.pushes=$(or $(PUSHES),30000) -growth.statuses=$(or $(STATUSES),300000)

eval: ## anomalies on planted series, fingerprints on real histories (minutes)
	SCANHOOK_EVAL=1 go test -run Eval -v -count=1 -timeout 30m ./core/... ./internal/runner

chaos: ## kill -9, database restarts and a hostile platform under 20,000 deliveries: nothing is lost (5 minutes)
	go test -v -count=1 -timeout 2h ./internal/chaos -chaos.duration=$(or $(DURATION),5m)

structure: ## files, functions and their ties, beside the budgets (ARGS=-v: the places; ARGS=-h: what is measured)
	@go run ./.ci/structure $(ARGS)

lint: ## format, vet and the linters of .golangci.yml
	test -z "$$(gofmt -l .)"
	go vet ./...
	$(LINT) run ./...

vuln: ## known vulnerabilities in what we call, where their database can be reached
	.ci/vulncheck

e2e-gitea: ## a real Gitea pushes and shows our status (builds Gitea, about 3 minutes)
	SCANHOOK_TEST_GITEA=$$(.ci/gitea) go test -run Gitea -v ./cmd/scanhook

e2e: ## the pages in a real Chromium; pictures in bin/screenshots
	mkdir -p bin/screenshots
	SCANHOOK_SCREENSHOTS=$(CURDIR)/bin/screenshots go test -count=1 -run Browser -v ./cmd/scanhook

run: ## serve with config.yaml
	go run ./cmd/scanhook serve

demo: ## a push becomes a commit status
	go run ./cmd/scanhook demo --once

clean: ## remove what was built
	rm -rf bin
