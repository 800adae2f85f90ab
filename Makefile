# Every target does its whole set-up by itself: Python 3.11 or newer, git and make are enough.
# The set-up lives in .venv and is done again only when pyproject.toml or the version changes.

VENV := .venv
PY := $(VENV)/bin/python
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip --quiet --no-input
SOURCES_OF_SETUP := pyproject.toml statemachine/version.py

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check bench clean

help:
	@echo "make demo    play a real incident through the real service"
	@echo "make test    run all tests (make test ARGS='-k router' runs some)"
	@echo "make check   lint, formatting, types and all tests, as the continuous integration does"
	@echo "make bench   measure speed, with peers beside"
	@echo "make clean   remove everything that these targets made"

demo: $(VENV)/core
	@$(VENV)/bin/linewarden demo $(ARGS)

test: $(VENV)/test
	@$(PY) -m pytest $(ARGS)

check: $(VENV)/check $(VENV)/link
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest $(ARGS)

bench: $(VENV)/bench
	@$(VENV)/bin/linewarden bench $(ARGS)

clean:
	rm -rf $(VENV) build dist demo linewarden.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment holds absolute paths: one that was moved, or whose Python is gone, is
# made anew, and with it everything that was installed.
ifneq ($(shell $(PY) -c 'print(open("$(VENV)/made").read().strip())' 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/made
endif

$(VENV)/made:
	@set -e; found=; \
	for candidate in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "linewarden needs Python 3.11 or newer, and none was found on the PATH." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.12 test" >&2; exit 1; fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$found cannot make virtual environments: its venv or ensurepip is missing." >&2; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi; \
	echo "Setting up $(VENV) with $$("$$found" -V)"; \
	"$$found" -m venv --clear $(VENV); \
	echo "$(CURDIR)" > $@

# What a pip older than 25.1 lacks: the requirements of the groups of pyproject.toml named.
READ_GROUPS := import sys, tomllib; \
    groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; \
    print(*(line for name in sys.argv[1:] for line in groups[name]), sep="\n")

# The groups, if any, and the package itself; the groups' pins count because pip sees both at once.
define install
	@echo "Installing linewarden$(if $(1), and what is needed to: $(1))"
	@$(PY) -c '$(READ_GROUPS)' $(1) > $@.txt
	@$(PIP) install --editable . --requirement $@.txt
	@touch $@
endef

$(VENV)/core: $(VENV)/made $(SOURCES_OF_SETUP)
	$(call install,)

$(VENV)/test: $(VENV)/made $(SOURCES_OF_SETUP)
	$(call install,test bench)
	@touch $(VENV)/core $(VENV)/bench

$(VENV)/check: $(VENV)/made $(SOURCES_OF_SETUP)
	$(call install,test bench lint)
	@touch $(VENV)/core $(VENV)/test $(VENV)/bench

$(VENV)/bench: $(VENV)/made $(SOURCES_OF_SETUP)
	$(call install,bench)
	@touch $(VENV)/core

# The repository root is the package, whatever its folder is called. Type checkers find packages by
# their folder's name, so they are given a folder `linewarden` of links to the real ones.
.PHONY: $(VENV)/link
$(VENV)/link: $(VENV)/made
	@rm -rf $@ && mkdir -p $@/linewarden
	@for part in __init__.py py.typed $(patsubst %/__init__.py,%,$(wildcard */__init__.py)); do \
	    ln -s "../../../$$part" $@/linewarden/; done
