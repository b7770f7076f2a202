.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE_SOURCES := $(shell find native Cargo.toml Cargo.lock -type f -not -path '*/target/*' 2>/dev/null)

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "tickcast needs Python 3.11 or newer, found: $$($(PYTHON) --version 2>/dev/null || echo none)." \
		"Get it from https://www.python.org or your package manager, then: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "Python packages, into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.built: $(VENV)/.installed $(CORE_SOURCES)
	@command -v cargo >/dev/null || { echo "The core needs Rust 1.88 or newer, found no cargo. Get it from https://rustup.rs" \
		"(curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh), then open a new shell." >&2; exit 1; }
	@echo "The core, in Rust: a minute or two on two cores the first time ..."
	@PIP_QUIET=1 $(BIN)/maturin develop --release --quiet
	@touch $@

NPM := npm --no-update-notifier --prefix
PAGE := src/tickcast/gateway/page
PAGE_SOURCES := $(shell find dashboard sdk/typescript/src -type f -not -path '*/node_modules/*' -not -name '*.md' 2>/dev/null)
SDK_SOURCES := $(shell find sdk/typescript/src -type f 2>/dev/null) $(wildcard sdk/typescript/*.json)

%/node_modules/.installed: %/package.json %/package-lock.json %/.npmrc
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
		|| { echo "The page needs Node 20.19 or newer, found: $$(node --version 2>/dev/null || echo none)." \
		"Get it from https://nodejs.org, or with your package manager (apt install nodejs npm, brew install node)." >&2; exit 1; }
	@command -v npm >/dev/null || { echo "The page needs npm, found none. It comes with Node from https://nodejs.org; on Debian: apt install npm." >&2; exit 1; }
	@echo "Node packages of $* ..."
	@$(NPM) $* ci --silent
	@touch $@

$(PAGE)/index.html: dashboard/node_modules/.installed $(PAGE_SOURCES)
	@echo "The page ..."
	@$(NPM) dashboard run --silent build
	@touch $@

page: $(PAGE)/index.html ## build the page into the package

# Not index.js: a check of the page makes that part of dist too.
sdk/typescript/dist/.built: sdk/typescript/node_modules/.installed $(SDK_SOURCES)
	@echo "The SDK for browsers and Node ..."
	@$(NPM) sdk/typescript run --silent build
	@touch $@

sdk: sdk/typescript/dist/.built ## build the SDK for browsers and Node

setup: $(VENV)/.built page sdk tests/clients/socketio/node_modules/.installed ## install what is needed into .venv, build the core, the page and the SDK

run: setup ## simulated exchanges, the whole pipeline and the page, on port 8000
	$(BIN)/tickcast demo

lint: setup ## every static check
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(NPM) sdk/typescript run --silent check
	$(NPM) dashboard run --silent check
	cargo fmt --check
	cargo clippy --workspace --all-targets --release -- -D warnings

test: setup ## everything that needs no network
	cargo test --workspace --release --quiet
	$(NPM) sdk/typescript test --silent
	$(NPM) dashboard test --silent
	$(BIN)/pytest

proto: setup ## types of proto/ for Python and TypeScript, generated anew
	$(BIN)/python -m tickcast.testing.protoc src/tickcast/proto sdk/typescript/src/protobuf

SEED ?= 1

faults: setup ## every protocol with every fault, every process killed and stopped; about ten minutes; writes docs/faults.md
	$(BIN)/python -m tickcast.testing.matrix --seed $(SEED) --json build/faults.json --write-docs docs/faults.md
	$(BIN)/python -m tickcast.testing.day --seed $(SEED) --json build/day.json

faults-quick: setup ## some of them, others with another SEED; about a minute
	$(BIN)/python -m tickcast.testing.matrix --seed $(SEED) --quick

MINUTES ?= 5

day: setup ## a day in five minutes, or MINUTES=60: all crypto venues, 2,000 instruments, 500 clients, every fault at random
	$(BIN)/python -m tickcast.testing.day --seed $(SEED) --minutes $(MINUTES) --json build/day.json

SECONDS ?= 3600
INPUTS ?= 1000000

fuzz: setup ## damaged bytes into all decoders and sessions, an hour each, or SECONDS=60, and a million into the gateway; says how many inputs
	TICKCAST_FUZZ_SECONDS=$(SECONDS) TICKCAST_FUZZ_SEED=$(SEED) cargo test --release --package tickcast-core \
		--test fuzz --test fuzz_fix --test fuzz_json -- --nocapture
	$(BIN)/python -m tickcast.testing.fuzz --seconds $(SECONDS) --seed $(SEED)
	$(BIN)/python -m tickcast.testing.fuzz_link --seconds $(SECONDS) --seed $(SEED)
	$(BIN)/python -m tickcast.testing.fuzz_gateway --inputs $(INPUTS) --seconds $(SECONDS) --seed $(SEED)

build/peers/.installed: bench/peers.txt # what the fan-out is measured beside, and nothing else needs
	$(PYTHON) -m venv build/peers
	build/peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/peers.txt
	touch $@

bench: setup build/peers/.installed ## every figure of the README, beside its peer or limit; some minutes
	$(BIN)/python bench/run.py

bench-spine: setup ## a million messages a second through the whole system, for ten minutes
	@mkdir -p bench/results
	$(BIN)/python bench/spine.py --seconds 600 --every 20 --json bench/results/spine.json

bench-peers: setup ## the fan-out in a harness with other servers, which TICKCAST_PEERS names; a quarter of an hour
	@mkdir -p bench/results
	$(BIN)/python bench/peers.py --json bench/results/peers.json

MINUTES ?= 30

bench-many: setup ## 50,000 connections for five minutes, idle and served; then 10,000 that come at once; ten minutes in all
	@mkdir -p bench/results
	$(BIN)/python bench/many.py --gateways 4 --json bench/results/many.json
	$(BIN)/python bench/storm.py --rounds 3 --json bench/results/storm.json

bench-tls: setup ## what TLS costs each connection and update, beside plain TCP and nginx in front
	$(BIN)/python bench/tls.py

soak: setup ## clients that come and go for half an hour, or MINUTES=5: memory stays flat, counters add up
	@mkdir -p bench/results
	$(BIN)/python bench/soak.py --minutes $(MINUTES) --json bench/results/soak.json

WITNESSES ?= cryptofeed quickfix
WITNESS_PIP := build/witnesses/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes

witness-venv: ## the software that `witnesses` asks, in build/witnesses: what cannot be installed is left out
	$(PYTHON) -m venv build/witnesses
	$(WITNESS_PIP) --only-binary :all: -r tests/witnesses/requirements/build.lock
	@for one in $(WITNESSES); do \
		$(WITNESS_PIP) --no-build-isolation -r tests/witnesses/requirements/$$one.lock \
			|| echo "could not install $$one: its tests will be skipped" >&2; \
	done

witnesses: setup witness-venv ## QuickFIX, Wireshark and cryptofeed read the simulated exchanges; the first time QuickFIX compiles for 5 minutes
	$(BIN)/pytest tests/witnesses

PYTHON2 ?= $(shell for one in python2.7 $(HOME)/.pyenv/versions/2.7*/bin/python; do "$$one" -c "" 2>/dev/null && echo "$$one" && break; done)

build/autobahn/bin/wstest: tests/gateway/autobahn.lock
	rm -rf build/autobahn && mkdir -p build/autobahn
	$(PYTHON2) -m pip --disable-pip-version-check install --quiet --target build/autobahn/virtualenv virtualenv==20.15.1
	PYTHONPATH=build/autobahn/virtualenv $(PYTHON2) -m virtualenv --quiet build/autobahn
	build/autobahn/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $<
	touch $@

autobahn: setup ## Autobahn's WebSocket cases against an echo on our protocol class, where there is a Python 2.7
ifeq ($(PYTHON2),)
	@echo "Autobahn's suite needs Python 2.7, found none: nothing was run. Get one (pyenv install 2.7.18), or name it:" \
		"make autobahn PYTHON2=/path/to/python2.7. Its cases are also in tests/gateway/test_autobahn_cases.py." >&2
else
	@$(MAKE) --no-print-directory build/autobahn/bin/wstest
	$(BIN)/python -m tickcast.testing.autobahn build/autobahn/bin/wstest
endif

wheel: setup ## the wheel, with core and page inside, in dist/
	rm -rf dist && $(BIN)/maturin build --release --quiet --out dist

wheel-check: wheel ## the wheel installs and runs without Rust, Node and this checkout
	rm -rf build/wheel && $(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	cd build && env PATH=$(CURDIR)/build/wheel/bin wheel/bin/python -I $(CURDIR)/.ci/try_wheel.py

.PHONY: help setup page sdk run lint test proto faults faults-quick day fuzz autobahn bench bench-spine bench-peers bench-many bench-tls soak witness-venv witnesses wheel wheel-check
