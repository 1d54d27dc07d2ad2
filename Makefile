# `make` alone lists the targets. Needs Python >= 3.11, make, git and gcc; everything else goes into .venv.

PYTHON ?= python3
CONFIG ?= config/default.yaml
JOBS ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
TESTS ?=
FUZZ ?= 100000
HITS ?= 100
BENCH ?=
SCALE ?=
RESULTS ?= # an address where a copy of them is to lie, such as s3://bucket/prefix
CPUS ?= # of JOBS, at most so many cores
SECTION ?=
FRAMEWORKS ?= torch keras flax haiku equinox mlx paddle mxnet chainer speechbrain tsai # and tinygrad, which needs clang
BESIDE ?= wrappers runners
STUDIES := article atlas phase horizon width

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FOUND := cells drives initialisers observables
MODULES := rnnmc/common/modules.txt
SCHEMA := workflow/schemas/study.schema.json
STUDY_SCHEMA := import json; from rnnmc.study.schema import study_schema; print(json.dumps(study_schema(), indent=2))

ifneq ($(filter %.yaml %.yml,$(MAKECMDGOALS)),)
$(error $(filter %.yaml %.yml,$(MAKECMDGOALS)) is no target; give a study as CONFIG=$(firstword $(filter %.yaml %.yml,$(MAKECMDGOALS))))
endif

.DEFAULT_GOAL := help
.PHONY: help install study test quick fuzz soak bench validate findings dataset frameworks elsewhere readme sbom lint format docs schema modules lock clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo "  Settings: PYTHON=$(PYTHON) CONFIG=$(CONFIG) JOBS=$(JOBS) CPUS=$(CPUS) SCALE=$(SCALE) RESULTS=$(RESULTS) TESTS=$(TESTS) BENCH=$(BENCH)"

install: $(VENV)/.installed ## create .venv from requirements.lock

study: install ## run a study, then print its table and the path of its report; CONFIG=config/x.yaml JOBS=8 SCALE=0.1
	@$(BIN)/rnnmc study "$(CONFIG)" --jobs "$(JOBS)" $(if $(CPUS),--cpus "$(CPUS)") $(if $(SCALE),--scale "$(SCALE)") $(if $(RESULTS),--results "$(RESULTS)")

test: install ## run the tests; TESTS="tests/laws -k tanh" for some of them
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TESTS)

quick: install ## run the tests that need no process and little time: most of them, in a minute and a half on 2 cores
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m quick $(TESTS)

fuzz: install ## try FUZZ=100000 inputs that nobody would write: studies, words, drives, folders (half an hour or more)
	@PATH="$(CURDIR)/$(BIN):$$PATH" RNNMC_FUZZ=$(FUZZ) nice -n 15 $(BIN)/python -m pytest tests/test_fuzz.py -n $(JOBS) --timeout 0

soak: install ## kill every process of a run HITS=100 times, at random times, and see what is left (some hours)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/soak.py --hits $(HITS)

bench: install ## measure speed against the machine's limit and fill docs/performance.md (25 minutes); BENCH=--quick
	@$(BIN)/python benchmarks/bench.py $(BENCH)

validate: install ## run the studies behind docs/validation.md and write its tables anew (half an hour)
	@for study in oracle spectrum paths validation; do \
	    PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake -j $(JOBS) --configfile config/$$study.yaml || exit 1; done
	@$(BIN)/python benchmarks/validate.py

findings: install ## write docs/findings.md and its figures anew from the results of its studies; SECTION=cells for one section
	@$(BIN)/python docs/findings.py $(SECTION)

dataset: install ## write results/dataset: statistics of these studies, samples of article, ready to publish
	@$(BIN)/rnnmc dataset $(STUDIES:%=results/%) --samples results/article --out results/dataset

# Each framework has an environment of its own, for no two agree on a NumPy. Threads: the matrices are small. Another
# Python for one of them: PYTHON_flax=python3.12. More draws of all: make frameworks FRAMEWORKS=keras BESIDE= DRAWS=80
frameworks: install $(FRAMEWORKS:%=build/frameworks/raw/%.npz) $(BESIDE:%=build/frameworks/raw/%.json) ## measure the real layers, and write docs/frameworks.md; FRAMEWORKS="flax keras" BESIDE=
	@$(BIN)/python frameworks/compare.py $(FRAMEWORKS)
	@for name in $(BESIDE); do cp build/frameworks/raw/$$name.json frameworks/beside/; done
	@$(BIN)/python frameworks/read.py && $(BIN)/python frameworks/page.py

define IN_ITS_ENVIRONMENT
	@mkdir -p $(@D)
	@$(or $(PYTHON_$*),$(PYTHON)) -m venv --clear build/frameworks/$*
	@build/frameworks/$*/bin/python -m pip --disable-pip-version-check --quiet install 'setuptools<66' wheel
	@build/frameworks/$*/bin/python -m pip --disable-pip-version-check --quiet install $(if $(filter chainer,$*),--no-build-isolation) --requirement frameworks/requirements/$*.txt
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 build/frameworks/$*/bin/python frameworks/of_$*.py $@
endef

build/frameworks/raw/%.npz: frameworks/of_%.py frameworks/layers.py frameworks/by_jax.py frameworks/requirements/%.txt
	$(IN_ITS_ENVIRONMENT)

build/frameworks/raw/%.json: frameworks/of_%.py frameworks/of_torch.py frameworks/layers.py frameworks/requirements/%.txt
	$(IN_ITS_ENVIRONMENT)

elsewhere: install build/elsewhere/venv/.installed ## write a data set, and have validators, readers and deployers of others take it (1.3 GB of packages)
	@$(BIN)/rnnmc run elsewhere/default.yaml --results build/elsewhere
	@$(BIN)/rnnmc dataset build/elsewhere/default --for archive --out build/elsewhere/dataset
	@build/elsewhere/venv/bin/python elsewhere/check.py build/elsewhere/dataset docs/elsewhere.md
	@PATH="$(CURDIR)/$(BIN):$$PATH" elsewhere/deployed.sh build/elsewhere/venv/bin/snakedeploy build/elsewhere/deployed

build/elsewhere/venv/.installed: elsewhere/requirements.txt
	@$(PYTHON) -m venv --clear build/elsewhere/venv
	@build/elsewhere/venv/bin/python -m pip --disable-pip-version-check --quiet install --requirement elsewhere/requirements.txt
	@touch $@

readme: ## type every command of README.md in a fresh clone, studies at a hundredth of their size (half an hour)
	@$(PYTHON) elsewhere/readme.py build/readme

sbom: install build/sbom/venv/.installed ## write build/sbom/rnnmc.cdx.json: all that is installed, with versions and licences (CycloneDX)
	@build/sbom/venv/bin/cyclonedx-py environment $(VENV) --pyproject pyproject.toml --of JSON --output-file build/sbom/rnnmc.cdx.json
	@echo "build/sbom/rnnmc.cdx.json; what is known against it: build/sbom/venv/bin/pip-audit --no-deps -r requirements.lock (needs pypi.org)"

build/sbom/venv/.installed:
	@$(PYTHON) -m venv --clear build/sbom/venv
	@build/sbom/venv/bin/python -m pip --disable-pip-version-check --quiet install cyclonedx-bom==7.5.0 pip-audit==2.10.1
	@touch $@

lint: install ## check style, format and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted; run: make format"; exit 1; }
	@mkdir -p build
	@$(BIN)/snakefmt --check Snakefile workflow 2> build/lint || { cat build/lint; echo "run: make format"; exit 1; }
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint > build/lint 2>&1 || { cat build/lint; exit 1; }
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

format: install ## bring the code into form
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format . ; $(BIN)/snakefmt Snakefile workflow

docs: install ## write the site to build/docs, with the API reference; a broken link ends it with an error
	@$(BIN)/python docs/build.py

schema: install ## write the JSON schema of a study file, after a change of the study model
	@mkdir -p $(dir $(SCHEMA))
	@$(BIN)/python -c '$(STUDY_SCHEMA)' > $(SCHEMA).new && mv $(SCHEMA).new $(SCHEMA)
	@echo "Wrote $(SCHEMA)"

# A cell, law, drive or observable whose file is not listed is somebody's own: its source is part of the key.
modules: ## list the modules of the rooms whose files are found by name, after one that is to come with rnnmc
	@git ls-files $(FOUND:%='rnnmc/%/*.py') | sed -e 's/\.py$$//' -e 's/\/__init__$$//' -e 's/\//./g' | LC_ALL=C sort > $(MODULES)
	@echo "Wrote $(MODULES)"

# One resolution for every Python from 3.11 on. torch's own wheel brings the CUDA libraries that it needs, and its
# CPU build none, so they are left out here; a marker is kept only where it depends on the Python version.
lock: ## resolve pyproject.toml anew into requirements.lock, keeping what still fits (needs the network)
	@$(PYTHON) -m venv --clear build/lock && build/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	@cp requirements.lock build/lock/all
	@build/lock/bin/uv pip compile pyproject.toml --quiet --extra dev --universal --python-version 3.11 \
	    --fork-strategy fewest --no-annotate --no-header --output-file build/lock/all
	@{ echo "# Made from pyproject.toml by: make lock. For Linux, Python 3.11 and later."; sed -E -e '/^(#|nvidia-|cuda-|triton)/d' \
	    -e '/python_(full_)?version/!s/ ;.*//' build/lock/all; } > build/lock/new && mv build/lock/new requirements.lock
	@rm -r build/lock
	@echo "Wrote requirements.lock; make test TESTS=tests/test_project.py tells which lines of environment.yml to mend"

clean: ## remove .venv, caches and built documents; never results/
	@rm -rf $(VENV) build rnnmc.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './results/*' -prune -exec rm -r {} +
	@echo "Removed .venv, caches and build/; results/ is as it was"

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "rnnmc is in $(BIN); a first answer:"
	@echo "  $(BIN)/rnnmc measure torch.nn.LSTM --width 64"
	@touch $@

$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "rnnmc needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not there); give another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Creating .venv from requirements.lock, once: 1.5 GB, or 6 with CUDA; for minutes"
	@echo "nothing is said."
	@$(PYTHON) -m venv --clear $(VENV) || { echo "$(PYTHON) cannot create an environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PIP) install --use-pep517 --requirement requirements.lock
	@touch $@
