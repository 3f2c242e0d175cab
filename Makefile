# Everything starts from a fresh clone: `make demo` shows the gateway at work, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo console test check accuracy bench chaos nodes soak peers deb image clean

demo: $(VENV)/.demo
	$(BIN)/gateway demo

console: $(VENV)/.demo
	$(BIN)/gateway demo --keep

#: workers of a test run: most tests wait, so that three are good for two processors
WORKERS ?= 3

test: $(VENV)/.dev peers check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy

accuracy: $(VENV)/.dev
	$(BIN)/python -m bench.accuracy

bench: $(VENV)/.dev
	$(BIN)/python -m bench.throughput
	$(BIN)/python -m bench.verification
	$(BIN)/python -m bench.extraction
	$(BIN)/python -m bench.helpdesk

SEED ?= 20261128
MINUTES ?= 10
HOURS ?= 2

# random faults on a running service for ten minutes
chaos: $(VENV)/.dev peers
	$(BIN)/python -m bench.chaos --seed $(SEED) --minutes $(MINUTES)

# three nodes behind one Postfix, killed at random
nodes: $(VENV)/.dev peers
	$(BIN)/python -m bench.nodes --seed $(SEED) --minutes $(MINUTES)

# a steady load for hours, with memory and descriptors over time
soak: $(VENV)/.dev
	$(BIN)/python -m bench.soak --hours $(HOURS)

deb: $(VENV)/.dev
	packaging/build-deb

image: deb
	buildah bud --format docker -t introserv-mail-gateway $(if $(BASE),--build-arg BASE=$(BASE)) -f packaging/Containerfile .

peers:
	sh tests/peers/install

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
