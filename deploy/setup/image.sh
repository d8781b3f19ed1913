#!/bin/sh
# image.sh [--profile PROFILE]: builds the image of deploy/Dockerfile without a container engine and
# without a registry, and looks at it. The report is target/image/report.json, and target/image/oci the image.
#
# It needs Debian as root. If a tool cannot be had, it says so loudly and succeeds, as `make check` does.
set -eu

cd "$(dirname "$0")/../.."
folder=${CARGO_TARGET_DIR:-$PWD/target}/image
profile=image
# Ours, and the largest that the image may be without its base.
user=12345
limit_kb=40960
# A commit that is made meanwhile is of the next image.
commit=$(git rev-parse HEAD)
seconds=$(git log -1 --format=%ct)

main() {
    while [ $# -gt 0 ]; do
        case $1 in
            --profile) profile=$2 && shift ;;
            *) fail "unknown argument $1" ;;
        esac
        shift
    done
    # Any other profile is for work on the Dockerfile and on this script.
    [ "$profile" = image ] || limit_kb=1048576
    tools || skip "buildah, skopeo, umoci, bubblewrap and mmdebstrap could not be had"
    mkdir -p "$folder/tmp"
    deploy/setup/image_bases.sh "$folder"
    build first
    # Everything but the compilation again, so the two differ if a time or an order came in.
    build second
    [ "$(digest first)" = "$(digest second)" ] || fail "two builds differ: $(digest first) and $(digest second)"
    rm -rf "$folder/oci"
    cp -R "$folder/first" "$folder/oci"
    deploy/setup/image_check.sh "$folder" "$user" "$limit_kb" "$commit"
}

tools() {
    for tool in buildah skopeo umoci bwrap mmdebstrap; do
        command -v "$tool" >/dev/null || missing=yes
    done
    [ -n "${missing-}" ] || return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing buildah, skopeo, umoci, bubblewrap and mmdebstrap"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2 &&
        apt-get -qq install -y --no-install-recommends buildah skopeo umoci bubblewrap mmdebstrap >/dev/null
}

# build NAME: the image as an OCI folder. Crates come from where Cargo of this machine gets them.
build() {
    say "building the image ($1)"
    toolchain=$(rustc --print sysroot)
    printf '[http]\ncainfo = "/usr/local/cargo/authorities.pem"\n' >"$folder/cargo.toml"
    rm -rf "${folder:?}/$1"
    TMPDIR=$folder/tmp buildah --storage-driver vfs --root "$folder/storage" --runroot "$folder/run" \
        build --isolation chroot --no-cache --timestamp "$seconds" --file deploy/Dockerfile \
        --build-arg BUILDER=localhost/builder --build-arg BASE=localhost/base \
        --build-arg PROFILE="$profile" --build-arg COMMIT="$commit" --build-arg VERSION="$(version)" \
        --build-arg SOURCE_DATE_EPOCH="$seconds" \
        --volume "$toolchain:/usr/local/rust:ro" \
        --volume "$folder/cargo.toml:/usr/local/cargo/config.toml:ro" \
        --volume "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}:/usr/local/cargo/authorities.pem:ro" \
        --tag "oci:$folder/$1:latest" . >&2
}

version() {
    sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1
}

digest() {
    skopeo inspect --format '{{.Digest}}' "oci:$folder/$1:latest"
}

say() {
    echo "image: $*" >&2
}

skip() {
    echo "SKIPPED: the image is NOT built, $1"
    exit 0
}

fail() {
    say "$1"
    exit 1
}

main "$@"
