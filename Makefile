# What can be done here; `make` alone tells. Everything runs from .venv, which scripts/bootstrap makes.

SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
export PATH := $(CURDIR)/$(BIN):$(PATH)
QUICK := not lab_slow and not netbox

.PHONY: help venv packages lab lab-down lab-status demo test test-full lint unit integration test-lab \
	test-netbox sanity newest-core bench bench-netbox wheel clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv:  ## The project's Python environment in .venv, remade only when pyproject.toml changes
	@scripts/preflight python
	@scripts/bootstrap

packages:  # What Debian must have installed before a lab or a whole test run
	@scripts/preflight lab
	@scripts/packages python lab

demo: packages venv  ## Boot a lab, provision it, deploy an app and roll it under load
	@$(BIN)/python scripts/demo

lab: packages venv  ## Boot the lab of this checkout (ten real hosts on this machine)
	@$(BIN)/drcloud lab up

lab-down: venv  ## Remove the lab of this checkout and everything it left behind
	@scripts/preflight lab
	@$(BIN)/drcloud lab down

lab-status: venv  ## Is the lab up, and what runs there
	@$(BIN)/drcloud lab status

test: packages venv  ## All tests that fit into 45 minutes: static checks, unit, integration, lab
	@scripts/packages test
	@scripts/run-tests "$(QUICK)"

test-full: packages venv  ## Every test there is
	@scripts/packages test netbox
	@scripts/run-tests ""

lint: venv  ## The static checks: ruff, mypy, import rules, ansible-lint, yamllint
	@$(PYTEST) tests/static -m "not sanity"

unit: venv  ## Tests of pure logic; need nothing but Python
	@$(PYTEST) tests/unit

integration: venv  ## Tests against real files, databases, packages and Ansible, without a lab
	@scripts/preflight lab
	@scripts/packages test
	@$(PYTEST) tests/integration -m "$(QUICK)"

test-lab: packages venv  ## Tests on the hosts of the lab (boots it when it is down)
	@$(PYTEST) tests/lab -m "$(QUICK)"

test-netbox: packages venv  ## The pull from a real NetBox (needs Python 3.12; once ten minutes)
	@scripts/packages test netbox
	@scripts/netbox >/dev/null
	@$(PYTEST) tests/integration/netbox -m netbox

sanity: venv  ## ansible-test sanity on an installed copy of the collection
	@$(PYTEST) tests/static -m sanity

newest-core: venv  ## Unit tests with the newest ansible-core, where a Python for it is here
	@scripts/newest-core

bench: packages venv  ## What inventory, CMDB, provision and roll cost, as ratios of one run (an hour)
	@scripts/packages test
	@$(BIN)/python tests/bench/inventory_bench.py
	@$(BIN)/python tests/bench/cmdb_bench.py
	@DRCLOUD_EXAMPLES=2000 $(PYTEST) -q tests/unit/inventory/test_construct_agrees.py
	@$(BIN)/python tests/bench/provision_bench.py
	@$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@$(BIN)/python tests/bench/roll_bench.py

bench-netbox: packages venv  ## The inventory against nb_inventory on a real NetBox (needs Python 3.12; once ten minutes)
	@scripts/packages test netbox
	@scripts/netbox >/dev/null
	@$(BIN)/python tests/bench/netbox_bench.py

wheel: venv  ## dist/: the wheel, the source archive and the collection on its own
	@$(BIN)/python -m build --outdir dist .
	@$(BIN)/ansible-galaxy collection build --force --output-path dist collections/dianrong/cloud

clean:  ## Remove what was built here; the lab and the caches stay (make lab-down)
	@rm -rf .venv .venv-newest dist build artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.ansible .import_linter_cache
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
