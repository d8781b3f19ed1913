#!/bin/sh
# node_tool.sh NAME: puts packages of npm into a private folder below the target directory, unless they are there. The
# folder NAME lists them, with a Node of their own. If they cannot be had, nothing fails: `api-check` then says what is
# skipped.
set -eu

name=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$root/target}/tools/$name
list=$here/$name

main() {
    works && return
    say "installing $name into $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    if ! install; then
        rm -rf "$folder"
        say "$name could not be installed, it needs npm and a package registry"
    fi
}

# Node runs, and what was installed is what is listed now.
works() {
    cmp -s "$list/package-lock.json" "$folder/installed.json" && "$folder/node_modules/.bin/node" --version >/dev/null 2>&1
}

install() {
    command -v npm >/dev/null || return 1
    cp "$list/package.json" "$list/package-lock.json" "$folder/"
    # Only Node itself runs a script when it is installed: it chooses the build for this machine.
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >&2) || return 1
    cp "$list/package-lock.json" "$folder/installed.json"
    works
}

say() {
    echo "setup: $*" >&2
}

main
