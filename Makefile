# Everything a newcomer types. `make demo` and `make test` set up what they need on a fresh Debian or Ubuntu.

PYTHON ?=  # empty: scripts/python-environment chooses
BIN := .venv/bin
SOURCES := src tests demo bench setup.py

.PHONY: help setup demo test test-backends test-native check bench wheel clients lock clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/.ready  ## system packages, virtual environment, locked Python packages

.venv/.ready: pyproject.toml requirements/dev.txt scripts/system-packages
	scripts/system-packages bubblewrap ca-certificates
	scripts/python-environment .venv requirements/dev.txt $(PYTHON)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: setup  ## see it work: no account, no network
	$(BIN)/python -m demo

check: setup  ## lint, types and import contracts
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

clients: .clients/.ready  ## the real clients that the system tests drive

.clients/.ready: requirements/clients.txt requirements/npm/package-lock.json scripts/link-clients scripts/node-packages | setup
	scripts/system-packages git curl wget
	scripts/python-environment .clients requirements/clients.txt $(PYTHON)
	scripts/link-clients .clients
	scripts/node-packages .clients requirements/npm
	touch $@

# The environment may forbid to keep what is compiled; here, what one process has compiled serves all others.
test test-native test-backends: export PYTHONDONTWRITEBYTECODE :=

test: check clients  ## all of the above, and every test that this machine can run
	scripts/system-packages iproute2 nftables dbus gnome-keyring libsecret-tools libseccomp2 socat
	$(BIN)/python -m compileall -q src  # most starts come from tests that keep nothing
	$(BIN)/pytest -n 3 --dist worksteal  # on two processors: a third of them waits for something

test-backends: setup clients  ## what holds in every backend: needs root, and installs docker and podman
	scripts/system-packages docker.io podman runc uidmap rootlesskit curl nftables
	id 61234 >/dev/null 2>&1 || { groupadd --gid 61234 outward-test && \
	  useradd --uid 61234 --gid 61234 --no-create-home --shell /usr/sbin/nologin outward-test && \
	  usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 outward-test; }
	$(BIN)/pytest -n 2 --dist worksteal tests/backends

wheel: dist/.ready  ## the released program, its path of a request compiled, into dist

dist/.ready: setup.py pyproject.toml scripts/build-wheel $(shell find src -name '*.py') | setup
	scripts/build-wheel dist $(BIN)/python
	touch $@

.native/.ready: dist/.ready scripts/native-environment
	scripts/native-environment .native $(BIN)/python dist/*.whl
	touch $@

test-native: .native/.ready  ## that what is compiled does what is interpreted: the tests of all that a request passes
	.native/bin/python -m pytest -n 2 --dist worksteal tests/unit/test_native.py tests/unit/audit tests/unit/core \
	  tests/unit/credentials tests/unit/policy tests/unit/gateway tests/integration

bench: setup clients .native/.ready  ## Outward and its peers side by side, a quarter of an hour; writes docs/performance.md
	scripts/system-packages gcc libc6-dev libssl-dev nginx-light ripgrep socat
	PATH="$(CURDIR)/.clients/bin:$$PATH" .native/bin/python -m bench --fetch-peers
	PATH="$(CURDIR)/.clients/bin:$$PATH" .native/bin/python -m bench

lock: setup clients  ## renew the locked package versions
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links \
	  --strip-extras --output-file requirements/dev.txt requirements/dev.in
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links \
	  --strip-extras --output-file requirements/clients.txt requirements/clients.in
	PATH="$(CURDIR)/.clients/bin:$$PATH" npm install --prefix requirements/npm --package-lock-only --ignore-scripts \
	  --omit-lockfile-registry-resolved --no-audit --no-fund

clean:  ## what the targets above made
	rm -rf .venv .native .clients dist .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/.work
