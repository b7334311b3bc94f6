# One set of Go flags everywhere: other flags would compile the world again. VCS stamping is off, for it fails where the
# checkout belongs to another user (containers); the version comes from git describe, in the link step only.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(filter-out -buildvcs%,$(GOFLAGS)) -buildvcs=false)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X main.version=$(VERSION)

UI := web/ui
UI_STAMP := $(UI)/dist/index.html
UI_MODULES := $(UI)/node_modules/.package-lock.json
UI_SOURCES := $(shell find $(UI) \( -name node_modules -o -name dist -o -name e2e -o -name test-results \) -prune \
	-o -type f ! -name '*.test.ts' -print 2>/dev/null)

# what "go test -race" is worth its third compilation of everything for
RACE ?= ./internal/... ./channels/... ./inbox/... ./staff/...
FUZZTIME ?= 15s

.DEFAULT_GOAL := help
.PHONY: help run demo dev test test-race e2e lint fmt generate verify bench fuzz ui ui-check build

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build and start everything; prints the address and a link that makes the first admin
	@scripts/deps postgres
	@exec ./bin/parley serve

demo: build ## the same with sample data and simulated customers
	@scripts/deps postgres
	@exec ./bin/parley demo

dev: build ## the server, and the front end with hot reload
	@scripts/deps postgres
	@./bin/parley serve & server=$$!; trap 'kill $$server; wait $$server' EXIT INT TERM; cd $(UI) && npm run dev

build: ui ## leave bin/parley
	@scripts/deps go
	go build -ldflags '$(LDFLAGS)' -o bin/parley ./cmd/parley

test: ## every check and every test
	@scripts/deps go node postgres browser dovecot
	@$(MAKE) --no-print-directory ui
	@scripts/test

test-race: ## the concurrent packages under the race detector (needs a C compiler)
	@scripts/deps go postgres dovecot
	CGO_ENABLED=1 go test -race $(RACE)

e2e: build ## the real binary against real peers
	@scripts/deps postgres browser dovecot
	PARLEY_E2E_CHROMIUM="$$(scripts/deps browser-path)" go test -count=1 -v ./e2e

lint: ## vet, formatting, static checks, dead code, shell scripts
	@scripts/deps go
	@scripts/lint long

fmt: ## format everything
	go tool gofumpt -w $(shell git ls-files '*.go')
	cd $(UI) && npm run --silent format

generate: $(UI_MODULES) ## the front end's types from the API description
	@scripts/verify || true

verify: $(UI_MODULES) ## fail when a generated file in the tree is not what generate makes
	@scripts/verify

bench: ## the benchmark table; a wrong count fails, a missed speed prints FAIL
	@scripts/deps go postgres dovecot
	go run ./bench

fuzz: ## every fuzz test for FUZZTIME each
	@scripts/fuzz $(FUZZTIME)

ui: $(UI_STAMP) ## build the front end if its sources are newer

ui-check: $(UI_MODULES) ## types, lint and tests of the front end
	cd $(UI) && npm run --silent check && npm run --silent lint && npm test --silent

$(UI_MODULES): $(UI)/package-lock.json
	@scripts/deps node
	cd $(UI) && npm ci --no-audit --no-fund
	@touch $@

$(UI_STAMP): $(UI_MODULES) $(UI_SOURCES)
	cd $(UI) && npm run --silent build
