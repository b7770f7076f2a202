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
	cargo fmt --check
	cargo clippy --workspace --all-targets --release -- -D warnings

test: setup ## everything that needs no network
	cargo test --workspace --release --quiet
	$(BIN)/pytest

.PHONY: help setup lint test
