#!/bin/sh
# Makes sure that Rust and a C compiler are there (two dependencies contain C).
# Quiet when they are. Progress and advice go to standard error.
set -eu

main() {
    command -v cargo >/dev/null || advise "Rust is missing" \
        "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
    compiles || install_compiler || advise "a C compiler is missing" \
        "Debian/Ubuntu  sudo apt-get install -y gcc libc6-dev" \
        "Fedora         sudo dnf install -y gcc" \
        "Arch           sudo pacman -S --needed gcc" \
        "macOS          xcode-select --install"
}

# A compiler without the C library's headers is no use.
compiles() {
    command -v cc >/dev/null || return 1
    printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | cc -x c -fsyntax-only - 2>/dev/null
}

install_compiler() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "setup: installing a C compiler" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2 && apt-get -qq install -y --no-install-recommends gcc libc6-dev >/dev/null && compiles
}

# advise WHAT LINE…
advise() {
    echo "setup: $1; install it with" >&2
    shift
    printf '  %s\n' "$@" >&2
    exit 1
}

main
