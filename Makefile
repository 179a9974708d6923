# The commands of this repository. `make` without a target lists them.
#
# Each target installs its own prerequisites: a fresh Debian or Ubuntu needs only a Swift toolchain.
# Packages are named before they are installed. All output goes to .build, so `make clean` restores
# the repository to its cloned state.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
languages := swift c python shell js
.PHONY: help run test screenshots pictures bench bystanders format lint tsan asan \
  guard guards clean \
  $(addprefix format-,$(languages)) $(addprefix lint-,$(languages))

swift_test := swift test --disable-xctest
# A single binary that runs on machines without Swift.
swift_release := swift build -c release --static-swift-stdlib
carillon := .build/release/carillon
venv := .build/venv
tools := .build/tools
setup := .build/setup.stamp
test_setup := .build/test-setup.stamp
suites_setup := $(if $(CARILLON_SUITES),.build/suites-setup.stamp)
sources := $(wildcard Sources Tests Benchmarks Package.swift)
folders := $(wildcard .ci Sources Tests Benchmarks)
c_files = $(shell find $(folders) -name '*.[ch]')
# Scripts without a file name extension are found by their first line.
scripts = $(shell find $(folders) -type f ! -name '*.*' -exec grep -lE '^#!.*\b$(1)$$' {} +)
python_files = $(folders) $(call scripts,python3)
shell_files = $(call scripts,bash)
# Not HTML: the formatter indents the tags around a label or a paragraph but not their content.
js_files = $(shell find $(folders) -regextype posix-extended -regex '.*\.([cm]?js|ts|css)')
deno := DENO_DIR=.build/deno DENO_NO_UPDATE_CHECK=1 $(tools)/bin/deno
models := $(wildcard Tests/Models/run)
# Extra arguments: `make run ARGS="--port 9000"`.
ARGS ?=

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | \
	  sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(setup) ## build the server and start it in development mode, on loopback
	$(swift_release) --product carillon
	exec $(carillon) serve --dev $(ARGS)

# Ordered from fast to slow, so that mistakes show early.
test: $(setup) $(venv)/ready.stamp $(suites_setup) ## run all tests
	@say() { printf '\n== %s\n' "$$1"; }
	say "the guards: each has its marker in the sources and its tests"
	python3 -B -m unittest discover --quiet -s Tests/Guards
	Tests/Guards/run --check
	say "the browser client's tests, under Node"
	Tests/WebClient/run
	say "the reactor's tests, under the address and undefined behaviour sanitizers"
	Tests/CReactor/run
	say "unit tests"
	$(swift_test)
	say "the ring under the thread sanitizer, and models of the ring and of parking"
	$(or $(models),true) >.build/models.log 2>&1 &
	Tests/Broadcast/races
	wait $$! || { cat .build/models.log; exit 1; }
	cat .build/models.log
	say "the server with real clients, end to end"
	$(swift_release) --product carillon
	$(swift_release) --product carillon-socketio-fixture
	# Three files at a time: the tests wait more than they compute.
	PYTHONDONTWRITEBYTECODE=1 $(venv)/bin/pytest -c Tests/EndToEnd/pytest.ini --numprocesses 3 \
	  --dist loadfile Tests/EndToEnd
	say "every test passed"

screenshots: $(setup) $(venv)/ready.stamp ## take pictures of the elements and pages
	$(swift_release) --product carillon
	PYTHONDONTWRITEBYTECODE=1 $(venv)/bin/python Tests/EndToEnd/screenshots $(ARGS)
	echo "The pictures are in .build/screenshots."

pictures: $(setup) $(venv)/ready.stamp ## draw README's pictures again
	$(swift_release) --product carillon
	PYTHONDONTWRITEBYTECODE=1 $(venv)/bin/python Tests/EndToEnd/screenshots --readme

bench: $(setup) ## measure the fan-out
	$(swift_release) --product carillon
	$(swift_release) --product Baseline
	$(swift_release) --product FanOut
	.build/release/FanOut $(ARGS)

bystanders: $(setup) ## measure how floods slow down bystanders
	$(swift_release) --product carillon
	$(swift_release) --product Bystanders
	.build/release/Bystanders $(ARGS)

# `make format-c` or `make lint-c` processes only one language.
format: $(addprefix format-,$(languages)) ## format all sources

lint: $(addprefix lint-,$(languages)) ## check the format of all sources and run the linters

format-swift:
	swift format --in-place --recursive $(sources)

lint-swift:
	swift format lint --strict --recursive $(sources)

format-c: $(tools)/ready.stamp
	@$(tools)/bin/clang-format -i $(c_files)

lint-c: $(tools)/ready.stamp
	@$(tools)/bin/clang-format --dry-run -Werror $(c_files)
	# The C standards must match Package.swift.
	tidy() {
	  local standard=$$1
	  shift
	  printf '%s\n' "$$@" | xargs -P "$$(nproc)" -I{} $(tools)/bin/clang-tidy --quiet {} -- \
	    -std="$$standard" -ISources/CReactor -ISources/CReactor/include -ISources/CCurl/include \
	    -ISources/WebClient/include
	}
	tidy c17 $(filter-out Sources/WebClient/%,$(filter %.c,$(c_files)))
	tidy c23 $(filter Sources/WebClient/%.c,$(c_files))

format-python: $(tools)/ready.stamp
	@$(tools)/bin/ruff check --no-cache --quiet --select I --fix $(python_files)
	$(tools)/bin/ruff format --no-cache $(python_files)

lint-python: $(tools)/ready.stamp
	@$(tools)/bin/ruff format --no-cache --check $(python_files)
	$(tools)/bin/ruff check --no-cache $(python_files)

format-shell: $(tools)/ready.stamp
	@$(tools)/bin/shfmt --indent 2 --write $(shell_files)

lint-shell: $(tools)/ready.stamp
	@$(tools)/bin/shfmt --indent 2 --diff $(shell_files)
	$(tools)/bin/shellcheck $(shell_files)

format-js: $(tools)/ready.stamp
	@$(deno) fmt --config .deno.jsonc $(js_files)

lint-js: $(tools)/ready.stamp
	@$(deno) fmt --check --config .deno.jsonc $(js_files)
	$(deno) lint --config .deno.jsonc $(js_files)
	$(deno) check --quiet --config .deno.jsonc $(wildcard Sources/WebClient/*/*.js)

tsan: $(setup) ## run the unit tests under the thread sanitizer
	$(swift_test) --sanitize=thread --scratch-path .build/tsan

asan: $(setup) ## run the unit tests under the address sanitizer
	Tests/CReactor/run
	$(swift_test) --sanitize=address --scratch-path .build/asan

guard: $(setup) $(venv)/ready.stamp ## disable one random guard and check that its tests fail
	PYTEST=$(CURDIR)/$(venv)/bin/pytest Tests/Guards/run --random $(ARGS)

guards: $(setup) $(venv)/ready.stamp ## disable each guard and run its tests (20 minutes)
	PYTEST=$(CURDIR)/$(venv)/bin/pytest Tests/Guards/run $(ARGS)

clean: ## remove all build output
	rm -rf .build

# Installs the packages given as arguments; prints nothing when there are none.
define install
install() {
  if [ "$$#" -eq 0 ]; then return; fi
  echo "Carillon installs the packages it needs: $$*"
  if ! command -v apt-get >/dev/null; then
    echo "apt-get is missing: install these packages by hand and try again." >&2
    exit 1
  fi
  local as_root=()
  if [ "$$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  "$${as_root[@]}" apt-get update -qq
  "$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$$@"
}
install
endef

# Checks for the programs and libraries themselves, not for packages, so that it works on any Linux;
# only the installation needs apt. Prints nothing when nothing is missing.
$(setup): Makefile
	@missing=()
	command -v git >/dev/null || missing+=(git)
	command -v curl >/dev/null || missing+=(curl)
	command -v pkg-config >/dev/null || missing+=(pkg-config)
	pkg-config --exists libcrypto 2>/dev/null || missing+=(libssl-dev)
	pkg-config --exists sqlite3 2>/dev/null || missing+=(libsqlite3-dev)
	pkg-config --exists zlib 2>/dev/null || missing+=(zlib1g-dev)
	pkg-config --exists libcurl 2>/dev/null || missing+=(libcurl4-openssl-dev)
	# The tests of TLS run its server.
	command -v openssl >/dev/null || missing+=(openssl)
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
	if [ -n "$(models)" ]; then
	  command -v spin >/dev/null || missing+=(spin)
	  command -v cc >/dev/null || missing+=(gcc libc6-dev)
	fi
	$(install) "$${missing[@]}"
	if ! command -v swift >/dev/null; then
	  echo "No Swift toolchain is on the PATH: see https://www.swift.org/install/linux" >&2
	  exit 1
	fi
	mkdir -p $(@D)
	touch $@

# The prerequisites of the end-to-end tests and of the browser client's tests: Node and Chromium,
# React for the page that tests the hook, the TypeScript compiler that checks the types, and nginx
# as the proxy.
$(test_setup): $(setup)
	@missing=()
	command -v node >/dev/null || missing+=(nodejs)
	for module in eventsource ws xmlhttprequest; do
	  NODE_PATH=/usr/share/nodejs node -e "require('$$module')" 2>/dev/null || \
	    missing+=("node-$$module")
	done
	for module in react react-dom typescript; do
	  [ -d "/usr/share/nodejs/$$module" ] || missing+=("node-$$module")
	done
	if ! command -v chromium-headless-shell >/dev/null; then
	  # Debian has it as a package, with a third of the whole browser's processor time.
	  if apt-cache show chromium-headless-shell >/dev/null 2>&1; then
	    missing+=(chromium-headless-shell)
	  elif ! command -v chromium chromium-browser google-chrome >/dev/null; then
	    missing+=(chromium)
	  fi
	fi
	PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || missing+=(nginx-light)
	# A test counts the server's system calls.
	command -v strace >/dev/null || missing+=(strace)
	[ -n "$$(find /usr/share/fonts -name 'DejaVu*' -print -quit 2>/dev/null)" ] || \
	  missing+=(fonts-dejavu-core)
	$(install) "$${missing[@]}"
	touch $@

# The prerequisites of the protocols' own conformance suites, which run if CARILLON_SUITES is set.
.build/suites-setup.stamp: $(test_setup)
	@missing=()
	command -v mocha >/dev/null || missing+=(mocha)
	[ -d /usr/share/nodejs/chai ] || missing+=(node-chai)
	$(install) "$${missing[@]}"
	touch $@

# The real clients of the end-to-end tests, in their own virtual environment. The JavaScript client
# is one file extracted from a wheel.
client_lists := Tests/EndToEnd/requirements.txt Tests/EndToEnd/clients/requirements.txt
$(venv)/ready.stamp: $(client_lists) $(test_setup)
	@echo "Carillon installs the test clients into $(venv)"
	rm -rf $(venv)
	python3 -m venv $(venv)
	$(venv)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	$(venv)/bin/pip download --quiet --disable-pip-version-check --no-deps \
	  --dest $(venv)/wheels --requirement $(word 2,$^)
	$(venv)/bin/python -m zipfile --extract $(venv)/wheels/nicegui-*.whl $(venv)/wheels
	mkdir -p $(venv)/share
	mv $(venv)/wheels/nicegui/static/socket.io.min.js $(venv)/share
	rm -r $(venv)/wheels
	touch $@

# The formatters and linters, as prebuilt programs from wheels.
$(tools)/ready.stamp: .ci/lint-requirements.txt | $(setup)
	@echo "Carillon installs the formatters and linters into $(tools)"
	rm -rf $(tools)
	python3 -m venv $(tools)
	$(tools)/bin/pip install --quiet --disable-pip-version-check --only-binary :all: \
	  --requirement $<
	touch $@
