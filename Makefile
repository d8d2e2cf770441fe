# Shortcuts; the scripts and tools behind them can be called directly as well.
VENV ?= .venv

.PHONY: help setup test lint format bench clean

help:             ## this list
	@sed -n 's/^\([a-z]*\): .*## /  \1\t/p' Makefile

setup:            ## install what is missing
	scripts/setup

test:             ## everything: linters, types, unit and packet tests
	scripts/test

lint: setup      ## linters and types only
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup    ## format and fix what can be fixed safely
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: setup     ## measure `up` and `down`
	benchmarks/up

clean:            ## remove what tools have made, the virtual environment too
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
