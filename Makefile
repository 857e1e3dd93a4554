# The whole interface to working on the project; CI runs the same commands.
#   make demo       train the translation demo, measure it, write saved_models/translate/demo
#   make test       the tests, nine minutes on two cores
#   make test-long  the tests left out of it: whole demos, soaks and fuzzing
#   make check      format, lint, types, import layers, spelling, dependencies
#   make bench      measure speed
#   make lock       choose new versions of everything; needs uv
#   make reference  write docs/reference anew from the docstrings
# The first command makes .venv and installs the locked versions into it.

.PHONY: demo test test-long check bench lock reference
.DEFAULT_GOAL := test

# The first interpreter that is new enough; `make PYTHON=/path/to/python3.11 test` names another.
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed

demo: $(INSTALLED)
	$(BIN)/python -m seqapps.recipes.translate train --overwrite

# Two processes; a file's tests share what they make, so they stay together, and each page of the
# documents is for itself.
test: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Ray is large and only these tests want it.
test-long: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[ray]" -c constraints.txt
	$(BIN)/pytest -m long --timeout 7200

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/deptry .

bench: $(INSTALLED)
	for benchmark in benchmarks/[!_]*.py; do $(BIN)/python $$benchmark || exit 1; done

reference: $(INSTALLED)
	$(BIN)/python docs/reference/generate.py

# One lock for every platform and every extra, with hashes; the constraints are the same pins in
# the form that `pip install -c` takes.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
		--quiet --output-file requirements.lock
	{ echo "# The pins of requirements.lock for plain pip: pip install -c constraints.txt"; \
		sed -E -e '/^( +--hash| *#)/d' -e 's/ \\$$//' requirements.lock; } > constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found; install" \
		"one, or name it: make PYTHON=/path/to/python3.11 test" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,onnx,serve,speech,tune]" -c constraints.txt
	touch $(INSTALLED)
