# Everything a contributor types. Needs Python 3.11 to 3.13, git and make; the rest is put into .venv by tools/setup_env.py.
# Options: `make test ARGS="-k tiling"`, `make env PYTHON=python3.12`, `NAPARI_FCNSEG_HEADLESS=1 make test` (no windows on your screen).

PYTHON ?= python3
# Nothing while PYTHON is the line above: then the lowest versions may look for an older one.
NAMED_PYTHON := $(if $(filter file,$(origin PYTHON)),,--this-python)
ifeq ($(OS),Windows_NT)
SCRIPTS := Scripts
else
SCRIPTS := bin
endif
BIN := .venv/$(SCRIPTS)
PY := $(BIN)/python
LOWEST := .venv-lowest/$(SCRIPTS)/python
NEWEST := .venv-newest/$(SCRIPTS)/python
WITH_DISPLAY := $(PY) tools/with_display.py
ARGS ?=
N ?= 300
SEED ?= 0

# TensorFlow's start-up notes say nothing about this program; its warnings and errors still show.
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help env lock display check lint types layers manifest test test-lowest test-newest test-processors prove demo bench bench-gpu bench-start bench-window bench-compare bench-objects bench-scale tour docs clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

env: ## make or refresh .venv with everything in it (at once when nothing changed)
	@$(PYTHON) tools/setup_env.py

lock: ## choose the newest versions that go together, for each Python, and write them to constraints/
	@$(PYTHON) tools/lock.py

display: env ## see to it that a window can be opened here, installing what a headless Debian or Ubuntu lacks
	@$(PY) tools/display_packages.py

check: lint types layers manifest ## ruff, mypy, layers, plugin manifest (`make -k check` goes on after a failure)

lint: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: env
	$(BIN)/mypy

layers: env
	$(BIN)/lint-imports

manifest: env
	$(BIN)/npe2 validate napari-fcnseg
	@test "$$(readlink napari.yaml)" = src/napari_fcnseg/napari.yaml || \
	  { echo "napari.yaml must be a link to src/napari_fcnseg/napari.yaml"; exit 1; }

test: env display ## all tests, those with a window in a real one; two at a time (`ARGS="-n 0"`: one after the other)
	$(WITH_DISPLAY) $(PY) -m pytest -n 2 --dist loadgroup $(ARGS)
ifeq ($(ARGS),)
	$(WITH_DISPLAY) $(PY) -m pytest -n 0 tests/test_limits.py
endif

test-lowest: ## all tests with the oldest versions that pyproject.toml admits, in .venv-lowest, on the oldest Python here
	@$(PYTHON) tools/setup_env.py --versions lowest $(NAMED_PYTHON)
	@$(LOWEST) tools/display_packages.py
	$(LOWEST) tools/with_display.py $(LOWEST) -m pytest -n 2 --dist loadgroup $(ARGS)

test-newest: ## all tests with the newest versions of today, in .venv-newest
	@$(PYTHON) tools/setup_env.py --versions newest
	@$(NEWEST) tools/display_packages.py
	$(NEWEST) tools/with_display.py $(NEWEST) -m pytest -n 2 --dist loadgroup $(ARGS)

# What a processor may lack: oneDNN (ARM, or turned off), or only AVX-512.
LACKING := NAPARI_FCNSEG_ONEDNN=0 ONEDNN_MAX_CPU_ISA=AVX2
COMPUTING := tests/engine/test_arithmetic.py

test-processors: env display ## as on processors that lack something: tests and `make prove` without oneDNN, and without AVX-512 (SHORT=1: what computes)
	@for lacking in $(LACKING); do echo "== $$lacking"; \
	  env $$lacking $(PY) tools/prove.py --number $(if $(SHORT),12,$(N)) --seed $(SEED) || exit 1; \
	  env $$lacking $(WITH_DISPLAY) $(PY) -m pytest -n 2 --dist loadgroup $(if $(SHORT),$(COMPUTING)) $(ARGS) || exit 1; \
	done

prove: env ## random architectures against Keras: `make prove N=5000 SEED=1`
	$(PY) tools/prove.py --number $(N) --seed $(SEED) $(ARGS)

demo: env display ## napari with a sample image, segmented and verified; pictures in demo/
	$(WITH_DISPLAY) $(BIN)/napari-fcnseg demo --output demo $(ARGS)

bench: env ## how fast, side by side with other ways, in a quarter of an hour (`ARGS=--quick`: minutes; `ARGS=--write`)
	@$(PYTHON) tools/setup_env.py --extra bench
	$(PY) benchmarks/run.py $(ARGS)

bench-gpu: env ## the same on an accelerator: time, share of its peak, agreement
	$(PY) benchmarks/gpu.py $(ARGS)

bench-start: env display ## what one waits for before any pixel is computed, beside scripts that do the least
	@$(PYTHON) tools/setup_env.py --extra bench
	$(WITH_DISPLAY) $(PY) benchmarks/start.py $(ARGS)

bench-window: env display ## what drawing in the window costs
	$(WITH_DISPLAY) $(PY) benchmarks/window.py $(ARGS)

bench-compare: env ## every score of 10,000 x 10,000 pixels with 20,000 objects, beside scikit-image (and StarDist if installed)
	$(PY) benchmarks/compare.py $(ARGS)

bench-objects: env ## the table of 8,000 objects, beside scikit-image, and the threshold of 4,096 x 4,096 pixels
	QT_QPA_PLATFORM=offscreen $(PY) benchmarks/objects.py $(ARGS)

bench-scale: env ## a cluster on this computer: `make bench-scale ARGS=deaths`, head, overhead or window
	$(PY) benchmarks/scale.py $(ARGS)

tour: env display ## make docs/tour.md and its pictures again, from the real window
	$(WITH_DISPLAY) $(PY) tools/tour.py $(ARGS)

docs: env ## the documentation as a site in build/docs; a warning or a dead link fails; no network once [docs] is installed
	@$(PYTHON) tools/setup_env.py --extra docs
	$(PY) -m sphinx --builder html --fail-on-warning --keep-going --quiet docs build/docs
	$(PY) tools/check_links.py build/docs

clean: ## remove the environment and everything built
	rm -rf .venv .venv-lowest .venv-newest build dist demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
