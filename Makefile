# The two commands to remember: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

export PYTHONHASHSEED := 0
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1

.PHONY: help setup setup-demo demo test check format bench docs wheel clean

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "guqin-kg needs Python 3.11 or newer; call: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-ready: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[train]'
	@touch $@

$(VENV)/.test-ready: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[train,score,reason,data,fast,dev]'
	@touch $@ $(VENV)/.demo-ready

setup: $(VENV)/.test-ready        ## everything a contributor needs
setup-demo: $(VENV)/.demo-ready   ## what the demo needs

demo: $(VENV)/.demo-ready         ## the main job end to end; says where to look
	$(BIN)/guqin demo --out demo-out

test: $(VENV)/.test-ready         ## all checks and tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(VENV)/.test-ready        ## style and types only
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.test-ready       ## format Python
	$(BIN)/ruff format .

docs: $(VENV)/.test-ready         ## regenerate the reference pages
	$(BIN)/python -m guqin_kg.docs

bench: $(VENV)/.test-ready        ## run the benchmarks and rewrite docs/benchmarks
	for b in benchmarks/bench_*.py; do $(BIN)/python $$b || exit 1; done

wheel: $(VENV)/.test-ready        ## build the wheel
	$(PIP) wheel --no-deps -w dist .

clean:           ## remove what the commands above made
	rm -rf dist build demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
