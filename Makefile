# make run    the benchmark on the built-in corpus, with every codec that works without a download
# make test   all tests
# Both make the environment in .venv first, where it is missing or older than the dependency lists.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.codecbench-installed
RUN ?= runs/builtin

.PHONY: run test lint browser check-system clean

run: $(STAMP)
	$(BIN)/codecbench run --out $(RUN)

test: $(STAMP) browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt | check-system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

# The page is tested in a real browser: Debian's where it can be installed, else those tests skip with the reason.
browser:
	@command -v chromium >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
	  { apt-get update -qq; apt-get install -y -qq chromium chromium-driver; } >/dev/null 2>&1; } || \
	  echo "no chromium here and none could be installed: the browser tests will be skipped"

# Building 'pesq' needs a C compiler and Python's headers: said now rather than in the middle of an installation.
check-system:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "codecbench needs Python 3.11 or newer: make PYTHON=python3.11 run"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install python3-venv (or your system's equivalent)"; exit 1; }
	@command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || \
	  { echo "a C compiler is needed to build 'pesq': apt-get install gcc (or your system's equivalent)"; exit 1; }
	@$(PYTHON) -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' || \
	  { echo "Python's headers are needed to build 'pesq': apt-get install python3-dev (or your system's equivalent)"; exit 1; }

clean:
	rm -rf $(VENV)
