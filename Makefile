# What people and CI call. Recipes are short; what is longer lives in scripts/ and Benchmarks/.

SHELL := /bin/bash
# One builder at a time: SwiftPM locks its build folder, and 2 cores are soon busy.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup run demo test check lint format bench bench-expressions bench-relations bench-rules bench-permissions bench-webhooks bench-workflows kill9-webhooks kill9-workflows two-servers-webhooks two-servers-workflows bench-postgres bench-history bench-peers bench-growth bench-micro bench-apps fuzz hostile canaries fault-points network-faults postgres-stops disk-faults clock-jumps load soak torture short-torture stop-under-load restore-under-load kill9 outage release build-tests warnings

SOURCES := Sources Tests Package.swift Benchmarks/Sources Benchmarks/Expressions Benchmarks/Package.swift Benchmarks/Micro/Benchmarks Benchmarks/Micro/Package.swift
BUILD_LOG := .build/build-tests.log
TEST_OUTPUT := .build/test.log
# The same for the build of the tests and their run, so that nothing is built twice.
SWIFT_BUILD_FLAGS ?=
# More arguments for what runs: make run ARGS="--port 9000"
ARGS ?=

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the system packages that are missing
	@scripts/setup.sh

run: release ## Build for release and serve on 127.0.0.1:8080 (ARGS="--port 9000")
	@exec .build/release/rocket serve $(ARGS)

demo: release ## Build for release and serve the help desk example (ARGS="--port 9000")
	@exec .build/release/rocket demo $(ARGS)

test: build-tests ## Set up, build and run the tests, beside a throw-away PostgreSQL on loopback
	@set -o pipefail; scripts/with_postgres.sh swift test --skip-build $(SWIFT_BUILD_FLAGS) 2>&1 | tee $(TEST_OUTPUT) \
	    || { echo "--- what failed:"; grep -a -E '✘|Fatal error|error:' $(TEST_OUTPUT); exit 1; }

# Undeclared imports are found by a flag of the build of the tests: a build of its own would take as long again.
check: override SWIFT_BUILD_FLAGS += --explicit-target-dependency-import-check error
check: lint test warnings short-torture ## Format, imports, warnings, tests and short tortures: what CI runs

lint: ## Check the format without changing a file
	swift format lint --strict -r $(SOURCES)

format: ## Format the sources in place
	swift format -i -r $(SOURCES)

bench: release ## Measure the release build beside a bare HTTP server (ARGS="--secs 10")
	Benchmarks/run.sh $(ARGS)

bench-relations: release ## Measure includes and nested writes on both stores (ARGS="--secs 10")
	Benchmarks/relations.sh $(ARGS)

bench-rules: release ## Measure what rules cost a create (ARGS="--reps 15")
	Benchmarks/rules.sh $(ARGS)

bench-permissions: release ## Measure what policies cost, and the times of sign-ins (ARGS="--reps 9")
	Benchmarks/permissions.sh $(ARGS)

bench-webhooks: release ## Measure sending webhooks and what they cost (ARGS="--part drain")
	Benchmarks/webhooks.sh $(ARGS)

bench-workflows: release ## Measure running workflows, triggers and timers (ARGS="--part timers")
	Benchmarks/workflows.sh $(ARGS)

kill9-workflows: release ## Kill the release build while workflows run (ARGS="--kills 50")
	scripts/kill9_workflows.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/kill9_workflows.py --store postgres $(ARGS)

two-servers-workflows: release ## Stop one of two servers while workflows run
	PGSAFE=1 scripts/with_postgres.sh scripts/two_servers_workflows.py $(ARGS)

kill9-webhooks: release ## Kill the release build while it sends webhooks (ARGS="--kills 50")
	scripts/kill9_webhooks.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/kill9_webhooks.py --store postgres $(ARGS)

two-servers-webhooks: release ## Stop one of two servers while they send
	PGSAFE=1 scripts/with_postgres.sh scripts/two_servers_webhooks.py $(ARGS)

bench-expressions: ## Measure the expression language
	Benchmarks/expressions.sh $(ARGS)

bench-postgres: release ## Measure the release build on PostgreSQL beside pgbench (ARGS="--secs 10")
	Benchmarks/postgres.sh $(ARGS)

stop-under-load: release ## Stop the release build under load, and look for requests without an answer
	scripts/stop_under_load.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/stop_under_load.py --store postgres $(ARGS)

restore-under-load: release ## Back up, restore and clone an app under load, and compare every row
	scripts/restore_under_load.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/restore_under_load.py --store postgres $(ARGS)

bench-history: release ## Measure what the audit trail and an Idempotency-Key add to a write (ARGS="--reps 5")
	Benchmarks/history.sh $(ARGS)

bench-peers: release ## Measure Rocket beside PocketBase on the same data (ARGS="--secs 2 --connections 16")
	Benchmarks/peers.sh $(ARGS)

bench-growth: release ## Measure how cost grows with rows and with entities (ARGS="--rows 1000,100000")
	Benchmarks/growth.sh $(ARGS)

bench-micro: ## Measure JSON, planning, SQL, expressions, rows and tokens piece by piece; the first build takes minutes
	cd Benchmarks/Micro && swift package --allow-writing-to-package-directory benchmark run --no-progress $(ARGS)

bench-apps: release ## Measure start and memory with 1, 100 and 1,000 apps
	Benchmarks/apps.sh $(ARGS)

fuzz: release ## Drive the help desk and three generated apps by their OpenAPI documents, on both stores (ARGS="--max-examples 100")
	SEEDS="1 2 3" scripts/schemathesis.sh $(ARGS)
	scripts/with_postgres.sh bash -c 'ROCKET_DATABASE_URL=$${TEST_POSTGRES_URL%/*}/rocket HELPDESK=0 SEEDS="1 2 3" scripts/schemathesis.sh $(ARGS)'

hostile: release ## Bad input and HTTP abuse over every route, on both stores (ARGS="--share 0.1")
	scripts/torture/hostile.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/torture/hostile.py --store postgres $(ARGS)

canaries: release ## Search everything for secrets that stand nowhere else, on both stores
	scripts/torture/canaries.py
	scripts/with_postgres.sh scripts/torture/canaries.py --store postgres

fault-points: release ## Kill the server at named places under load, on both stores (ARGS="--deaths 20")
	scripts/torture/fault_points.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/torture/fault_points.py --store postgres $(ARGS)

network-faults: release ## Delay, cut and swallow what goes to PostgreSQL and to receivers (ARGS="--rounds 10")
	scripts/torture/network_faults.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/torture/network_faults.py --store postgres $(ARGS)

postgres-stops: release ## Stop PostgreSQL every few seconds under load (ARGS="--minutes 10")
	PGSAFE=1 scripts/with_postgres.sh scripts/torture/postgres_stops.py --minutes 10 $(ARGS)

disk-faults: release ## A full disk, I/O errors and short writes on SQLite (ARGS="--tries 15")
	scripts/torture/disk_faults.py $(ARGS)

clock-jumps: release ## Clocks that jump under load, on both stores (ARGS="--jumps 'hour back'")
	scripts/torture/clock_jumps.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/torture/clock_jumps.py --store postgres $(ARGS)

load: release ## Many connections, full pools, neighbours, bounds, pending deliveries, on both stores (ARGS="--part writers")
	scripts/torture/load.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/torture/load.py --store postgres $(ARGS)

soak: release ## An hour of everything on each store (ARGS="--minutes 10")
	scripts/torture/soak.py $(ARGS)
	PGSAFE=1 scripts/with_postgres.sh scripts/torture/soak.py --store postgres $(ARGS)

torture: release ## All that tries to break a server, to its full length, on both stores: hours
	for part in hostile fuzz canaries kill9 kill9-webhooks kill9-workflows outage postgres-stops network-faults clock-jumps soak; \
	    do $(MAKE) $$part ARGS= || exit; done
	$(MAKE) fault-points ARGS="--deaths 20"
	$(MAKE) disk-faults ARGS="--tries 15"
	$(MAKE) load ARGS="--rows 1000000"

# What of it CI runs, on the build that the tests have made.
short-torture: build-tests
	scripts/torture/canaries.py .build/debug/rocket
	scripts/torture/hostile.py .build/debug/rocket --share 0.004
	HELPDESK=0 SEEDS=1 ROCKET=.build/debug/rocket scripts/schemathesis.sh --max-examples 1 --phases examples,fuzzing

kill9: release ## Kill the release build under load and look for lost rows (ARGS="--rounds 50")
	scripts/kill9.py $(ARGS)

outage: release ## Kill PostgreSQL under load and look for lost rows (ARGS="--rounds 10")
	PGSAFE=1 scripts/with_postgres.sh scripts/outage.py $(ARGS)

release: setup
	swift build -c release --product rocket

build-tests:
	@scripts/setup.sh --test
	@mkdir -p $(dir $(BUILD_LOG))
	set -o pipefail; swift build --build-tests $(SWIFT_BUILD_FLAGS) 2>&1 | tee $(BUILD_LOG)

# A build repeats no warning of a file that it did not compile again; CI's fresh clone compiles all of them.
warnings: build-tests
	@awk '/^[^ ]*\/(Sources|Tests)\/[^ ]*: warning: / && !/\/\.build\// && !seen[$$0]++ { print; count++ } \
	    END { if (count) { print count " warnings in our files"; exit 1 } }' $(BUILD_LOG)
