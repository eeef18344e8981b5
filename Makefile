# Everything a newcomer needs: `make` lists it.
VENV   := .venv
PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13
BIN    := $(VENV)/bin
ARGS   ?=
KILLS  ?= 200
SEED   ?= 1
PROTOS := $(wildcard proto/peyvand/v1/*.proto)

# pip would tell of its own newer version at each step.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test matrix test-systems test-images attack fuzz simulate soak kills chaos conformance check fmt proto docs dashboards sbom audit preview screenshots lock bench calibrate clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.run ## install what running needs into .venv

setup-dev: $(VENV)/.dev ## install what testing and developing need into .venv

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Peyvand needs Python 3.11 or newer; name one with PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

run: setup ## measure a simulated government (options: make run ARGS='--for 60s')
	@exec $(BIN)/peyvand up --sandbox $(ARGS)

# Most tests wait longer than they work, so six run at a time on two cores, the long ones first, and files of tests that wait are
# spread among the others (tests/file_order.py). tests/support/ports.py has a range of ports for each of the six. What was read is
# kept compiled, even where Python is told to write none.
test: setup-dev ## run all tests except those of test-systems (some of them: make test ARGS=tests/unit)
	@if [ -n "$(ARGS)" ]; then $(BIN)/pytest $(ARGS); else \
		PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --durations=40 -n 6 --dist loadfile --no-loadscope-reorder \
			tests/integration/prober/scheduling/test_sharing.py tests/integration tests/security tests/fuzz tests/simulation tests/soak tests/conformance tests/property tests/unit; fi

# pyenv gives every version that it has when PYENV_VERSION lists them; elsewhere the variable has no effect.
matrix: ## run the unit tests under each of PYTHONS (default: python3.11 python3.12 python3.13), each in its own environment
	@for python in $(PYTHONS); do \
		PYENV_VERSION=3.11:3.12:3.13 $(MAKE) --no-print-directory setup-dev PYTHON=$$python VENV=build/$$python || exit 1; \
		build/$$python/bin/pytest -q -n 2 tests/unit || exit 1; done

test-systems: setup-dev ## run whole systems and compare each slot with the truth; nineteen minutes on a machine without other work
	@$(BIN)/pytest --durations=10 tests/e2e

attack: setup-dev ## run every attack of tests/security, and print how each ended
	@$(BIN)/python -m tests.security $(ARGS)

fuzz: setup-dev ## feed random input to every reader of outside text, for five minutes (an hour: make fuzz ARGS='--minutes 60')
	@$(BIN)/python -m tests.fuzz $(ARGS)

simulate: setup-dev ## simulate a month with faults for each of 200 seeds (more: make simulate ARGS='--seeds 10000 --jobs 2')
	@$(BIN)/python -m tests.simulation $(ARGS)

soak: setup-dev ## measure memory over a simulated day at national size, in a hundred minutes (shorter: make soak ARGS='--hours 2')
	@$(BIN)/python -m tests.soak $(ARGS)

kills: setup-dev ## kill archive, scorer and bus at 200 random moments, and compare what is sealed (more: make kills KILLS=1000 SEED=7)
	@PEYVAND_KILLS=$(KILLS) PEYVAND_KILLS_SEED=$(SEED) $(BIN)/pytest -q --durations=1 tests/integration/archive/test_crashes.py

# Disks that fail need Debian's fuse3, clocks that step its libfaketime, a cluster its iproute2, and all of them root: what cannot be had
# is named and left out.
chaos: setup-dev ## apply 30 seeded faults to a real installation, and judge the result (more: make chaos ARGS='--seed 7 --faults 1000')
	@$(BIN)/python -m tests.chaos $(ARGS)

conformance: setup-dev ## compare the prober with blackbox_exporter, if that is installed
	@$(BIN)/python -m tests.conformance $(ARGS)

# Starts a Docker engine of its own where none answers (as root), and needs Debian's docker.io, docker-cli, docker-buildx, docker-compose,
# iptables and debootstrap.
test-images: setup-dev ## build the image, run the whole stack, and kill parts of it
	@$(BIN)/python -m tests.images $(ARGS)

check: setup-dev ## run linters, type checks, and checks of imports, contracts and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	@for commit in $$(git rev-list HEAD -- 'proto/*.proto'); do \
		$(BIN)/buf breaking --against ".git#commit=$$commit" || exit 1; done # no contract ever published is broken
	@$(MAKE) --no-print-directory proto
	@git diff --exit-code --stat -- proto || { echo "generated code differs: commit what make proto wrote"; exit 1; }
	@$(MAKE) --no-print-directory docs
	@git diff --exit-code --stat -- docs/metrics.md docs/settings.md docs/map.md docs/crosswalk.md || { echo "these pages differ: commit what make docs wrote"; exit 1; }
	@$(MAKE) --no-print-directory dashboards
	@git diff --exit-code --stat -- deploy/grafana || { echo "dashboards differ: commit what make dashboards wrote"; exit 1; }
	@$(MAKE) --no-print-directory sbom
	@git diff --exit-code --stat -- deploy/sbom.cdx.json || { echo "the list of packages differs: commit what make sbom wrote"; exit 1; }

fmt: setup-dev ## format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

proto: setup-dev ## generate the code of proto/
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=proto --mypy_out=quiet:proto \
		--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy $(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -I proto --grpc_python_out=proto --mypy_grpc_out=quiet:proto \
		--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc $(filter %_service.proto,$(PROTOS))

docs: setup ## write docs/metrics.md, settings.md, map.md and crosswalk.md from code and tables
	$(BIN)/python -m services.core.reference_pages docs

dashboards: setup-dev ## write Grafana's dashboards from deploy/dashboards
	$(BIN)/python -m deploy.dashboards deploy/grafana/dashboards

sbom: setup-dev ## write the list of the image's packages, deploy/sbom.cdx.json, from requirements.lock
	@$(BIN)/python -m deploy.sbom requirements.lock pyproject.toml deploy/sbom.cdx.json

# The program is not among the locked packages. The database for Python does not know nats-server, which is a Go program.
audit: setup ## look up the pinned packages in a database of known vulnerabilities (needs pip-audit and the database)
	@$(BIN)/python -m deploy.audit requirements-dev.lock $(ARGS)

# Needs Debian's prometheus; with its chromium-headless-shell it makes PNG files as well.
preview: setup-dev ## draw the dashboards of a running sandbox into build/preview, without Grafana
	@$(BIN)/python -m tests.dashboards $(ARGS)

# Needs Debian's chromium-headless-shell and fonts-vazirmatn.
screenshots: setup-dev ## make the pictures of the console in docs/ (fa and en)
	@$(BIN)/python -m tests.screenshots $(ARGS)

lock: ## pin what pyproject.toml asks for (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --extra build pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --extra build --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

bench: setup-dev ## measure cost and speed on this machine
	$(BIN)/python -m tests.bench $(ARGS)

calibrate: setup-dev ## test the intervals on simulated governments, and write docs/calibration.md
	$(BIN)/python -m tests.calibration $(ARGS)

clean: ## remove everything that was made here, except the evidence of a real register
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache peyvand-data/sandbox
	find services proto tests -name __pycache__ -type d -prune -exec rm -rf {} +
