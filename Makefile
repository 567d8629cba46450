# Two commands: `make reproduce` and `make test`. Everything lives in $(VENV); PYTHON is 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help reproduce test lint bench clean

help:
	@echo 'make reproduce  install into $(VENV) and make the pictures and figures/report.md'
	@echo 'make test       install into $(VENV) and run the tests'
	@echo 'make lint       formatting, lint and types'
	@echo 'make bench      time the exact optimum against what one would use instead'
	@echo 'make clean      remove $(VENV) and caches'

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'dora-theory needs Python 3.11 or later: set PYTHON=…' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo 'python3 -m venv failed: install it first (Debian: apt-get install python3-venv)' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,replay]'
	@touch $@

# Writes a log, replays it, and makes every picture and figures/report.md.
reproduce: $(VENV)/.ready
	$(BIN)/python paper_repro/report.py --out figures

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n auto --dist loadscope

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/exact_allocation.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
