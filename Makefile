# Two commands for a new user, `make demo` and `make test`; the rest is for people who change the code.
# Nothing but Python (3.11 or newer, with venv) and make is needed. Everything is safe to repeat.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SETUP  := $(PYTHON) scripts/setup_venv.py $(VENV)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow conformance lint check setup clean lock benchmark

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## run a function in a local Lambda environment and see where its telemetry lands
	@$(SETUP) run demo
	@$(BIN)/python examples/demo.py

test: ## run the whole test suite
	@$(SETUP) run demo dev
	@echo "running the tests"
	@$(BIN)/python -m pytest

test-slow: ## the tests that take minutes or need what pip or npm fetch
	@$(SETUP) run demo dev
	@$(BIN)/python -m pytest -m slow
	@$(BIN)/python -m pytest --hypothesis-profile=thorough --timeout=900 tests/unit

conformance: ## the checklist as a table: every row, in memory, with real processes, and on AWS's own emulator
	@$(SETUP) run demo dev
	@$(BIN)/python scripts/conformance.py --rie

lint: ## formatting, lint, types, layers
	@$(SETUP) run demo dev
	@echo "ruff format" && $(BIN)/ruff format --check --quiet src tests benchmarks examples scripts
	@echo "ruff check" && $(BIN)/ruff check --quiet src tests benchmarks examples scripts
	@echo "mypy --strict" && $(BIN)/mypy
	@echo "import-linter" && $(BIN)/lint-imports

check: lint test ## all that must pass before a change lands

setup: ## only install what the other commands need
	@$(SETUP) run demo dev

benchmark: ## measure the agent's start-up, memory and load, and the emulator beside AWS's own
	@$(SETUP) run demo dev
	@$(BIN)/python benchmarks/agent_start.py
	@$(BIN)/python benchmarks/agent_load.py
	@$(BIN)/python benchmarks/emulator_invoke.py --install

lock: ## pin the requirements again (needs uv)
	@for part in run demo dev; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    requirements/$$part.in --output-file requirements/$$part.txt || exit 1; \
	done

clean: ## remove what the commands made
	rm -rf $(VENV) build dist demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
