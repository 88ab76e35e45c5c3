# Everything that is done with this repository. `make` alone lists it. It takes Go, make and git; the tools that some
# targets use are built from the versions pinned in hack/tools/go.mod.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

VERSION ?= $(shell git describe --tags --always --dirty --match 'v*' 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell TZ=UTC0 git log -1 --date=iso-strict-local --format=%cd 2>/dev/null || echo unknown)
STAMP   := github.com/kubectl-stuck/kubectl-stuck/pkg/cli
LDFLAGS := -s -w -X $(STAMP).version=$(VERSION) -X $(STAMP).commit=$(COMMIT) -X $(STAMP).date=$(DATE)

# Extra flags for go test, go run ./cmd/bench and the playground.
TEST_FLAGS       ?=
BENCH_FLAGS      ?=
PLAYGROUND_FLAGS ?=
SCORE_FLAGS      ?=
# A folder of incidents for make score: hack/score/doc.go says what a file looks like.
CASES            ?= hack/score/testdata
# The archives that make dist builds: host, all, or a list such as linux/arm64,darwin/arm64.
PLATFORMS        ?= all
# The version of a release has the form v1.2.3; a build between releases is called v0.0.0-g<commit>.
RELEASE_VERSION  ?= $(if $(filter v%,$(VERSION)),$(VERSION),v0.0.0-g$(VERSION))

##@ Use

.PHONY: build
build: ## Build bin/kubectl-stuck
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kubectl-stuck ./cmd/kubectl-stuck

.PHONY: install
install: ## Install the plugin into Go's bin folder, which should be on PATH
	@CGO_ENABLED=0 go install -trimpath -ldflags '$(LDFLAGS)' ./cmd/kubectl-stuck
	@echo "installed $$(go list -f '{{.Target}}' ./cmd/kubectl-stuck); kubectl finds it there if that folder is on PATH"

.PHONY: demo
demo: build ## Show the plugin at work on a recorded cluster; needs no cluster
	@bash hack/demo.sh

.PHONY: playground
playground: build ## Start a real control plane with stuck pods to try the plugin on (PLAYGROUND_FLAGS)
	@cd test && go run ./cmd/playground $(PLAYGROUND_FLAGS)

##@ Test

.PHONY: test
test: test-unit test-e2e ## Run all tests: those of the plugin, and those against a real control plane

.PHONY: test-unit
test-unit: ## Run the plugin's own tests, with the race detector (TEST_FLAGS)
	@bash hack/test . $(TEST_FLAGS)

.PHONY: test-e2e
test-e2e: build ## Run the tests of the house and of the built binary on a real control plane (TEST_FLAGS)
	@bash hack/test test $(TEST_FLAGS)

.PHONY: bench
bench: build ## Measure the plugin on a big cluster (BENCH_FLAGS)
	@cd test && go run ./cmd/bench $(BENCH_FLAGS)

.PHONY: score
score: ## Hold the catalogue against incidents whose cause is known (CASES=folder, SCORE_FLAGS)
	@go run ./hack/score $(SCORE_FLAGS) "$(CASES)"

##@ Keep in order

.PHONY: verify
verify: ## Check everything that is not a test: every hack/verify-*
	@bash hack/verify

.PHONY: update
update: ## Mend what verify finds, where a program can: every hack/update-*
	@bash hack/update

.PHONY: generate
generate: ## Write the generated Go files
	@bash hack/update-generated

.PHONY: lint
lint: ## Run golangci-lint
	@bash hack/verify-lint

.PHONY: fmt
fmt: ## Format Go files and group their imports
	@bash hack/update-format

##@ Release

.PHONY: dist
dist: ## Build the archives that the krew manifest points to (PLATFORMS)
	@go run ./hack/release archives -version '$(RELEASE_VERSION)' -commit '$(COMMIT)' -date '$(DATE)' -platforms '$(PLATFORMS)' -dist dist

.PHONY: release-snapshot
release-snapshot: dist krew-manifest ## Build all that a release is made of, without releasing it

.PHONY: krew-manifest
krew-manifest: ## Fill in the krew manifest from the archives in dist
	@go run ./hack/release manifest -version '$(RELEASE_VERSION)' -dist dist $(if $(filter all,$(PLATFORMS)),,-allow-missing) -o dist/stuck.yaml
	@echo dist/stuck.yaml

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist .build coverage.out

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-zA-Z0-9_-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
