#!/bin/sh
# Writes `.sqlx` anew from the migrations and the queries in the code. With `--check` it compares instead, and a
# query that is stale, missing or unused in `.sqlx` fails.
#
# The macros describe each query by the database while they compile. `cargo sqlx prepare` does the same, but needs
# a database and a tool installed. CI sets SQLX_BUILD to run clippy, so that the workspace is checked only once.
set -eu

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
fresh=$target/sqlx
times=$target/sqlx-times

main() {
    # The whole workspace is named, in CI with its tests, so that its dependencies are not built twice with
    # different features.
    cargo build ${CI:+--quiet --tests} --workspace --bin servers
    rm -rf "$fresh" "$times"
    mkdir -p "$fresh"
    files=$(grep -rlE --include='*.rs' 'query(_as|_scalar|_file|_file_as|_file_scalar)?(_unchecked)?!' \
        api deploy scheduler shared tests worker || true)
    touch_files
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$fresh "$target/debug/servers" run --migrations migrations -- \
        ${SQLX_BUILD:-cargo check ${CI:+--quiet} --workspace --all-targets}
    if [ "${1-}" = --check ]; then
        compare
    else
        replace
    fi
}

# Cargo runs the macros again when a file looks newer. Afterwards the files get
# their times back, so that nothing else is compiled again.
touch_files() {
    for file in $files; do
        mkdir -p "$times/$(dirname "$file")"
        cp -p "$file" "$times/$file"
    done
    trap give_times_back EXIT
    trap 'exit 1' HUP INT TERM
    for file in $files; do
        touch "$file"
    done
}

give_times_back() {
    for file in $files; do
        touch -r "$times/$file" "$file"
    done
    rm -rf "$times"
}

compare() {
    mkdir -p "$target/sqlx-none"
    committed=.sqlx
    [ -d "$committed" ] || committed=$target/sqlx-none
    # `-` is in .sqlx but not needed, `+` is needed but not there.
    if diff -ru "$committed" "$fresh" >&2; then
        echo "sqlx: $(count "$fresh") queries, .sqlx is up to date" >&2
    else
        echo "sqlx: .sqlx does not fit the code and the migrations; run \`make sqlx\` and commit it" >&2
        exit 1
    fi
}

replace() {
    rm -rf .sqlx
    cp -R "$fresh" .sqlx
    echo "sqlx: wrote $(count .sqlx) queries to .sqlx" >&2
}

count() {
    find "$1" -name 'query-*.json' | wc -l | tr -d ' '
}

main "$@"
