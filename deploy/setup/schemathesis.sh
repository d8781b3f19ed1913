#!/bin/sh
# Puts schemathesis into a private folder below the target directory, unless it is there. If it cannot be had, nothing
# fails: `api-check` then says that it is skipped.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$root/target}/tools/schemathesis

main() {
    works && return
    say "installing schemathesis into $folder"
    rm -rf "$folder"
    mkdir -p "$(dirname "$folder")"
    if ! install; then
        rm -rf "$folder"
        say "schemathesis could not be installed, it needs python3 (3.10 or later) with venv and a package index"
    fi
}

works() {
    [ "$("$folder/bin/schemathesis" --version 2>/dev/null)" = "$(wanted)" ]
}

# "schemathesis, version 4.32.5", as the program says it.
wanted() {
    sed -n 's/^schemathesis==\([0-9.]*\).*/schemathesis, version \1/p' "$here/schemathesis.txt"
}

install() {
    command -v python3 >/dev/null || return 1
    python3 -m venv "$folder" >&2 || return 1
    "$folder/bin/python" -m pip --quiet --disable-pip-version-check install --only-binary=:all: \
        --requirement "$here/schemathesis.txt" >&2 || return 1
    works
}

say() {
    echo "setup: $*" >&2
}

main
