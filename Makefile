# The project's verbs. CI calls `make test` and nothing else.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

# What the bench builds with, and where cargo then leaves it. BENCH_PROFILE=dev is for trying: none of its figures count.
BENCH_PROFILE ?= release
BENCH_BIN = $(TARGET)/$(if $(filter dev,$(BENCH_PROFILE)),debug,$(BENCH_PROFILE))/bench
BENCH_OPTIONS = $(if $(BENCH_SECONDS),--seconds $(BENCH_SECONDS)) $(if $(BENCH_VIEWERS),--viewers $(BENCH_VIEWERS))

# For `make install`. BUILT is a folder with programs that are ready; without it they are built first.
export PREFIX ?= /usr/local
export DESTDIR ?=
BUILT ?=

.DEFAULT_GOAL := help
.PHONY: help build release test check deny fuzz demo tools bench bench-build starter surgery install uninstall

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

build: ## Build all programs
	@scripts/need $(CARGO) cc
	$(CARGO) build --locked --workspace --bins

release: ## Build the programs to install, optimised
	@scripts/need $(CARGO) cc
	$(CARGO) build --locked --release --package relay-origin --package relay-edge --package relay-load

test: tools check build ## Install what tests need, then check, build and tell every story
	$(CARGO) test --locked --workspace --exclude relay-tests
	$(CARGO) test --locked --package relay-tests -- --show-output

check: ## Format, lints, documentation; bans and licences are a test of their own
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

deny: ## Run cargo-deny, where it is installed
	@scripts/need cargo-deny
	$(CARGO) deny --locked check

fuzz: ## Fuzz every parser and the whole RTMP session, guided by coverage, 60 s each; takes nightly and cargo-fuzz (FUZZ="amf0 session" for some, FUZZ_SECONDS=600)
	@CARGO=$(CARGO) scripts/fuzz $(FUZZ)

demo: build ## An origin and two edges on loopback, with the clip; Ctrl-C ends it (DEMO_GROW=1 brings a crowd, for which the origin starts more edges; DEMO_PORTS=20000 moves the ports, STARTER=1 puts it into a small instance)
	@exec $(if $(STARTER),scripts/starter -- )$(TARGET)/debug/demo

tools: ## Install the programs of others that tests need: ffmpeg, rtmpdump, chromium, systemd-analyze, dig, drill, promtool, playwright-core
	@scripts/tools $(TARGET)/tools

bench-build:
	@scripts/need $(CARGO) cc ip taskset unshare
	$(CARGO) build --locked --profile $(BENCH_PROFILE) --bins \
		--package relay-origin --package relay-edge --package relay-load --package relay-tests

bench: bench-build ## Measure, judge the bars, write docs/performance.md (BENCH="floor peers" for parts, BENCH=--render to write only)
	@scripts/peers $(TARGET)/tools $(BENCH)
	@exec $(BENCH_BIN) $(BENCH_OPTIONS) $(BENCH)

starter: bench-build ## The same inside a small instance: 1 CPU, 900 MB; as root
	@exec $(BENCH_BIN) $(BENCH_OPTIONS) starter

surgery: ## The evening of 2012 replayed, without the pool and with it: 3 minutes, and first a release build; as root (SURGERY_VIEWERS=200)
	@[ "$$(id -u)" = 0 ] || { echo "make surgery takes root: network namespaces, a limited uplink, groups with limits." >&2; exit 77; }
	@scripts/need ip tc unshare setpriv taskset
	@$(MAKE) --no-print-directory bench-build
	@exec $(dir $(BENCH_BIN))surgery $(if $(SURGERY_VIEWERS),--viewers $(SURGERY_VIEWERS))

install: $(if $(BUILT),,release) ## Install programs, units and kernel settings (PREFIX=/usr/local, DESTDIR=, BUILT=target/release skips the build)
	@scripts/install put $(or $(BUILT),$(TARGET)/release)

uninstall: ## Remove what install put there, settings and state excepted
	@scripts/install remove
