# The two commands of the README, and what they stand on. Everything lands in .venv and build; `make clean` forgets it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test soak bench lint clean

demo: .venv/.demo
	@$(BIN)/python -m mqtt443_tools.micropython build alpn || echo "demo: without real MicroPython, CPython plays the board"
	@$(BIN)/python -m mqtt443_tools.demo $(ARGS)

test: .venv/.test lint
	@$(BIN)/python -m mqtt443_tools.micropython build || echo "test: without real MicroPython, its tests are skipped"
	$(BIN)/python -m pytest $(ARGS)

# The long form of the faults, for a night; the seed that it prints repeats it.
soak: .venv/.test
	@$(BIN)/python -m mqtt443_tools.micropython build
	MQTT443_SOAK=1 MQTT443_SEED=$${MQTT443_SEED:-$$(date +%s)} $(BIN)/python -m pytest tests/faults $(ARGS)

bench: .venv/.test
	@$(BIN)/python -m mqtt443_tools.micropython build
	@$(BIN)/python -m bench $(ARGS)

lint: .venv/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3 cannot make a venv; on Debian: apt install python3-venv" >&2; exit 1; }

.venv/.demo: pyproject.toml tools/mqtt443_tools/support/fetch_umqtt.py | .venv/bin/pip
	$(BIN)/pip install --quiet --editable '.[umqtt]'
	@$(BIN)/python -m mqtt443_tools.support.fetch_umqtt
	@touch $@

.venv/.test: pyproject.toml .venv/.demo
	$(BIN)/pip install --quiet --editable '.[umqtt,test]'
	@touch $@

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
