# Everything from a fresh clone: needs python3 (3.10 or newer), git and make.
# make demo; make compare A=SOURCE B=SOURCE; make test

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TESTED := .venv/.ready-for-tests
# what the installation of a wheel does as well; where PYTHONDONTWRITEBYTECODE is set, nothing else would
COMPILE := $(BIN)/python -m compileall -q detector grammars templates

.PHONY: help setup demo compare test lint types browser clean

help:
	@echo "make demo               compare two example repositories by URL"
	@echo "make compare A=.. B=..  compare two repositories of yours"
	@echo "make test               lint, types and tests"

setup: $(READY)

.venv:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "there is no $(PYTHON); install Python 3.10 or newer, or say: make PYTHON=path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "$(PYTHON) is older than 3.10; install a newer one and say: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments; install its venv package (Debian: python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv

$(READY): pyproject.toml setup.py | .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(COMPILE)
	@touch $@

$(TESTED): pyproject.toml setup.py | .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@$(COMPILE)
	@touch $@ $(READY)

demo: $(READY)
	@rm -rf demo && mkdir demo
	$(BIN)/python examples/make_repositories.py demo
	cd demo && ../$(BIN)/uncrib compare "file://$(CURDIR)/demo/original" "file://$(CURDIR)/demo/laundered"
	@echo "The report is $(CURDIR)/demo/report.html: open it in a browser."

compare: $(READY)
	@test -n "$(A)" -a -n "$(B)" || \
	  { echo "say what to compare: make compare A=owner/name B=path/to/repository"; exit 2; }
	$(BIN)/uncrib compare "$(A)" "$(B)"

lint: $(TESTED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(TESTED)
	$(BIN)/mypy

# A browser only for the tests of the HTML report: they are skipped, with the reason, where there is none.
browser: $(TESTED)
	-@if test -f scripts/browser.sh; then sh scripts/browser.sh; fi

test: lint types browser
	$(BIN)/pytest

clean:
	rm -rf .venv demo build dist *.egg-info
