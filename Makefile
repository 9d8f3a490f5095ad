# Makes the environment, then hands over to doit (dodo.py), which decides what is out of date.
#
#   make book [PROFILE=quick]   run the notebooks and build the book into _build/html
#   make test                   run the tests
#   make bench [PROFILE=quick]  time the sampler beside other libraries; needs that profile's models
#   make published              make the heavy results in data/published again: hours; resumes
#                               (PROFILE=smoke: small ones, in that run's folder)
#   make lint                   check style and that notebooks are in step
#   make sync                   bring the .py and .ipynb of each notebook in step
#   make wipe [PROFILE=quick]   remove what a profile made: its run and its survey

PYTHON ?= python3
PROFILE ?= quick
# Which PyTorch: cpu, or a version of CUDA such as cu130. Without it, the one that pip chooses, which
# on Linux brings the libraries of CUDA.
TORCH ?=
UV := uv==0.13.9
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := book
.PHONY: book test bench published lint sync wipe

# Not by doit, which reads the parameters of notebooks that may not be in step yet.
sync: $(VENV)/.installed
	@$(BIN)/jupytext --sync notebooks/*.py

test bench published lint wipe: $(VENV)/.installed
	@$(BIN)/doit --verbosity 2 profile=$(PROFILE) $@

# Chapters after 05 depend on no other: two at a time.
book: $(VENV)/.installed
	@$(BIN)/doit --verbosity 2 --process 2 profile=$(PROFILE) $@

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "galcfm needs Python 3.11 to 3.13, and $(PYTHON) is another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Installing into $(VENV): about 2.5 GB, one to three minutes the first time"
	$(PYTHON) -m venv $(VENV)
# pip chooses the PyTorch where TORCH does not; uv installs all else in seconds.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV) \
	  $(if $(TORCH),,$$(grep '^torch==' requirements.txt))
	$(BIN)/uv pip install --quiet --python $(BIN)/python \
	  $(if $(TORCH),--torch-backend $(TORCH)) --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
