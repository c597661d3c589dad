# make demo [ARGS=...]   simulated handhelds, a broker, the daemon; ARGS go to `edged demo`
# make test              ruff, mypy, the fast tests, then the deep ones
# make bench [ARGS=...]  measures and prints one table, never fails on speed; ARGS as in "--only start --json"
#
# Each does its own set-up (.ci/set-up): system packages, the virtual environment .venv, Python packages. Set-up speaks on
# stderr and is skipped when it was done for this state of pyproject.toml; stdout belongs to the command.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.SILENT:
.PHONY: help demo test bench
MAKEFLAGS += --no-print-directory

ARGS ?=
PYTEST := .venv/bin/python -m pytest -q

help:
	sed -n 's/^# \(make .*\)/\1/p' Makefile

demo:
	.ci/set-up demo
	exec .venv/bin/edged demo $(ARGS)

test:
	.ci/set-up test
	started=$$SECONDS failed=0
	rm -rf build/tests
	.venv/bin/ruff check || failed=1
	.venv/bin/ruff format --check || failed=1
	.venv/bin/mypy || failed=1
	$(PYTEST) -n 2 -m "not deep" --junitxml=build/tests/fast.xml || failed=1
	$(PYTEST) -m deep --junitxml=build/tests/deep.xml || failed=1
	.venv/bin/python tests/tally.py $$((SECONDS - started)) build/tests/fast.xml build/tests/deep.xml
	exit $$failed

bench:
	.ci/set-up test
	exec .venv/bin/python -m tests.bench $(ARGS)
