# Two commands for newcomers: `make demo` and `make test`. The rest is for development; `make help` lists it.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
EXAMPLE ?= examples/poisson_10d.toml
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

BIN := $(VENV)/bin
STAMP := $(VENV)/.inntd
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Editable: Python edits count at once, and the source folder cannot shadow an installed package without its core.
INSTALL := $(PIP) install $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) --editable
# What makes a new installation necessary: the compiled sources, the build and the dependencies.
SOURCES := $(shell find csrc -type f) CMakeLists.txt pyproject.toml inntd/_version.py $(CONSTRAINTS)
CXX_FILES = $(shell find csrc benchmarks -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' -o -name '*.cuh')

.DEFAULT_GOAL := help
.PHONY: help demo test install install-dev core lint format test-cpp bench-cpp clean clean-all check-python check-compiler check-cmake
.DELETE_ON_ERROR:

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: $(STAMP)/run  ## install into .venv and solve the ten-dimensional example
	$(BIN)/inntd run $(EXAMPLE) --force

test: $(STAMP)/test  ## install into .venv and run the tests
	$(BIN)/pytest $(PYTEST_FLAGS)

install: $(STAMP)/run  ## install into .venv

install-dev: $(STAMP)/dev  ## install into .venv with the tests' and developers' tools

lint: $(STAMP)/dev  ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: $(STAMP)/dev  ## format Python and C++ in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CXX_FILES)

core: check-cmake  ## build the compiled core in place (development, in an environment of your own)
	@cmake -S . -B build/dev -DCMAKE_BUILD_TYPE=Release -DPython_EXECUTABLE=$$(command -v $(PYTHON)) $(CMAKE_ARGS) >/dev/null
	@cmake --build build/dev --parallel $(JOBS)
	@cmake --install build/dev --component python --prefix . >/dev/null

test-cpp: check-cmake  ## build and run the C++ unit tests (needs doctest)
	cmake -S . -B build/cpp -DINNTD_BUILD_PYTHON=OFF -DINNTD_BUILD_TESTS=ON -DINNTD_WERROR=ON $(CMAKE_ARGS)
	cmake --build build/cpp --parallel $(JOBS)
	ctest --test-dir build/cpp --output-on-failure

bench-cpp: check-cmake  ## build and run the C++ microbenchmarks (needs Google Benchmark)
	cmake -S . -B build/bench -DINNTD_BUILD_PYTHON=OFF -DINNTD_BUILD_BENCHMARKS=ON $(CMAKE_ARGS)
	cmake --build build/bench --parallel $(JOBS)
	build/bench/benchmarks/cpp/inntd_bench $(BENCH_FLAGS)

clean:  ## remove what was built, keep .venv
	rm -rf build dist inntd/_core*.so inntd/_cuda*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find inntd tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean  ## remove .venv too
	rm -rf $(VENV)

# ---- installation, each level once -------------------------------------------------------------------------------

$(BIN)/pip: | check-python
	$(PYTHON) -m venv --upgrade-deps $(VENV)

$(STAMP)/run: $(SOURCES) | $(BIN)/pip check-compiler
	$(INSTALL) .
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/test: $(SOURCES) | $(BIN)/pip check-compiler
	$(INSTALL) '.[test]'
	@mkdir -p $(STAMP) && touch $(STAMP)/run $@

$(STAMP)/dev: $(SOURCES) | $(BIN)/pip check-compiler
	$(INSTALL) '.[dev]'
	@mkdir -p $(STAMP) && touch $(STAMP)/run $(STAMP)/test $@

# ---- what the machine must have ----------------------------------------------------------------------------------

check-python:
	@command -v $(PYTHON) >/dev/null || { echo "make: '$(PYTHON)' was not found. Install Python 3.10 or later (Debian, Ubuntu:" \
	  "apt-get install python3 python3-dev python3-venv), or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "make: Python 3.10 or later is needed, '$(PYTHON)' is" \
	  "$$($(PYTHON) --version 2>&1). Name a later one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: '$(PYTHON)' lacks the modules venv and ensurepip." \
	  "Install them (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }

check-compiler: check-python
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || \
	  { echo "make: Python.h, the C headers of '$(PYTHON)', was not found." \
	  "Install them (Debian, Ubuntu: apt-get install python3-dev; Fedora: dnf install python3-devel)." >&2; exit 1; }
	@for compiler in "$$CXX" c++ g++ clang++; do \
	  if [ -n "$$compiler" ] && echo '#include <span>' | $$compiler -std=c++20 -fsyntax-only -x c++ - 2>/dev/null; then exit 0; fi; \
	done; echo "make: no C++20 compiler was found (tried \$$CXX, c++, g++, clang++). Install one, g++ 11 or later will do" \
	  "(Debian, Ubuntu: apt-get install g++), or set CXX." >&2; exit 1

check-cmake:
	@command -v cmake >/dev/null || { echo "make: cmake was not found. Install it (pip install cmake ninja, or" \
	  "apt-get install cmake)." >&2; exit 1; }
