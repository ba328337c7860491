# `make demo` and `make test` set up all they need; `make help` lists the rest
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_PROJECT_ENVIRONMENT := $(VENV)
# images of Python set it, and all that is imported is compiled anew each time
unexport PYTHONDONTWRITEBYTECODE
UV_VERSION := 0.13.9

.PHONY: help setup demo demo-rollout demo-azure test test-cost test-slow test-rare test-all mutation zoo lint types check bench docs reference charts clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 15) else "Python 3.11 to 3.14 is needed, not %d.%d: make PYTHON=python3.13" % v[:2])'
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@$(BIN)/uv sync --quiet --frozen --inexact --extra onnx
	@touch $@

setup: $(VENV)/.ready ## install everything into .venv, as uv.lock names it

demo: setup ## registry to a Lambda that answers, in ./demo
	@$(BIN)/packager demo demo

demo-rollout: setup ## three versions, one of them wrong, rolled out on this machine, in ./demo-rollout
	@$(BIN)/python -m tests.integration.aws.demo_rollout demo-rollout

demo-azure: setup ## registry to an Azure function app that answers, in ./demo-azure
	@$(BIN)/packager demo demo-azure --target azure-functions

test: setup ## the fast tests
	@$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow"

test-cost: setup ## the fast tests, and the processor time of each file
	@$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow" -p tools.cpu_time

test-slow: setup ## the tests that build, boot and deploy something real
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder -m "(slow or hypothesis) and not rare"

test-rare: setup ## those that CI has no time for
	@$(BIN)/python -m pytest -q -n auto --dist loadfile -m rare

test-all: test test-slow test-rare ## all of them

zoo: setup ## log and build the models of tests/zoo, hours; results stay in .zoo; ZOO="--only NAME"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/zoo/build.py $(ZOO)

mutation: setup ## whether the tests notice small changes to the code: more than an hour; MUTANTS="--sample 20 packager/pipeline/answers/spread.py"
	@PYTHONPATH=. $(BIN)/python bench/mutation.py $(MUTANTS)

lint: setup ## style, imports' direction, the tree's figures
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports
	@$(BIN)/python tools/house.py

types: setup ## mypy, strict
	@$(BIN)/mypy

check: lint types test ## what every commit passes

bench: setup ## cold start, side by side, into bench/results
	@$(BIN)/python bench/coldstart.py

docs: setup ## the site of docs/, into ./site; every link is checked
	@$(BIN)/uv sync --quiet --frozen --inexact --extra onnx --group docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

charts: ## make the chart library of report.html again, of tools/charts; needs npm
	@sh tools/charts/build.sh

reference: setup ## write the pages of docs/reference that are made of the code
	@$(BIN)/python -m tools.reference

clean: ## remove what was made, except caches outside this folder
	rm -rf $(VENV) .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo demo-azure demo-rollout dist site
