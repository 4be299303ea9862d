# `make demo` and `make test` need Python 3.11 or later and make; everything else is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q

# Tests start the program a hundred times: without bytecode each start compiles all of it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo run test test-slow check format openapi docs release-files pictures lock sbom audit bench drill clean

help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/run.stamp ## Run the whole product against a simulated Routee and check the outcome
	$(BIN)/routee-receiver demo $(ARGS)

run: .venv/run.stamp ## Serve on 127.0.0.1:8000 (RECEIVER_CALLBACK_SECRETS must be set)
	$(BIN)/routee-receiver serve $(ARGS)

# Half of their time tests wait, for processes, clocks and sockets: three at once keep two cores busy.
test: .venv/dev.stamp ## Run the tests, a file at a time, three at once
	$(BIN)/python -m pytest -m "not slow" -n 3 --dist loadfile $(ARGS)

test-slow: .venv/dev.stamp ## Run the tests that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

check: .venv/dev.stamp ## Check format, lint, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v promtool >/dev/null; then \
	    $(BIN)/python -c 'import sys; from app.observability.metrics import Metrics; sys.stdout.buffer.write(Metrics().exposition())' \
	    | promtool check metrics; \
	else echo "promtool is not found (Debian: prometheus), so the metrics' names are not checked"; fi
	@if [ -x var/kubecheck ]; then var/kubecheck deploy/kubernetes/overlays/example >/dev/null; \
	else echo "deploy/kubernetes is not validated: \`make var/kubecheck\` builds what does (needs Go)"; fi

# The API server's own validation: some minutes the first time.
var/kubecheck: $(wildcard tests/deploy/kubecheck/*)
	mkdir -p var && cd tests/deploy/kubecheck && CGO_ENABLED=0 go build -o ../../../var/kubecheck .

format: .venv/dev.stamp ## Format the code and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: .venv/dev.stamp ## Write the API's documents, below openapi, anew
	$(BIN)/routee-receiver openapi --output openapi/openapi.json
	$(BIN)/routee-receiver openapi --asyncapi | $(BIN)/python -c 'import json, sys, yaml; \
	    yaml.safe_dump(json.load(sys.stdin), sys.stdout, sort_keys=False, allow_unicode=True, width=100)' \
	    > openapi/asyncapi.yaml

docs: .venv/dev.stamp ## Write the pages that are made from the code, docs/configuration.md
	$(BIN)/routee-receiver config --markdown > docs/configuration.md

pictures: .venv/dev.stamp ## Make the pictures of the dashboard in docs/images anew (needs chromium)
	mkdir -p docs/images
	-$(BIN)/python -m pytest -q -m slow tests/web/browser/test_pictures.py
	cp var/dashboard/docs/*.png docs/images/

release-files: openapi ## Write the names that VERSION=… promises to openapi/released (see CONTRIBUTING.md, Release)
	$(BIN)/python -m tests.released $(VERSION)

# The first lock constrains the others, so that the tested versions are the ones that run.
lock: .venv/dev.stamp ## Compile the hashed locks again from pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --extra embedded --extra parquet --extra tracing --group build --group dev pyproject.toml $(ARGS) -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --extra embedded --group build -c requirements-dev.lock pyproject.toml $(ARGS) -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --group build -c requirements-dev.lock pyproject.toml $(ARGS) -o requirements-service.lock

sbom: .venv/dev.stamp ## Write what the image consists of to var/sbom.cdx.json (CycloneDX 1.6), and validate it
	@mkdir -p var
	$(BIN)/uv tool run -q --from 'cyclonedx-bom==7.5.0' cyclonedx-py requirements --pyproject pyproject.toml \
	    --sv 1.6 --of JSON --output-reproducible --validate -o var/sbom.cdx.json $(ARGS) requirements-service.lock

audit: .venv/dev.stamp ## Look for known holes in the locked versions (ends with 3 if nobody can be asked)
	$(BIN)/python -m tests.audit

bench: .venv/dev.stamp ## Measure the callback path, as ratios (needs wrk; ARGS=--help says more)
	$(BIN)/python -m tests.bench $(ARGS)

drill: .venv/run.stamp ## Rehearse failures and account for every callback (ARGS=--help says more)
	$(BIN)/routee-receiver drill $(ARGS)

clean: ## Remove .venv and caches (data in var/ stays)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, but neither python3.11 nor python3 is on the PATH."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $(PYTHON) is older."; exit 1; }
	@echo "Creating .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing the locked dependencies into .venv"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@echo "Installing the locked development tools into .venv"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
