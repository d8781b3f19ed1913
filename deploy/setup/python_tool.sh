#!/bin/sh
# python_tool.sh NAME: puts a Python tool into a private folder below the target directory, unless it is there. NAME.txt
# lists its packages. If it cannot be had, nothing fails: `api-check` then says what is skipped.
set -eu

name=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$root/target}/tools/$name
list=$here/$name.txt

main() {
    works && return
    say "installing $name into $folder"
    rm -rf "$folder"
    mkdir -p "$(dirname "$folder")"
    if ! install; then
        rm -rf "$folder"
        say "$name could not be installed, it needs python3 (3.10 or later) with venv and a package index"
    fi
}

# The tool can be loaded, and what was installed is what is listed now.
works() {
    cmp -s "$list" "$folder/installed.txt" && "$folder/bin/python" -c "import $name" 2>/dev/null
}

install() {
    command -v python3 >/dev/null || return 1
    python3 -m venv "$folder" >&2 || return 1
    "$folder/bin/python" -m pip --quiet --disable-pip-version-check install --only-binary=:all: \
        --requirement "$list" >&2 || return 1
    cp "$list" "$folder/installed.txt"
    works
}

say() {
    echo "setup: $*" >&2
}

main
