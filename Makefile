# What each target does stands behind its name: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
# pytest's workers: the tests start real servers, so one a core is enough.
WORKERS ?= 2
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
# A lock names everything, so nothing is resolved again: pip 23 looks up `coverage[toml]` anew beside the
# `coverage` that is locked, and refuses the lock as soon as there is a newer one (pypa/pip#9644).
PIP_INSTALL_LOCK := $(PIP_INSTALL) --require-hashes --no-deps
EXTRAS := platform node smartbox loadcell sandbox infra demo browser dev

.PHONY: help demo test test-engine test-appliance test-pulumi test-browser test-image lint format bench-contract bench-ledger docs lock contract clean

help: ## Show what can be made
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | column -t -s $$'\t'

demo: $(VENV)/.demo ## Run the paper's experiment on this machine (ARGS="--keep" and others: see the README)
	$(BIN)/steelyard demo $(ARGS)

test: $(VENV)/.dev ## Run every test that this machine can run (ARGS="-k NAME" to choose)
	@scripts/system-packages test
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-engine: $(VENV)/.dev ## Run the tests that need real engines, the ledger's conformance suite first of all (STEELYARD_GETH, STEELYARD_TESSERA)
	@scripts/system-packages lint
	cd contracts && npm ci --silent --no-audit --no-fund
	$(BIN)/pytest -m engine $(ARGS)

test-appliance: $(VENV)/.dev ## Run the roles' and the whole appliance's scenarios on machines made here (SCENARIOS="base quorum" to choose)
	@scripts/system-packages appliance
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/appliance.py $(SCENARIOS)

test-pulumi: $(VENV)/.dev ## Run the Pulumi program's tests; where pulumi is on the PATH, a stack's whole life on this machine
	@scripts/system-packages appliance
	$(BIN)/pytest tests/pulumi $(ARGS)

test-image: $(VENV)/.dev ## Build the stations' image and check it, unpacked and booted in an emulated board (one to two and a half hours; IMAGE=DIRECTORY: one that is there)
	@scripts/system-packages image
	PATH="$(CURDIR)/$(BIN):$$PATH" IMAGE="$(IMAGE)" scripts/test-image $(ARGS)

test-browser: $(VENV)/.dev ## Run the display's tests in a headless Chromium
	@scripts/system-packages browser
	$(PIP_INSTALL_LOCK) -r requirements/browser.txt
	$(BIN)/pytest tests/smartbox/display $(ARGS)

lint: $(VENV)/.dev ## Run the linters, the type checker, and rebuild and compare the contract
	@scripts/system-packages lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint -q --strict
	cd contracts && npm ci --silent --no-audit --no-fund && npm run --silent check

format: $(VENV)/.dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench-contract: $(VENV)/.dev ## Print the contract's gas and time at 1,000, 100,000 and 1,000,000 tickets (minutes)
	$(BIN)/python bench/contract.py $(ARGS)

bench-ledger: $(VENV)/.dev ## Measure the ledger on real engines beside a naive client (ARGS="--quick"; STEELYARD_GETH, STEELYARD_TESSERA)
	@scripts/system-packages lint
	cd contracts && npm ci --silent --no-audit --no-fund
	$(BIN)/python bench/ledger.py $(ARGS)

docs: $(VENV)/.dev ## Write docs/reference from the code
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/role_readmes.py
	$(BIN)/python scripts/stack_reference.py

contract: ## Compile the contract and write the artefact that is committed
	@scripts/system-packages lint
	cd contracts && npm ci --silent --no-audit --no-fund && npm run --silent build

lock: ## Resolve the dependencies anew into requirements/
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) uv
	$(BIN)/python scripts/lock.py $(EXTRAS)

clean: ## Remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis contracts/node_modules

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	@scripts/system-packages demo
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) ..."
	$(PIP_INSTALL_LOCK) -r requirements/demo.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	$(BIN)/pip check
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@scripts/system-packages demo
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once) ..."
	$(PIP_INSTALL_LOCK) -r requirements/dev.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	$(BIN)/pip check
	@touch $(VENV)/.demo $@
