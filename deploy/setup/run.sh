#!/bin/sh
# run.sh PROFILE PACKAGE [ARGUMENT…]: builds the program of a package and runs it.
#
# CI has built all tests before. It builds the program with the same selection, because Cargo would choose other
# features for one package alone and compile most dependencies again.
set -eu

profile=$1
package=$2
shift 2

if [ -n "${CI-}" ]; then
    cargo build --quiet --profile "$profile" --workspace --tests --bin "$package"
else
    cargo build --profile "$profile" --package "$package" --bin "$package"
fi

# The folder of the profile `dev` is called `debug`.
[ "$profile" != dev ] || profile=debug
exec "${CARGO_TARGET_DIR:-target}/$profile/$package" "$@"
