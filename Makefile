# One entry point each; `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types proto docs services clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.demo: pyproject.toml
	@echo "Setting up $(VENV) (once; about half a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade pip
	@$(BIN)/python -m pip install -q -e '.[server]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo pyproject.toml
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install -q -e '.[server,postgres]' --group dev
	@touch $@

setup: $(VENV)/.dev ## Make the virtual environment for development

demo: $(VENV)/.demo ## Run real work through a sidecar, with real and staged failures
	@$(BIN)/python -m examples.audit $(DEMO_ARGS)

services: $(VENV)/.dev ## Build the Collector and Jaeger that the tests use (once, cached outside the checkout)
	@$(BIN)/python -m tests.services.build; code=$$?; [ $$code -eq 0 ] || [ $$code -eq 3 ]

test: $(VENV)/.dev services ## Run the whole suite; what cannot be had here is skipped with the reason
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev ## Check style, imports and the proto
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/buf lint

types: $(VENV)/.dev ## Check types, strictly
	@$(BIN)/mypy

check: lint types test ## Everything that CI runs

proto: $(VENV)/.dev ## Regenerate the stubs from proto/
	@$(BIN)/python -m scripts.generate

docs: $(VENV)/.dev ## Regenerate the reference pages
	@$(BIN)/python -m scripts.references

clean: ## Remove what was made here
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache demo-out
