# The two commands are `make demo` and `make test`; both install into VENV first.
VENV ?= .venv
WORKERS ?= 2

# The first Python from 3.10 to 3.12 that really starts: a pyenv shim may be on the path and fail.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.10 python3 \
	$(HOME)/.pyenv/versions/3.11.*/bin/python $(HOME)/.pyenv/versions/3.12.*/bin/python \
	$(HOME)/.pyenv/versions/3.10.*/bin/python; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
	2> /dev/null && command -v $$python && break; done)

SETTINGS := setup.py setup.cfg pyproject.toml $(wildcard native/*.py native/*/*.cc native/*/*.h)

.PHONY: demo test lint docs wheels web

# First by the converted file that an entry brings along, in seconds; then with TensorFlow.
demo: $(VENV)/.base
	$(VENV)/bin/larq-dense predict ecssd "$(or $(IMAGE),docs/images/cat.jpg)" --output demo
	@$(MAKE) --no-print-directory $(VENV)/.ready
	$(VENV)/bin/larq-dense demo --output demo $(if $(IMAGE),--image "$(IMAGE)")

test: $(VENV)/.ready-test
	$(VENV)/bin/pytest -n $(WORKERS) --dist worksteal

web: $(VENV)/.ready-test
	$(VENV)/bin/python web/build.py

lint: $(VENV)/.ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	VENV=$(VENV) .ci/mypy

# The documentation site into build/site, without network.
docs: $(VENV)/.ready-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

# Every platform's wheel into dist/, by a cross compiler from PyPI, each checked.
wheels: $(VENV)/bin/python
	@$(VENV)/bin/python -m pip install -qq build ziglang auditwheel lief
	$(VENV)/bin/python tools/wheels.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Error: no Python 3.10, 3.11 or 3.12 with venv was found; \
	install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
# The pip of 2023 that comes with CPython 3.10 does not find the set that fits; later ones do.
	@$(VENV)/bin/python -m pip install -qq --upgrade pip

$(VENV)/.base: $(VENV)/bin/python $(SETTINGS)
	@echo "Installing the base package into $(VENV): LiteRT, NumPy, Pillow, click; 180 MB on disk."
	@$(VENV)/bin/python -m pip install -qq -e .
	@touch $@

# Everything is resolved in one install: TensorFlow, NumPy and OpenCV must agree.
$(VENV)/.ready: $(VENV)/bin/python $(SETTINGS)
	@echo "Installing into $(VENV): some minutes, about 3 GB."
	@$(VENV)/bin/python -m pip install -qq -e '.[tensorflow]'
	@touch $@

$(VENV)/.ready-docs: $(VENV)/bin/python $(SETTINGS)
	@$(VENV)/bin/python -m pip install -qq -e '.[docs]'
	@touch $@

$(VENV)/.ready-test: $(VENV)/bin/python $(SETTINGS)
	@echo "Installing into $(VENV): some minutes, about 3 GB."
	@$(VENV)/bin/python -m pip install -qq -e '.[test]'
	@touch $(VENV)/.ready $(VENV)/.ready-docs $@
