# `make` lists what can be made. Works with GNU make 3.81 (macOS) and later.
#   PYTHON=/path/to/python3   the interpreter for `make setup` (3.11 to 3.13)

BIN := .venv/bin
# Read by make alone: when it is younger than these, there is nothing to set up.
READY := .venv/ready
TESTS ?= tests

.PHONY: help setup demo test check unit test-realtime acceptance scoreboard random-calls interleavings bench
.PHONY: compose-smoke lock clean
.DEFAULT_GOAL := help

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make .venv/ with offhook in it; no key, no account
	@echo "set up: $(BIN)/offhook"

# An environment that was copied or moved here from elsewhere points there: set up again.
ifneq ($(shell grep -sF "$(CURDIR)/.venv/bin/python" $(BIN)/pip >/dev/null && echo here),here)
.PHONY: $(READY)
endif
$(READY): requirements-dev.lock pyproject.toml .ci/setup
	@PYTHON="$(PYTHON)" .ci/setup
	@touch $@

demo: $(READY) ## place a whole spoken call against the built-in speech models
	$(BIN)/offhook call --script lab/scripts/demo.yaml --record out/demo.wav

test: check unit ## check, then every test that needs no real clock (under 5 minutes)

check: $(READY) ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests

unit: $(READY)
	$(BIN)/pytest $(TESTS) -m "not realtime"

test-realtime: $(READY) ## tests with real models, sockets and processes on the real clock
	@if command -v npm >/dev/null; then \
	  npm install --prefix tests/realtime/tutorial_server --no-audit --no-fund --no-package-lock --silent \
	    --fetch-retries 0 --fetch-timeout 20000 || true; \
	fi
	$(BIN)/pytest $(TESTS) -m "realtime and not acceptance"

acceptance: $(READY) ## place whole spoken calls and judge their figures (8 minutes, alone on the machine)
	$(BIN)/pytest tests/acceptance -m acceptance

scoreboard: $(READY) ## play the corpus of spoken scenarios and compare with the last time (12 minutes, alone)
	$(BIN)/offhook lab scoreboard

random-calls: $(READY) ## play 1,000 random calls on virtual time (CALLS= and SEED= for others; under 10 minutes)
	CALLS="$(or $(CALLS),1000)" SEED="$(SEED)" $(BIN)/pytest tests/scenarios/test_random_calls.py --timeout 600

interleavings: $(READY) ## run the races of a call in many orders (RUNS= schedules each; under 5 minutes)
	RUNS="$(or $(RUNS),300)" SEED="$(SEED)" $(BIN)/pytest tests/scenarios/test_interleavings.py --timeout 300

bench: $(READY) ## measure this machine: every scenario once, in one table (under 8 minutes, alone)
	$(BIN)/offhook bench standard

compose-smoke: $(READY) ## build the image, start docker/compose.yaml and call it
	docker/compose-smoke.sh

lock: ## write the lock files from pyproject.toml (UPGRADE=1: newest versions)
	PYTHON="$(PYTHON)" UPGRADE="$(UPGRADE)" .ci/lock

clean: ## remove what the other targets made, .venv/ too
	rm -rf .venv build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
