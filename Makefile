# Two commands: `make reproduce` and `make test`. Everything lives in $(VENV); PYTHON is 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help reproduce test test-slow proofs lint docs docs-serve explore package bench gpu gpu-compile clean

help:
	@echo 'make reproduce  install into $(VENV) and make the pictures, figures/report.md and audit.md'
	@echo 'make test       install into $(VENV) and run the quick tests: five minutes, and less when run again'
	@echo 'make test-slow  run those: Monte Carlo, searches, sweeps, the page in a browser, all documents'
	@echo 'make proofs     have Coq check the proofs, and print what each theorem rests on'
	@echo 'make lint       formatting, lint and types'
	@echo 'make docs       the documentation, as a site in .cache/site'
	@echo 'make docs-serve show it, and build it again when a file changes'
	@echo 'make explore    open the interactive page'
	@echo 'make package    build wheel and sdist, and try the wheel in an empty environment'
	@echo 'make bench      time each job against what one would use instead'
	@echo 'make gpu        kernel tests, benchmarks and roofline by $(PYTHON) as it is, without installing'
	@echo 'make gpu-compile  compile the kernels for GPUs that are not there, and check what comes of it'
	@echo 'make clean      remove $(VENV) and caches'

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'dora-theory needs Python 3.11 or later: set PYTHON=…' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo 'python3 -m venv failed: install it first (Debian: apt-get install python3-venv)' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,dev,docs,explore,replay]'
	@touch $@

# Writes a log, replays it, and makes every picture, figures/report.md and figures/audit.md.
reproduce: $(VENV)/.ready
	$(BIN)/dora-theory reproduce --out figures

# Most of a test's time is compiling: programs are kept from run to run, and not optimized
# (tests/conftest.py), but for the slow tests of numerics and documents, which run them as users do.
KEEP := JAX_COMPILATION_CACHE_DIR="$${JAX_COMPILATION_CACHE_DIR-$(CURDIR)/.cache/compiled}" \
  JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
PYTEST := -m pytest -n auto --dist loadscope
AS_USED := tests/kernels tests/model tests/allocation tests/docs tests/test_documents.py

# `make test TESTS=tests/kernels` for a part of them.
test: $(VENV)/.ready
	$(KEEP) UNOPTIMIZED=1 $(BIN)/python $(PYTEST) -m 'not slow' $(TESTS)

test-slow: $(VENV)/.ready
	$(KEEP) $(BIN)/python $(PYTEST) -m slow $(AS_USED)
	$(KEEP) UNOPTIMIZED=1 $(BIN)/python $(PYTEST) -m slow $(AS_USED:%=--ignore=%)

# Without Python; a minute.
proofs:
	@command -v coqc >/dev/null && test -d "$$(coqc -where)/user-contrib/mathcomp/algebra" || { echo \
	  'make proofs needs Coq 8.16 and mathcomp (Debian: apt-get install coq libcoq-mathcomp-algebra)' >&2; exit 1; }
	@$(MAKE) --no-print-directory -C proofs

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	$(BIN)/python docs/walk.py
	@echo "The site: $(CURDIR)/.cache/site/index.html (or make docs-serve)"

docs-serve: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --open

explore: $(VENV)/.ready
	$(BIN)/dora-theory explore

# Built from the sdist, so that both are tried; used where there is no source.
package: $(VENV)/.ready
	rm -rf dist .cache/package && $(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv .cache/package
	.cache/package/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[explore]"
	.cache/package/bin/python .ci/try_wheel.py

bench: $(VENV)/.ready
	$(BIN)/dora-theory bench

# For a machine without network: $(PYTHON) needs JAX with CUDA, numpy, scipy, matplotlib, jaxtyping
# and pytest. Figures go to $OUT if that is set.
gpu:
	$(PYTHON) benchmarks/gpu.py

# No GPU needed; environments of 1.2 GB for each of two versions of JAX are made in .cache/gpu.
gpu-compile: $(VENV)/.ready
	$(BIN)/python benchmarks/gpu_compile.py $(if $(DEVICES),--devices $(DEVICES))

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
