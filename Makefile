# `python3` and `make` are all that must be there; everything else is installed into .venv from hashed locks.

PYTHON ?= python3
PORT ?= 5001
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SAMPLE := sample_models/sklearn-iris
FLOORS := .venv-floors
# Two processes at a time: most tests start servers and wait for them.
TEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup serve test floors check format bench soak images sbom emulators lock clean
.DELETE_ON_ERROR:

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-8s %s\n", $$1, $$2 }'

# ---------------------------------------------------------------- environment
# A stamp in .venv is newer than its lock while nothing changed, so the second time costs nothing.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 10) else f"Python 3.10 or newer is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }

$(UV): requirements/uv.txt | $(BIN)/python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	$(BIN)/python -m pip install -q --require-hashes -r requirements/uv.txt
	@touch $@

# Both the server and its build backend come from the lock: the build may not fetch anything of its own.
define install
	$(UV) pip install -q -p $(BIN)/python --require-hashes -r $(1)
	$(UV) pip install -q -p $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
endef

$(VENV)/serve.stamp: requirements/serve.txt pyproject.toml | $(UV)
	$(call install,requirements/serve.txt)

$(VENV)/test.stamp: requirements/test.txt pyproject.toml | $(VENV)/serve.stamp
	$(call install,requirements/test.txt)

setup: $(VENV)/test.stamp  ## install everything that serving, testing and checking need

# ---------------------------------------------------------------- daily work
serve: $(VENV)/serve.stamp  ## serve the first sample model on PORT (5001)
	@echo
	@echo "  Paste into another terminal:"
	@echo
	@echo "    curl -s http://127.0.0.1:$(PORT)/score -H 'Content-Type: application/json' -d @$(SAMPLE)/request.json"
	@echo
	@exec $(BIN)/azmlinfsrv --entry_script $(SAMPLE)/score.py --model_dir $(SAMPLE) --port $(PORT)

check: $(VENV)/test.stamp  ## format, lint and types: seconds
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check  ## check, then every test
	$(BIN)/pytest -q -n $(TEST_WORKERS) $(PYTEST_ARGS)

# uv, which makes environments, lies in the other folder.
floors: $(FLOORS)/test.stamp  ## the tests of the server with the oldest dependencies it allows
	PATH="$$PATH:$(abspath $(BIN))" $(FLOORS)/bin/python -m pytest -q -n $(TEST_WORKERS) tests/http tests/supervisor tests/end_to_end $(PYTEST_ARGS)

$(FLOORS)/test.stamp: requirements/test.txt requirements/floors.txt pyproject.toml | $(UV)
	$(UV) venv -q --clear -p $(BIN)/python $(FLOORS)
	$(UV) pip install -q -p $(FLOORS)/bin/python --require-hashes -r requirements/test.txt
	$(UV) pip install -q -p $(FLOORS)/bin/python --require-hashes -r requirements/floors.txt
	$(UV) pip install -q -p $(FLOORS)/bin/python --no-deps --no-build-isolation -e .
	@touch $@

format: $(VENV)/test.stamp  ## let ruff put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/test.stamp  ## measure ours and the peers on this machine, print the tables
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

soak: $(VENV)/test.stamp  ## a million requests with kills, resets and timeouts among them
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

# ---------------------------------------------------------------- images
# IMAGES: names of folders in images/, `cpu` (what is built unless something is said) or `all`. ENGINE: docker, podman, buildah.
images:  ## build the server's image and those on it (IMAGES="sklearn mlflow")
	images/build.sh $(IMAGES)

sbom:  ## write what is inside each built image, CycloneDX, into build/sbom
	images/sbom.sh $(IMAGES)

# ---------------------------------------------------------------- emulators
# What the storage tests read from. Needs npm (apt-get install nodejs npm); without it those of Azure are skipped.
EMULATORS := .emulators
emulators: | $(UV)  ## install the storage servers and libraries that system tests use
	@mkdir -p $(EMULATORS)
	if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --no-save --prefix $(EMULATORS) azurite@3; else echo "no npm: Azurite is left out"; fi
	test -x $(EMULATORS)/venv/bin/python || $(UV) venv -q -p $(BIN)/python $(EMULATORS)/venv
	$(UV) pip install -q -p $(EMULATORS)/venv/bin/python -r requirements/emulators.in

# ---------------------------------------------------------------- upkeep
LOCK := $(UV) pip compile -q --universal --python-version 3.10 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header
UPGRADE ?=
IN_IMAGE := --extra telemetry --extra secrets --extra keyvault

lock: | $(UV)  ## lock the requirements again (UPGRADE=--upgrade takes the newest)
	$(LOCK) $(UPGRADE) requirements/uv.in -o requirements/uv.txt
	$(LOCK) $(UPGRADE) --extra azureml --extra telemetry --extra dev --extra plot --extra secrets --extra keyvault --extra storage --extra env --extra endpoints pyproject.toml requirements/test.in -o requirements/test.txt
	$(LOCK) -c requirements/test.txt pyproject.toml requirements/serve.in -o requirements/serve.txt
	$(LOCK) --resolution lowest-direct pyproject.toml -o requirements/floors.txt
	$(LOCK) -c requirements/test.txt $(UPGRADE) requirements/wheel.in -o requirements/wheel.txt
	$(LOCK) -c requirements/test.txt $(UPGRADE) $(IN_IMAGE) pyproject.toml requirements/image.in -o requirements/image.txt
	$(LOCK) -c requirements/image.txt $(IN_IMAGE) --extra storage pyproject.toml requirements/image.in -o requirements/image-storage.txt
	$(LOCK) -c requirements/image.txt $(IN_IMAGE) --extra dev pyproject.toml requirements/image.in -o requirements/image-dev.txt
	for list in images/*/requirements.in; do $(LOCK) $(UPGRADE) $$list -o $${list%.in}.txt || exit 1; done
	cp images/onnx-cpu/requirements.txt images/onnx-cuda/requirements-cpu.txt
	@! grep -n 'https\{0,1\}://' requirements/*.txt images/*/requirements*.txt || { echo "a lock names an address"; exit 1; }

clean:  ## remove everything that make made
	rm -rf $(VENV) $(FLOORS) .emulators benchmarks/.venvs benchmarks/results build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
