# iscsi-rig. Everything that these targets need beyond Debian and Node.js they install themselves.
#
#   make run-scenarios   set up if needed, then every scenario on the two kernels that show it; BASE= and HEAD= take others
#   make test            set up if needed, then every test, lab tests included
#   make check           types, lint, format, layers, dead code: no lab, no root
#   make setup           make this machine ready; a second call does nothing
#   make clean           remove what was built here and the labs of rigs that no longer run; results and cache stay
#   make distclean       as clean, and the cache and the images too

SHELL := /bin/sh
# Empty: each scenario's own.
BASE ?=
HEAD ?=
REPEAT ?= 5

BIN := $(CURDIR)/node_modules/.bin
RIG := $(CURDIR)/bin/rig.js
export PATH := $(BIN):$(PATH)

INSTALLED := node_modules/.rig-installed
APP := reports/dist/app.html
APP_SOURCES := $(shell find reports/app -type f ! -name '*.test.*' 2> /dev/null) reports/vite.config.ts $(wildcard rig/history/event.ts rig/results/schema.ts rig/report/bundle.ts rig/report/timing.ts rig/oracle/finding.ts rig/core/names.ts)

.PHONY: setup setup-tests check test run-scenarios clean distclean format

$(INSTALLED): package.json package-lock.json
	@echo "Installing npm packages."
# Not npm ci: it insists on every platform's optional binaries, which not every registry mirror carries.
	@npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

$(APP): $(INSTALLED) $(APP_SOURCES)
	@echo "Building the report's page."
	@vite build --config reports/vite.config.ts --logLevel warn
	@touch $@

setup: $(INSTALLED) $(APP)
	@$(RIG) setup

setup-tests: $(INSTALLED) $(APP)
	@$(RIG) setup --tests

# With both kernels named no other is fetched or built.
run-scenarios: $(INSTALLED) $(APP)
	@$(RIG) setup $(if $(and $(BASE),$(HEAD)),--no-kernels)
	@$(RIG) compare $(if $(BASE),--base '$(BASE)') $(if $(HEAD),--head '$(HEAD)') --repeat $(REPEAT)

check: $(INSTALLED) $(APP)
	tsc -p .
	tsc -p reports
	eslint .
	biome check .
	depcruise --config .dependency-cruiser.js rig scenarios reports/app
	knip

test: setup-tests check
	@vitest run

format: $(INSTALLED)
	biome check --write .

clean:
	@if [ -e $(INSTALLED) ]; then $(RIG) reap; fi
	rm -rf node_modules reports/dist coverage

distclean: clean
	@images=$$(docker images --quiet iscsi-rig/node 2> /dev/null); [ -z "$$images" ] || docker rmi $$images
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/iscsi-rig" results
