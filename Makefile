# Everything below runs on a fresh clone. As root on a Debian 12 the tests use
# booted hosts as well; elsewhere they say which tests were left out.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS  = -s -w -X picket/internal/cli.Version=$(VERSION) -X picket/internal/cli.Commit=$(COMMIT)
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
TOOL     = $(GO) tool -modfile=tools/go.mod

# Booted hosts mostly wait: more of them at a time than there are processors.
AT_ONCE  = $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) * 2 )))

export PICKET_NO_LOCAL = 1

.PHONY: build test lint unit race cross lab-setup bench record golden compose-wanted clean

build: ## one static binary: ./picket
	$(BUILD) -o picket ./cmd/picket

test: lab-setup lint cross unit race ## everything that CI runs

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt wants to change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

unit: ## all tests, those on booted hosts included where they can run
	@mkdir -p dist && rm -f dist/unit.rc
	@{ $(GO) test -timeout 80m -parallel $(AT_ONCE) ./...; echo $$? >dist/unit.rc; } 2>&1 | tee dist/unit.log
	@grep -E '^ *--- FAIL|^panic:|^FAIL[[:space:]]' dist/unit.log || true # once more, at the end
	@exit "$$(cat dist/unit.rc)"

# The race detector finds nothing where nothing runs at the same time. It is for the commands, and for each package that has, in
# itself or in its tests, a goroutine, a lock, a channel or a server; what these call is watched with them, wherever it stands.
AT_ONE_TIME = (^|[^[:alnum:]/"])go [A-Za-z_.]+[[(]|"sync(/atomic)?"$$|\.Go\(|chan |AfterFunc\(|"net/http(/httptest)?"$$
ITS_FILES   = {{$$at := printf "%s %s/" .ImportPath .Dir}}{{range .GoFiles}}{{$$at}}{{.}}{{"\n"}}{{end}}{{range .TestGoFiles}}{{$$at}}{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$at}}{{.}}{{"\n"}}{{end}}

race: ## the race detector, without the booted hosts; it needs a C compiler
	@if command -v cc >/dev/null || [ "$$PICKET_LAB" = require ]; then \
		files=$$($(GO) list -f '$(ITS_FILES)' ./internal/...) && \
		packages=$$(echo "$$files" | while read -r package file; do \
			if [ -n "$$file" ] && grep -Eq '$(AT_ONE_TIME)' "$$file"; then echo "$$package"; fi; done | sort -u) && \
		[ -n "$$packages" ] && PICKET_LAB=off CGO_ENABLED=1 $(GO) test -race ./cmd/... $$packages; \
	else \
		echo "LEFT OUT the race detector: no C compiler (apt-get install gcc libc6-dev)"; \
	fi

cross: ## the three kinds of machine that Picket is for, and the two other kinds of laptop from which they are reached
	GOOS=linux GOARCH=amd64 $(BUILD) -o dist/picket-linux-amd64 ./cmd/picket
	GOOS=linux GOARCH=arm64 $(BUILD) -o dist/picket-linux-arm64 ./cmd/picket
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o dist/picket-linux-armv6 ./cmd/picket
	GOOS=darwin GOARCH=arm64 $(BUILD) -o dist/picket-darwin-arm64 ./cmd/picket
	GOOS=windows GOARCH=amd64 $(BUILD) -o dist/picket-windows-amd64.exe ./cmd/picket
	PICKET_DIST=$(CURDIR)/dist $(GO) test -count=1 ./cmd/picket

lab-setup: ## Debian packages for booted hosts; does nothing without root or elsewhere
	@sh lab/setup.sh

record: lab-setup ## boot and record the hosts of testdata/hosts anew, as root on a Debian 12
	$(GO) run ./lab/record testdata/hosts
	$(MAKE) golden

golden: ## write the reports beside the recorded hosts anew
	$(GO) test -count=1 ./internal/cli -run TestRecordedHosts -update

compose-wanted: ## write anew what docker compose's library makes of the projects that ours is held to
	cd tools/compose && $(GO) run . ../../internal/core/compose/testdata

bench: ## Picket beside Lynis and OpenSCAP on one booted host; takes some minutes
	CGO_ENABLED=0 $(GO) run ./bench/audit

clean:
	rm -rf picket dist
