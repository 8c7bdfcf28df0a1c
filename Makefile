# make run     an api and two stores on this machine, until Ctrl-C
# make test    all that continuous integration runs
# make fuzz    mutated requests and answers (SECONDS=60; SEED=… plays a find again)
# make simulate seeds of a simulated cluster under faults (SEEDS=100, FIRST=0; SEED=7 shows one)
# make torture what takes time: crashes, power cuts and partitions (as root), failing disks, slow clients, races, mixed faults; an
#              hour on two cores, and one table of counts (TORTURE=10: the nightly counts, TORTURE=0.1: a look)
# make sabotage one break after the other: each must turn its test red; a few minutes (BREAK=name: that one)
# make bench   sos beside nginx, ten minutes (QUICK=1: three; ROWS=regex picks; see benchmarks/README.rst)
# make plots   docs/growth.svg, drawn from the rows of growth that docs keeps (RESULTS=file takes those of another run)
# make clean   remove what these two have made, but for the stores in data/

PYTHON ?= python3
VENV ?= .venv
UPLOAD_PORT ?= 9991
DOWNLOAD_PORT ?= 9992
DATA ?= data

BIN = $(VENV)/bin
# A plain editable install does not show the plugin to twistd; this mode does.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable

.PHONY: help run test fuzz simulate torture sabotage bench plots clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# //p' Makefile

run: $(VENV)/installed
	@mkdir -p "$(DATA)"
	@echo "Uploads:    http://127.0.0.1:$(UPLOAD_PORT)/upload"
	@echo "Downloads:  http://127.0.0.1:$(DOWNLOAD_PORT)/fetch/ID"
	@echo "Stores:     $(DATA)/one $(DATA)/two"
	@echo
	@echo "Try, in another terminal:"
	@echo "  curl --data-binary @README.rst http://127.0.0.1:$(UPLOAD_PORT)/upload"
	@echo "  curl http://127.0.0.1:$(DOWNLOAD_PORT)/fetch/ID"
	@echo
	@echo "Ctrl-C ends it."
	@exec $(BIN)/twistd --nodaemon --pidfile= --umask=077 sos --role=all --store="$(DATA)/one" --store="$(DATA)/two" \
		--upload-port=$(UPLOAD_PORT) --download-port=$(DOWNLOAD_PORT)

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	@if command -v systemd-analyze >/dev/null; then \
		echo "systemd-analyze verify systemd/*.service"; systemd-analyze verify systemd/*.service; \
	else \
		echo "SKIPPED: the systemd units were not verified, for there is no systemd-analyze here."; \
	fi
	$(BIN)/trial --reporter=text tests
	$(BIN)/python -m pytest

bench: $(VENV)/installed
	@$(BIN)/python -m benchmarks

plots: $(VENV)/installed
	@$(BIN)/python -m benchmarks.plots $(RESULTS)

fuzz: $(VENV)/installed-dev
	SECONDS=$(SECONDS) SEED=$(SEED) $(BIN)/python -m tests.fuzz

simulate: $(VENV)/installed-dev
	SEED=$(SEED) SEEDS=$(SEEDS) FIRST=$(FIRST) $(BIN)/python -m tests.simulation

# Whatever cannot be run is named below the table: it needs user namespaces, iproute2, nftables, strace and faketime.
torture: $(VENV)/installed-dev
	TORTURE=$(or $(TORTURE),1) $(BIN)/python -m pytest -m torture tests

sabotage: $(VENV)/installed-dev
	@BREAK="$(BREAK)" $(BIN)/python -m tests.sabotage

clean:
	rm -rf $(VENV) build *.egg-info _trial_temp* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sos needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: install its venv package (python3-venv) and try again." >&2; exit 1; }

$(VENV)/installed: $(BIN)/python setup.cfg pyproject.toml
	@echo "Installing into $(VENV) ..."
	@$(PIP_INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(BIN)/python setup.cfg pyproject.toml
	@echo "Installing into $(VENV), with what the tests need ..."
	@$(PIP_INSTALL) '.[dev]'
	@touch $@ $(VENV)/installed
