#!/bin/sh
# image_files.sh PROFILE SECONDS FOLDER: what the Dockerfile's builder does. It builds the binary without the demo and
# lays out the files of the image, all of which get the same time.
set -eu

profile=$1
seconds=$2
out=$3

# Paths of this machine would be in messages of panics, and a build elsewhere would differ. The linker's build id is a
# hash over what is left of them.
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
export RUSTFLAGS="--remap-path-prefix=$PWD=pathbound --remap-path-prefix=$registry=crates -C link-arg=-Wl,--build-id=none"
# C code of dependencies.
export CFLAGS="-ffile-prefix-map=$registry=crates"
# A compiler that writes a date writes this one, whatever the commit is.
export SOURCE_DATE_EPOCH=0 CARGO_INCREMENTAL=0 PATH="/opt/tools/bin:$PATH"

# The versions of all dependencies are in the binary, so that scanners find them (cargo audit bin).
cargo auditable build --locked --profile "$profile" --package pathbound --no-default-features

# The folder of the profile `dev` is called `debug`.
[ "$profile" != dev ] || profile=debug
install -D --mode=755 "target/$profile/pathbound" "$out/usr/bin/pathbound"
install -d "$out/usr/share/pathbound"
auditable2cdx "$out/usr/bin/pathbound" >"$out/usr/share/pathbound/sbom.cdx.json"
# A base without authorities would trust no server.
install -D --mode=644 /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/ca-certificates.crt"
find "$out" -exec touch --date="@$seconds" {} +
