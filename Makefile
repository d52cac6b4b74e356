# Forgecroft: `make run` starts it, `make test` tests it, `make check` is what CI runs.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X github.com/forgecroft/forgecroft/internal/cli.version=$(VERSION)
DATA    ?= data

export CGO_ENABLED = 0

.PHONY: build run demo test test-postgres test-openbao test-console screenshots race check lint generate bench crash fuzz clean

build: ## bin/forgecroft, one static binary
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/forgecroft ./cmd/forgecroft

run: build ## a server on 127.0.0.1:8300 with its data in ./data, and this machine's CLI logged in
	./bin/forgecroft server --data-dir $(DATA) --login

demo: build ## the whole story in a minute, offline, against fakes of AWS, Google and Cloudflare
	$(GO) run ./demo

test: ## every test
	$(GO) tool gotestsum --format pkgname -- -shuffle=on -timeout 20m ./...

test-postgres: ## the broker, the API and the command line on PostgreSQL, which the tests start themselves
	FORGECROFT_TEST_DATABASE=postgres $(GO) tool gotestsum --format pkgname -- -shuffle=on -timeout 20m ./internal/broker ./internal/httpapi ./cmd/forgecroft

race: ## every test with the race detector
	CGO_ENABLED=1 $(GO) tool gotestsum --format pkgname -- -race -shuffle=on -timeout 25m ./...

test-openbao: ## the vault's tests against a real OpenBao or HashiCorp Vault, which they may fill and change: BAO_ADDR, BAO_TOKEN (root)
	@test -n "$$BAO_ADDR" -a -n "$$BAO_TOKEN" || { echo "set BAO_ADDR and BAO_TOKEN, such as those of: bao server -dev -dev-root-token-id=root"; exit 2; }
	$(GO) tool gotestsum --format testname -- -count=1 -run '^(TestReal|TestScript)' ./internal/vault/openbao ./internal/fake/bao

test-console: ## the console in Chromium, with pictures of every page in dist/screenshots; needs chromium, node and npm
	FORGECROFT_ARTEFACTS=$(CURDIR)/dist/screenshots $(GO) tool gotestsum --format testname -- -count=1 ./internal/servertest/browser

screenshots: ## the two pictures in README.md, anew
	FORGECROFT_README_IMAGES=$(CURDIR)/docs/images $(GO) test -count=1 -run TestReadme ./internal/servertest/browser

lint: ## formatting, vet, staticcheck, generated files
	@unformatted=$$($(GO) tool gofumpt -l .); test -z "$$unformatted" || { echo "not formatted with gofumpt:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff

generate: ## golden files and generated references
	$(GO) test ./internal/store ./internal/credtype ./internal/httpapi ./internal/cli ./internal/console -run "Golden|Schema" -update

fuzz: ## every fuzz target for FUZZTIME each
	./.ci/fuzz $(or $(FUZZTIME),10s)

crash: build ## the long run of the crash harness
	FORGECROFT_CRASH=long $(GO) test ./internal/servertest/crash ./internal/servertest/replicas ./internal/servertest/operator ./internal/vault/embedded ./internal/store -count=1 -timeout 3h -v

bench: build ## the load of docs/performance.md against the built binary; starts a PostgreSQL itself for the replicas
	$(GO) run ./bench

check: ## what CI runs
	./.ci/run

clean:
	rm -rf bin dist
