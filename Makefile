# make demo    from nothing to a model that writes
# make test    all tests
# make check   tests, lint, format, types, import rules: what must pass before a change lands
# make setup   the environment alone        make clean   remove it
#
# PYTHON=python3.12 chooses the interpreter; ARGS="--corpus tang" goes to `penjing demo`.

PYTHON ?= python3
ARGS ?=
PYTEST_ARGS ?= -n auto --dist loadgroup
TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install -c constraints.txt

# The pinned setuptools builds penjing; an isolated build would fetch the newest one.
INSTALL := $(PIP) setuptools && $(PIP) --no-build-isolation -e

# An idle thread of GNU OpenMP spins 300,000 rounds before it sleeps, on a core that another
# process could use. 2,000 still bridges the gaps within a training step.
export GOMP_SPINCOUNT ?= 2000

.DEFAULT_GOAL := demo
.PHONY: demo test check lint setup constraints clean

demo: $(VENV)/.runtime
	@$(BIN)/penjing demo $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: lint test

lint: $(VENV)/.dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

setup: $(VENV)/.dev

# constraints.txt anew: all newest versions that pyproject.toml allows, but for torch.
constraints: | $(BIN)/python
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip -qq install --upgrade setuptools \
		'torch==$(TORCH)' -e '.[dev]'
	{ sed -n '/^#/p' constraints.txt; build/constraints/bin/python -m pip freeze --all \
		--exclude pip --exclude-editable --exclude penjing | sed 's/+[^ ;]*//'; } \
		> build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

clean:
	rm -rf $(VENV) build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache

# The stamps are newer than what they were made from; a change of either file installs again.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing penjing and what it needs into $(VENV) (some minutes the first time) ..."
	@$(INSTALL) .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing penjing and its tests' tools into $(VENV) (some minutes the first time) ..."
	@$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.runtime

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "penjing needs Python 3.11 or newer, but" \
		"$(PYTHON) is not there. Install it, or choose another: make PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "penjing needs" \
		"Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
		"Choose another: make PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
