# Every target does its own set-up: all it needs is Python 3.10 or later, as $(PYTHON).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check docs bench-paper clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: $(READY)  ## Transfer learning on real photographs, from compressed features
	$(BIN)/hapistore demo

test: $(READY)  ## All tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0

check: $(READY)  ## Lint, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/house

docs: $(READY)  ## Regenerate what is generated: the command reference, the tables
	$(BIN)/python docs/cli_reference.py > docs/cli.md
	$(BIN)/python -m benchmarks.tables
	$(BIN)/python -m benchmarks.plots

bench-paper: $(READY)  ## HAPI's evaluation on this machine; QUICK=--quick in some 40 minutes, else hours (root)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks.paper $(QUICK)
	$(MAKE) docs

clean:  ## Remove the environment and the demo's data
	rm -rf $(VENV) hapistore-data build ./*.egg-info

$(READY): setup.py constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("hapistore needs Python 3.10 or later, this is " + sys.version) if sys.version_info < (3, 10) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[cpu,onnx,images,demo,serve,dev]'
	@touch $@
