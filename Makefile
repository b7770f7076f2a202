.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE_SOURCES := $(shell find native Cargo.toml Cargo.lock -type f -not -path '*/target/*' 2>/dev/null)

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

$(VENV)/.built: $(VENV)/.installed $(CORE_SOURCES)
	$(BIN)/maturin develop --release --quiet
	touch $@

setup: $(VENV)/.built ## install what is needed into .venv and build the core

lint: setup ## every static check
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	cargo fmt --check
	cargo clippy --workspace --all-targets --release -- -D warnings

test: setup ## everything that needs no network
	cargo test --workspace --release --quiet
	$(BIN)/pytest

wheel: setup ## the wheel, with core and page inside, in dist/
	rm -rf dist && $(BIN)/maturin build --release --quiet --out dist

wheel-check: wheel ## the wheel installs and runs without Rust, Node and this checkout
	rm -rf build/wheel && $(PYTHON) -m venv build/wheel
	grep -v '^tickcast' requirements-dev.lock > build/requirements.lock
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r build/requirements.lock
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	cd build && env PATH=$(CURDIR)/build/wheel/bin:/usr/bin:/bin wheel/bin/python -I $(CURDIR)/.ci/try_wheel.py

.PHONY: help setup lint test wheel wheel-check
