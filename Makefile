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
	started=$$SECONDS failed=
	rm -rf build/tests
	try() { "$${@:2}" || failed+=", $$1"; }
	try "ruff check" .venv/bin/ruff check
	try "ruff format" .venv/bin/ruff format --check
	try mypy .venv/bin/mypy
	try "fast tests" $(PYTEST) -n 2 -m "not deep" --junitxml=build/tests/fast.xml
	try "deep tests" $(PYTEST) -m deep --junitxml=build/tests/deep.xml
	.venv/bin/python tests/tally.py $$((SECONDS - started)) build/tests/fast.xml build/tests/deep.xml
	if [ -n "$$failed" ]; then echo "failed: $${failed#, }" >&2; exit 1; fi

bench:
	.ci/set-up test
	exec .venv/bin/python -m tests.bench $(ARGS)
