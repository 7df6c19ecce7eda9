# One command per chore, the same here and in CI. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?=
TEST_PROCESSES ?= 2
# A file's tests share servers and models, so they stay together; long files begin first (tests/conftest.py).
DISTRIBUTION := --dist loadfile --no-loadscope-reorder
# Every worker and server of the tests reads what was compiled once, also where the surroundings forbid writing it.
test test-fast: export PYTHONDONTWRITEBYTECODE =
PIP := $(BIN)/pip --disable-pip-version-check
comma := ,
SOURCES := pyproject.toml setup.py constraints.txt $(wildcard plugins/*/setup.py plugins/*/pyproject.toml)
DEMO_STAMP := $(VENV)/.installed-demo$(subst $(comma),-,$(addprefix -,$(EXTRAS)))
TEST_STAMP := $(VENV)/.installed-test
PLUGINS := $(wildcard plugins/*/setup.py plugins/*/pyproject.toml)
PLUGIN_DIRS := $(sort $(patsubst %/,%,$(dir $(PLUGINS))))
# What an earlier build left behind would be installed along.
INSTALL_PLUGINS := $(if $(PLUGIN_DIRS),rm -rf $(addsuffix /build,$(PLUGIN_DIRS)) && $(PIP) install -c constraints.txt --no-build-isolation --no-deps $(PLUGIN_DIRS),)
# pip turns this option round in its settings: `false` lets `pip install .` of a plugin whose setup.py imports digits see what is
# installed, `true` builds in isolation, as packages with another build system than ours want it.
NO_ISOLATION := $(PIP) config --quiet --site set install.no-build-isolation false
ISOLATED := PIP_NO_BUILD_ISOLATION=true

.PHONY: help demo serve test test-fast test-long faults check bench docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(DEMO_STAMP) ## install into .venv and start the server with a trained model (EXTRAS=tensorflow adds that engine)
	$(BIN)/digits demo

serve: $(DEMO_STAMP) ## install into .venv and start the server
	$(BIN)/digits serve

test: $(TEST_STAMP) ## install what the tests need and run all of them
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) $(DISTRIBUTION) $(ARGS)

test-fast: $(TEST_STAMP) ## the tests without the browser and the slow ones
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) $(DISTRIBUTION) -m "not browser and not slow" $(ARGS)

test-long: $(TEST_STAMP) ## the long tests, which `make test` leaves out
	$(BIN)/python -m pytest -m long $(ARGS)

faults: $(TEST_STAMP) ## a hundred seeded kills of all processes, and bombs, which take an hour (FAULTS_REPORT=file keeps what happened)
	$(BIN)/python -m pytest -m faults tests/faults tests/service/files/test_hostile.py -s $(ARGS)

check: $(TEST_STAMP) ## style and types, of Python and of the pages' code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/deno fmt --check
	$(BIN)/deno lint
	$(BIN)/deno check digits/web/static/js

bench: $(TEST_STAMP) ## measure against what a user would otherwise use (ARGS=--full for the large sizes)
	@for script in benchmarks/*.py; do case $$script in */_*) continue;; esac; echo "== $$script"; \
	  args="$(ARGS)"; case " $$args " in *" --full "*) \
	    $(BIN)/python $$script --help | grep -q -e --full || args=$$(echo " $$args " | sed 's/ --full / /');; esac; \
	  $(BIN)/python $$script $$args || exit 1; done

docs: $(TEST_STAMP) ## bring the generated parts of docs/ up to date
	$(BIN)/python -m digits.cli.reference docs

clean: ## remove the environment and all caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(DEMO_STAMP): $(BIN)/python $(SOURCES)
	$(ISOLATED) $(PIP) install -c constraints.txt -e ".$(if $(EXTRAS),[$(EXTRAS)],)"
	$(INSTALL_PLUGINS)
	$(NO_ISOLATION)
	@touch $@

$(TEST_STAMP): $(BIN)/python $(SOURCES)
	$(ISOLATED) $(PIP) install -c constraints.txt -e ".[dev,openvino,tensorboard,tensorflow]"
	$(INSTALL_PLUGINS)
	$(NO_ISOLATION)
	@touch $@
