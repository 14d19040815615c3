# `make help` lists the targets. Everything runs inside .venv, which is made when it is missing or the lock has changed.
SHELL := /bin/sh
PYTHON ?=
CHROMIUM ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SCHEMA := include/pipelines/pipeline.schema.json
PYTEST_OPTIONS ?= -n 4
TESTS ?= tests --ignore=tests/faults
FAULTS := $(CURDIR)/.faults.jsonl
N ?= 300
EVERY ?= 4

export PYTHON
export CHROMIUM
# Dozens of processes import the same files, each for a second or two longer where nobody may keep their bytecode.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPATH := $(CURDIR)
# Time zones come from the pinned package tzdata, never from this machine's own files.
export PYTHONTZPATH :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo up down check lint types imports sql config compose test test-fast faults bench lock schema docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv and install the locked packages (PYTHON=… chooses the Python of a new .venv)

$(INSTALLED): constraints.txt requirements.txt requirements-dev.txt scripts/make_environment.sh
	@scripts/make_environment.sh install
	@ln -sf ../../scripts/pipelines $(BIN)/pipelines
	@touch $@

demo: $(INSTALLED) ## move real windows on this machine and prove what happened to each
	$(BIN)/python -m local_stack demo

up: $(INSTALLED) ## start the local stack with Airflow and index the sample data
	$(BIN)/python -m local_stack up --airflow
	$(BIN)/python -m local_stack seed

down: ## stop the local stack; its data stays
	@test ! -x $(BIN)/python || $(BIN)/python -m local_stack down

check: lint types imports sql config compose ## every check that starts no server: style, types, layers, SQL, files

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

sql: $(INSTALLED)
	$(BIN)/sqlfluff lint include/sql tests/sample_adapter

config: $(INSTALLED)
	$(BIN)/python -m include.cli config validate
	$(BIN)/check-jsonschema --schemafile $(SCHEMA) include/pipelines/*.yaml
	$(BIN)/python -m include.cli config schema | diff $(SCHEMA) - || { echo "run: make schema"; exit 1; }
	$(BIN)/python -m include.cli config describe | diff docs/configuration.md - || { echo "run: make docs"; exit 1; }

compose: $(INSTALLED)
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml

test: $(INSTALLED) ## all tests but the fault suite (TESTS="tests/unit -k name" for some)
	@scripts/install_browser.sh
	@scripts/install_pgbouncer.sh
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) $(TESTS)

test-fast: $(INSTALLED) ## what needs no server: under a minute, for every commit
	$(BIN)/python -m pytest -n 2 tests/unit tests/architecture tests/dags

faults: $(INSTALLED) ## try to break every guarantee, and write docs/GUARANTEES.md (N=10000 EVERY=1 for a night)
	@scripts/install_pgbouncer.sh
	rm -f $(FAULTS)
	FAULTS_RESULTS=$(FAULTS) FAULTS_N=$(N) FAULTS_EVERY=$(EVERY) $(BIN)/python -m pytest $(PYTEST_OPTIONS) tests/faults
	$(BIN)/python -m tests.faults.report $(FAULTS) > docs/GUARANTEES.md.new
	mv docs/GUARANTEES.md.new docs/GUARANTEES.md
	rm -f $(FAULTS)

bench: $(INSTALLED) ## compare the product with its floors, peers and an older build (FULL=1, BASE=<revision>)
	$(BIN)/python -m benchmarks $(if $(FULL),--full) $(if $(BASE),--base $(BASE))

lock: ## rewrite constraints.txt from the requirements files (LOCK_OPTIONS=--upgrade for newer versions)
	scripts/make_environment.sh lock $(LOCK_OPTIONS)

schema: $(INSTALLED) ## rewrite the pipelines' JSON schema, which editors use
	$(BIN)/python -m include.cli config schema > $(SCHEMA).new
	mv $(SCHEMA).new $(SCHEMA)

docs: $(INSTALLED) ## rewrite the generated pages of docs/
	$(BIN)/python scripts/write_docs.py

clean: down ## stop the local stack, remove .venv and all caches; the stack's data stays
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache .mypy_cache .import_linter_cache
	find dags include local_stack plugins tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
