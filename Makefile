# Everything is installed into .venv and built into build; `make clean` removes both. `make` alone shows the targets.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
MICROPYTHON := $(BIN)/python -m mqtt443_tools.micropython build

# The tests that run on CPython alone, without MicroPython, whole boards or faults: about two minutes.
UNIT := tests/test_layers.py tests/project tests/authorizer tests/firmware tests/tools

.PHONY: help demo test unit coverage soak bench lint fmt hooks clean
.DEFAULT_GOAL := help

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: .venv/.demo  ## a virtual board sends telemetry to the local endpoint; ARGS="--seconds 10" ends it
	@$(MICROPYTHON) alpn || echo "demo: MicroPython could not be built; the board runs on CPython"
	@$(BIN)/python -m mqtt443_tools.demo $(ARGS)

test: .venv/.test  ## lint and every test; fails if either fails; ARGS are pytest's
	@$(MICROPYTHON) || echo "test: MicroPython could not be built; the tests that need it are skipped"
	@failed=; \
	$(MAKE) --no-print-directory --keep-going lint || failed="$$failed lint"; \
	$(PYTEST) $(ARGS) || failed="$$failed pytest"; \
	[ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

unit: .venv/.test  ## the tests that need no MicroPython, on the Python of .venv
	$(PYTEST) $(UNIT) $(ARGS)

coverage: override ARGS := --cov --cov-report=term:skip-covered $(ARGS)
coverage: unit  ## the same with their coverage, which must not fall below its floor in pyproject.toml

soak: .venv/.test  ## the fault tests and the console's page in their long form (hours); MQTT443_SEED=N repeats a run
	@$(MICROPYTHON)
	MQTT443_SOAK=1 MQTT443_SEED=$${MQTT443_SEED:-$$(date +%s)} \
	    $(PYTEST) tests/faults tests/updates/test_power.py tests/tools/console/test_load_in_browser.py $(ARGS)

bench: .venv/.test  ## measure and compare with the goals; ARGS="--only rate" measures a part
	@$(MICROPYTHON)
	@$(BIN)/python -m bench $(ARGS)

# Three targets, so that `make --keep-going lint` reports all that is wrong.
.PHONY: lint-ruff lint-format lint-mypy
lint: lint-ruff lint-format lint-mypy  ## ruff and mypy

lint-ruff: .venv/.test
	@$(BIN)/ruff check

lint-format: .venv/.test
	@$(BIN)/ruff format --check

lint-mypy: .venv/.test
	@$(BIN)/mypy

fmt: .venv/.test  ## format the code and apply the fixes that ruff considers safe
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

hooks: .venv/.test  ## run ruff and mypy before each commit (pre-commit)
	@$(BIN)/pre-commit install

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3 cannot make a venv; on Debian: apt install python3-venv" >&2; exit 1; }

.venv/.demo: pyproject.toml setup.py tools/mqtt443_tools/support/fetch_umqtt.py | .venv/bin/pip
	$(BIN)/pip install --quiet --editable .
	@$(BIN)/python -m mqtt443_tools.support.fetch_umqtt
	@touch $@

.venv/.test: pyproject.toml .venv/.demo
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

clean:  ## remove .venv, build and all caches
	rm -rf .venv build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
