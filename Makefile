# The commands that a newcomer, an engineer and CI share. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev local down test unit e2e molecule mutants snapshots lint format bench docs

BIN := .venv/bin
# Tools started by other tools (Molecule starts ansible-playbook) must be the pinned ones too.
export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## List the commands
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: ## Install what a deployment needs in .venv
	@scripts/setup run

setup-dev: ## Install that, and what tests and linters need
	@scripts/setup dev

local: setup ## Deploy the whole platform to a cloud on this machine
	ansible-playbook -i inventories/local deploy.yml

down: setup ## Stop the local cloud; what was deployed to it is gone
	ansible-playbook -i inventories/local playbooks/local_cloud.yml -e state=absent

test: unit e2e molecule ## Run every test

unit: setup-dev ## Templates, collection and local cloud
	pytest --numprocesses 2 --dist loadfile tests/templates tests/functions tests/local_cloud tests/verification tests/docs tests/compliance tests/mutants \
	  collections/ansible_collections/payments/cfn/tests/unit

e2e: setup-dev ## The real playbooks against the local cloud
	pytest --numprocesses 2 --dist loadscope tests/e2e

molecule: setup-dev ## Every role by its scenario, two at a time
	molecule test --all --workers 2

lint: setup-dev ## Every linter
	yamllint --strict .
	ruff check .
	ruff format --check .
	mypy
	cfn-lint
	python scripts/guard.py
	ansible-lint

format: setup-dev ## Put Python code in the project's format
	ruff check --fix-only .
	ruff format .

snapshots: setup-dev ## Accept the packaged templates as they are now
	PYTHONPATH=.:collections python -m tests.templates.snapshots

docs: setup-dev ## Draw the architecture and write the page on PCI DSS, from the templates
	python scripts/architecture.py
	python scripts/compliance_page.py

bench: setup-dev ## Time a deployment against other tools
	python benchmarks/deploy.py

mutants: setup-dev ## Weaken the templates in every way and see that tests notice (a quarter of an hour)
	python -m scripts.mutants
