# The commands of this project; `make` alone lists them. Each sets itself up and is quick the second
# time. PYTHON chooses the interpreter that the environment is made with.

PYTHON ?= python3
VENV ?= .venv
# Where an environment has its programs.
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
LIGHT ?= .venv-light
OLDEST ?= .venv-oldest

.DEFAULT_GOAL := help
.PHONY: help demo test test-light test-cluster test-web fuzz test-oldest coverage check format docs notebooks models web clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed  ## find faces, emotion and gender in a shipped picture
	$(BIN)/minixception image images/portraits.jpg --output output/portraits_faces.png

test: $(VENV)/.installed-dev  ## run the tests
	$(BIN)/python -m pytest

test-light: $(LIGHT)/.installed $(VENV)/.installed-dev  ## run the tests of an installation without extras
	MINIXCEPTION_LIGHT=$(LIGHT) $(BIN)/python -m pytest tests/test_light.py

test-cluster: $(VENV)/.installed-cluster $(VENV)/.installed-dev  ## run the tests of Ray jobs and of several devices on this machine
	MINIXCEPTION_CLUSTER=1 $(BIN)/python -m pytest -n 0 tests/test_cluster.py \
		tests/test_command_video_cluster.py tests/test_devices.py

web: web/dist/sw.js  ## build the page into web/dist, a folder for any static host

test-web: $(VENV)/.installed-dev web/dist/sw.js  ## build the page and test it in Chromium
	MINIXCEPTION_WEB=1 $(BIN)/python -m pytest tests/test_web.py

fuzz: $(VENV)/.installed-dev  ## try 12,000 broken files, hostile ones, full disks, kills at random moments
	MINIXCEPTION_FUZZ_CASES=1000 $(BIN)/python -m pytest tests/test_fuzz.py tests/test_hostile_files.py \
		tests/test_command_image_resume.py tests/test_faults.py tests/test_kills.py

test-oldest: $(OLDEST)/.installed  ## run the tests on the oldest versions that are allowed
	$(OLDEST)/$(SCRIPTS)/python -m pytest

coverage: $(VENV)/.installed-dev  ## run the tests, report the lines that they do not reach
	$(BIN)/python -m pytest --cov=minixception --cov-report=term-missing:skip-covered --cov-report=html:build/coverage

check: $(VENV)/.installed-dev  ## lint, check format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs  ## build the API reference into build/api; a warning is an error
	$(BIN)/python docs/make_api_reference.py

notebooks: $(VENV)/.installed-dev  ## run the notebooks, store them with their outputs
	$(BIN)/python notebooks/run_notebooks.py

models: $(VENV)/.installed-dev  ## train the models from the data, continuing where it stopped
	$(BIN)/python benchmarks/train_models.py

clean:  ## remove the environment and what was built
	rm -rf $(VENV) $(LIGHT) $(OLDEST) build src/*.egg-info web/dist web/node_modules

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-docs: setup.py $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@

$(VENV)/.installed-cluster: setup.py $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[cluster]"
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

# As users have it: built, not editable, and rebuilt whenever what is packed may have changed.
$(LIGHT)/.installed: requirements.txt setup.py MANIFEST.in $(shell find src trained_models -type f -not -path '*/__pycache__/*' -not -path '*.egg-info/*')
	rm -rf $(LIGHT) build/lib
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check .
	touch $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

# The models of the page, and the rules that it shares with these modules.
web/dist/models/rules.json: web/make_models.py $(shell find trained_models -name model.keras -o -name card.json) \
		$(shell find src/minixception -name '*.py') \
		| $(VENV)/.installed-dev
	$(BIN)/python web/make_models.py web/dist/models

web/dist/sw.js: web/dist/models/rules.json web/node_modules/.package-lock.json \
		$(wildcard web/*.* web/src/*.js)
	cd web && npm run build

# The oldest minor version of each requirement, at its latest patch release.
$(OLDEST)/.installed: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(OLDEST)
	for file in $^; do sed -E 's/>=([0-9.]+).*/==\1.*/' $$file > $(OLDEST)/$$file; done
	$(OLDEST)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check \
		-r $(OLDEST)/requirements-dev.txt
	$(OLDEST)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
