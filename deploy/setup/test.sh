#!/bin/sh
# Runs all tests, also after one has failed, and leaves out the lines that say that nothing was run.
# Arguments go to `cargo test`, such as a filter.
set -eu

# Most tests wait for servers, clocks and each other, so three of them share a core.
cores=$(getconf _NPROCESSORS_ONLN)
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((cores * 3))}"

failed=$(mktemp)
trap 'rm -f "$failed"' EXIT

cargo test ${CI:+--quiet} --workspace --no-run
{ cargo test --quiet --workspace --no-fail-fast "$@" 2>&1 || echo yes >"$failed"; } | awk '
    /^$/ || /^running 0 tests$/ || /^test result: ok\. 0 passed/ { next }
    /^test result: / { passed += $4 }
    { print; fflush() }
    END { print passed + 0 " tests passed" }'
[ ! -s "$failed" ]
