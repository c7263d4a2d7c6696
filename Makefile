# The entry points. Each installs what it needs and says what is missing where that cannot be installed.

CARGO ?= cargo
PLUGINS ?= target/plugins
# The Rust policies are a workspace of their own; natively they are built for lints and tests only.
NATIVE_POLICIES = --locked --manifest-path policies/Cargo.toml --target-dir target/guests/native --workspace
DATA ?= target/gatehouse-data
LISTEN ?= 127.0.0.1:8080

.DEFAULT_GOAL := help
.PHONY: help setup build plugins policies fixtures run test test-unit test-edge conformance soak fuzz crash powercut fulldisk check fmt neighbours overload bench profile clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@scripts/setup

build: setup ## Build target/release/gatehouse
	$(CARGO) build --release --locked -p gatehouse

# `gatehouse build` builds those in C and Go.
plugins: build ## Build every example plugin as target/plugins/NAME.wasm
	@scripts/build-guests plugins

policies: setup ## Build every policy component as target/policies/NAME.wasm
	@scripts/build-guests policies

fixtures: setup
	@scripts/build-guests fixtures

run: build plugins ## Build everything, then serve the example plugins on http://127.0.0.1:8080/mcp
	@exec target/release/gatehouse serve --listen $(LISTEN) --plugins $(PLUGINS) --data $(DATA)

test: test-unit test-edge ## Run all tests, official clients included

# There are no tests in the programs themselves or in examples of documentation. The room that takes longest to optimise is not optimised for its
# unit tests, but once, where it ships.
test-unit: setup
	$(CARGO) test --release --locked --lib --config profile.release.package.gatehouse.opt-level=0 \
		--config profile.release.package.gatehouse.codegen-units=16 \
		-p gatehouse -p gatehouse-event-store -p gatehouse-mcp -p gatehouse-sandbox -p gatehouse-token
	$(CARGO) test $(NATIVE_POLICIES) --lib

# Against the shipped binary: real sockets, real components, official clients. The official suite knows by a clock of its own what is too late, so it
# has the machine to itself. The soak takes minutes and little of the machine: it runs beside all other tests, in a process of its own, so that
# none of them waits for it.
EDGE = $(CARGO) test --locked -p gatehouse-tests
test-edge: build plugins policies fixtures
	@scripts/install-test-clients
	cd policies/hours && node --test
	$(EDGE) --no-run
	$(EDGE) -- integration::conformance::
	$(SOAK) & soak=$$!; $(EDGE) -- --skip integration::soak:: --skip integration::conformance::; others=$$?; wait $$soak && exit $$others

MINUTES ?= 3
SOAK = GATEHOUSE_SOAK_MINUTES=$(MINUTES) $(EDGE) -- --nocapture integration::soak::
soak: build plugins policies fixtures ## Load a gateway with everything for MINUTES=3, and see that all of it comes back (a part of `make test`)
	$(SOAK)

conformance: build plugins ## Run the official conformance suite, and show its table (a part of `make test`)
	@scripts/install-test-clients
	$(CARGO) test --locked -p gatehouse-tests -- --nocapture conformance::

# Each target by itself, so that each has its seconds.
FUZZ = bodies_are header_values a_message_is_one what_was_not_given what_was_not_sealed no_template_and \
	tokens_that_were payloads_that headers_that key_sets_are public_keys_in_pem secrets_are authorization_headers
fuzz: build plugins policies fixtures ## Look for inputs that nobody thought of, for SECONDS=600 in each place where they come in
	for target in $(FUZZ); do GATEHOUSE_FUZZ_SECONDS=$(SECONDS) $(CARGO) test --release --locked -p gatehouse -p gatehouse-mcp -p gatehouse-token -- --nocapture $$target || exit 1; done
	GATEHOUSE_FUZZ_SECONDS=$(SECONDS) $(CARGO) test --locked -p gatehouse-tests -- --nocapture requests_that_nobody

SECONDS ?= 600
crash: setup ## Kill a writing store again and again for SECONDS=600, and look for what it acknowledged
	GATEHOUSE_CRASH_SECONDS=$(SECONDS) $(CARGO) test --release --locked -p gatehouse-event-store -- --nocapture nothing_acknowledged

powercut: setup ## Cut the power of a writing store, in an image of its own file system; needs root
	$(CARGO) test --release --locked -p gatehouse-event-store -- --nocapture --ignored power_cut

fulldisk: build plugins ## Fill the store's disk under a running gateway; needs root
	$(CARGO) test --locked -p gatehouse-tests -- --nocapture --ignored full_disk

check: setup ## Check formatting, lints, documentation, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) fmt --all --check --manifest-path policies/Cargo.toml
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy $(NATIVE_POLICIES) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps --workspace --document-private-items
	@scripts/check-dependencies

fmt: ## Format the sources
	$(CARGO) fmt --all
	$(CARGO) fmt --all --manifest-path policies/Cargo.toml

neighbours: SECONDS = 10
neighbours: build plugins fixtures ## Let one tenant do its worst, each style for SECONDS=10, and look at how late another one gets
	$(CARGO) run --release --locked -p gatehouse-bench -- neighbours $(SECONDS)

overload: SECONDS = 20
overload: build plugins fixtures ## Ask for three times what the machine can do, for SECONDS=20
	$(CARGO) run --release --locked -p gatehouse-bench -- overload $(SECONDS)

# PART=calls measures one part, SECONDS=2 makes its rounds longer; `gatehouse-bench --help` tells what there is.
# What a call takes of the heap, first: it needs no quiet machine, but a build of the engine with what the SDK wants of its libraries, which `make test` is spared.
bench: SECONDS =
bench: PART =
bench: build plugins policies fixtures ## Measure everything beside yardsticks in one run, hold it against bars, draw it into target/bench
	$(CARGO) build --release --locked -p gatehouse-bench-sandbox
	$(CARGO) test --release --locked -p gatehouse-bench-sandbox
	$(CARGO) run --release --locked -p gatehouse-bench -- $(PART) $(SECONDS)

profile: plugins policies fixtures ## Learn anew which code calls run through, for the compiler (host/gatehouse.profdata); then everything is built anew
	@scripts/profile

clean: ## Remove everything that was built
	rm -rf target
