# Everything a person needs: `make demo` and `make test` install what they lack into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DEMO := build/demo

.PHONY: help setup demo test test-unit test-integration check format bench lock site pictures dist clean

help:
	@echo "make demo   the whole loop on the sample corpus, with a Label Studio of its own"
	@echo "make test   unit, contract, integration and browser tests"
	@echo "make check  format, lint, types, import contracts, docs agree with the code"
	@echo "make bench  benchmarks against peers, in the same run"
	@echo "make site   the documentation, into build/site"
	@echo "make pictures  the pictures of the documentation, from a running system (minutes)"
	@echo "make setup  everything the above need, into .venv"
	@echo "make lock   resolve the dependencies again"
	@echo "make dist   a wheel, in dist/"
	@echo "make clean  remove what the above made (not .venv)"

setup: $(STAMP)

# The lock is complete, so pip need not resolve (--no-deps); every file is checked by its hash.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "curate needs Python 3.11 or newer" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "curate needs Python 3.11 or newer; name one with PYTHON=…" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing curate and Label Studio into $(VENV): about two minutes, the first time"
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)
	$(BIN)/curate demo $(DEMO)

test: $(STAMP)
	$(BIN)/python -m pytest tests/unit tests/contract -n 2
	$(BIN)/python -m pytest tests/integration tests/browser

test-unit: $(STAMP)
	$(BIN)/python -m pytest tests/unit -n 2

test-integration: $(STAMP)
	$(BIN)/python -m pytest tests/integration tests/browser

check: $(STAMP)
	$(BIN)/ruff format --check curate tests benchmarks tools
	$(BIN)/ruff check curate tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/check_docs.py
	$(BIN)/python tools/check_site.py

site: $(STAMP)
	$(BIN)/python tools/check_site.py

pictures: $(STAMP)
	$(BIN)/python tools/pictures.py

format: $(STAMP)
	$(BIN)/ruff format curate tests benchmarks tools
	$(BIN)/ruff check --fix curate tests benchmarks tools

bench: $(STAMP)
	$(BIN)/python -m benchmarks

lock: $(STAMP)
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --all-extras pyproject.toml -o requirements.lock --quiet

dist: $(STAMP)
	rm -rf dist
	$(BIN)/python -m hatchling build -t wheel

clean:
	-test ! -x $(BIN)/curate -o ! -d $(DEMO) || $(BIN)/curate -w $(DEMO) studio down
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find curate tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
