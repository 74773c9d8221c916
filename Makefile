# Three commands, nothing to activate: make install, make test, make book.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# The stamp's name holds a checksum of what decides the installation (the package's metadata and pins),
# so that make installs again when, and only when, one of them changed.
PINS   := $(shell $(PYTHON) -c 'import hashlib, json, tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(hashlib.sha256(json.dumps([t["build-system"], t["project"]]).encode()).hexdigest()[:12])' 2>/dev/null)
STAMP  := $(VENV)/installed-$(PINS)

.PHONY: install test test-slow test-browser book pdf clean help

help:
	@echo "make install       prepare $(VENV)"
	@echo "make test          run the tests"
	@echo "make test-slow     run the slow lane too: kills, full disks, sweeps, many random inputs (an hour or more)"
	@echo "make test-browser  look at every page of the built book in a browser (after make book; needs chromium and npm)"
	@echo "make book          run the notebooks live and build the book at _build/html/index.html"
	@echo "make pdf           print the built book to _build/pdf/book.pdf (after make book; needs chromium)"
	@echo "make clean         remove what was built (not $(VENV), not your results)"

install: $(STAMP)
	@echo "simprune is installed in $(VENV); run it as $(BIN)/simprune"

$(STAMP): | python
	@echo "Installing simprune and its packages into $(VENV) (some minutes the first time; torch is large) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	@$(BIN)/python -m pip install --quiet --quiet --editable ".[book,dev]"
	@rm -f $(VENV)/installed-*
	@touch $@

.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "simprune needs Python 3.11 or newer; say which with: make PYTHON=python3.12" >&2; exit 1; }

test: $(STAMP)
	@echo "Running the tests (some minutes) ..."
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# Sweeps need snakemake, in an environment of its own: make test-slow SNAKEMAKE=/path/to/snakemake
test-slow: test
	@echo "Running the slow lane (an hour or more) ..."
	@SNAKEMAKE="$(SNAKEMAKE)" $(BIN)/python -m pytest tests/slow

# axe-core looks for what keeps people out; without npm its checks are skipped and say so.
test-browser: $(STAMP)
	@command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix _build/node axe-core@4.14.1 || true
	@SIMPRUNE_HTML=_build/html $(BIN)/python -m pytest tests/browser

book: $(STAMP)
	@$(BIN)/simprune book

pdf: $(STAMP)
	@$(BIN)/simprune book --pdf

clean:
	@rm -rf _build book/executed .snakemake
	@echo "Removed _build and book/executed"
