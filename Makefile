# Each target sets up what it needs: the Rust toolchain is all that must be there.
# The logic is in deploy/setup/ (shell) and in the programs themselves.

.DEFAULT_GOAL := help
.PHONY: help demo test check bench load rollout drain chaos api-check browser chart image fuzz dictionaries cast reference sqlx sqlx-check stats servers clean-servers laws alerts prometheus

ARGS ?=
BENCH ?=
PROFILE ?= release
BROWSER_PROFILE ?= dev
CHAOS_SECONDS ?= 120
FUZZ_SECONDS ?= 600
CASES ?= 500
SEED ?=
PROFILE_SEEDS ?= 14300

# CI wants short logs, a person wants to see that something moves.
QUIET := $(if $(CI),--quiet)

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: servers ## Sync 25 simulated workspaces and compare every record (ARGS="--smoke")
	@deploy/setup/run.sh $(PROFILE) pathbound demo $(ARGS)

test: servers ## Run all tests, and a short look at the pages (ARGS=filter, then without the look)
	@deploy/setup/test.sh $(ARGS)
	@[ -n "$(ARGS)" ] || $(MAKE) --no-print-directory browser ARGS=--short

check: ## Run what CI runs
	@.ci/run

bench: servers ## Measure, and write target/bench/report.json (BENCH=name-prefix)
	@cargo run $(QUIET) --release --package bench --features rivals -- $(BENCH)

load: servers ## Run a whole fleet at the limit of this machine, and write target/load/ (LOAD_TENANTS=, LOAD_SECONDS=)
	@deploy/setup/run.sh $(PROFILE) bench load

rollout: servers ## Replace the release before by this one and back, under load (ROLLOUT_TENANTS=)
	@deploy/setup/previous.sh
	@deploy/setup/run.sh dev bench rollout target/previous/pathbound

drain: servers ## Tell a worker to end while its 64 slots are busy, again and again, and write target/drain/ (DRAIN_SAMPLES=)
	@deploy/setup/run.sh dev bench drain

chaos: servers ## Break everything while it syncs, then compare (CHAOS_SECONDS=, SEED=, FAULTS=basic|all)
	@deploy/setup/run.sh dev chaos --seconds $(CHAOS_SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) $(ARGS)

api-check: servers ## Compare the API with its description, and call its tools (CASES=, the full run is 50000)
	@deploy/setup/python_tool.sh schemathesis
	@deploy/setup/python_tool.sh mcp
	@deploy/setup/node_tool.sh mcp_clients
	@deploy/setup/run.sh dev api-check --cases $(CASES) $(ARGS)

browser: servers ## Let Chromium walk through the pages and judge each (ARGS=walk, or --short for one theme, BROWSER_PROFILE=release for true times)
	@deploy/setup/chromium.sh
	@deploy/setup/node_tool.sh browser
	@deploy/setup/run.sh $(BROWSER_PROFILE) browser $(ARGS)

alerts: servers prometheus ## Let each alert fire and be silent, by the tester of Prometheus and under real faults
	@ALERTS_LIVE=1 deploy/setup/test.sh alerts

prometheus: ## Find or install Prometheus, by which alerts are tested
	@deploy/setup/prometheus.sh

chart: ## Render the Helm chart and judge every object (ARGS=--quick without checkov, or --write)
	@deploy/setup/chart_tools.sh
	@deploy/setup/python_tool.sh kubernetes_validate
	@$(if $(findstring --quick,$(ARGS))$(findstring --write,$(ARGS)),,deploy/setup/python_tool.sh checkov)
	@$(if $(findstring --write,$(ARGS)),,cargo build $(QUIET) --workspace --tests --bin pathbound)
	@deploy/setup/run.sh dev chart $(ARGS)

image: servers ## Build the image without an engine and a registry, and start it (ARGS="--profile dev")
	@deploy/setup/image.sh $(ARGS)

fuzz: ## Let libFuzzer look for inputs that break a parser (FUZZ_SECONDS= each, ARGS=target, needs nightly)
	@deploy/setup/fuzz.sh $(FUZZ_SECONDS) $(ARGS)

laws: ## Try each law of profiles on 14,300 sets of records, 100,000 in all for identity (PROFILE_SEEDS=41..42 for one again)
	@PROFILE_SEEDS=$(PROFILE_SEEDS) cargo test $(QUIET) --package shared --lib -- profile::identity profile::fold

dictionaries: ## Train the dictionaries of raw records anew, into target/dictionaries
	@cargo run $(QUIET) --package intercom-simulator --example dictionaries -- target/dictionaries

cast: servers ## Record the demo on a terminal anew, for the README
	@CAST=write cargo test $(QUIET) --workspace --test it -- demo::a_person

reference: ## Write the lists of options, metrics, commands and problems and the descriptions of the API and of outputs in deploy/reference anew
	@REFERENCE=write cargo test $(QUIET) --workspace --test reference

sqlx: servers ## Write .sqlx anew after a query or a migration changed
	@deploy/setup/sqlx.sh

sqlx-check: servers ## Check that .sqlx fits the queries and the migrations
	@deploy/setup/sqlx.sh --check

stats: ## Measure the tree (REV=commits beside it, LIST=semicolons|persons|words|circles|twins|long|comments|types, ARGS=--json)
	@cargo run --quiet --package stats -- $(REV:%=--rev %) $(LIST:%=--list %) $(ARGS)

servers: ## Find or install a compiler, Postgres and Redis (or Valkey)
	@deploy/setup/tools.sh
	@deploy/setup/servers.sh

clean-servers: ## Remove what `make servers` fetched and the tests kept
	@deploy/setup/clean.sh
